//! What teams register: domains, entities, sources, feature groups and feature views.
//!
//! [`parse`] reads documents strictly and reports every problem it finds, not the first one. A [`Definition`] writes
//! itself in one canonical form (shorthand spelled out), which reads back as an equal definition.

mod checks;
mod domain;
mod entity;
mod feature;
mod feature_group;
mod feature_view;
mod kind;
mod metadata;
mod parse;
mod problem;
mod reader;
mod set;
mod source;
#[cfg(test)]
mod tests;
mod trigger;
mod validation;

use serde::{Serialize, Serializer};

pub use checks::{Checks, OnFail};
pub use domain::Domain;
pub use entity::Entity;
pub use feature::{Aggregate, AggregateFunction, Deprecated, Feature};
pub use feature_group::{
    Batch, Dependency, EntityUse, FeatureGroup, Ingest, Input, InputFeature, Stores, Streaming, WayIn,
};
pub use feature_view::{Expression, FeatureView, History, RequestFeature, ViewFeature};
pub use kind::{Kind, ObjectId};
pub use metadata::Metadata;
pub use parse::{API_VERSION, Parsed, parse, parse_one};
pub use problem::{Problem, nearest};
pub use set::{DefinitionSet, UnknownObject};
pub use source::{Column, Delta, EventTime, Format, Kafka, Source, TimeUnit};
pub use trigger::{Trigger, TriggerError};

/// Limits of one definition, so that a hostile document stays cheap.
pub mod limits {
    /// Characters in a description.
    pub const DESCRIPTION_LENGTH: usize = 4_096;
    /// Characters in an owner, a tag's name, a tag's value, a unit, a column name of a source.
    pub const TEXT_LENGTH: usize = 255;
    /// Owners, or tags, of one object or feature.
    pub const ANNOTATIONS: usize = 64;
    /// Bytes in a query or an expression.
    pub const SQL_LENGTH: usize = 65_536;
    /// Inputs of one batch query.
    pub const INPUTS: usize = 16;
    /// Features, request features and expressions of a view; features of an input.
    pub const VIEW_COLUMNS: usize = 2_000;
    /// Columns in the declared schema of a source.
    pub const SOURCE_COLUMNS: usize = 2_000;
}

/// One registered object.
#[derive(Debug, Clone, PartialEq)]
pub enum Definition {
    Domain(Domain),
    Entity(Entity),
    Source(Source),
    FeatureGroup(FeatureGroup),
    FeatureView(FeatureView),
}

impl Definition {
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Domain(_) => Kind::Domain,
            Self::Entity(_) => Kind::Entity,
            Self::Source(_) => Kind::Source,
            Self::FeatureGroup(_) => Kind::FeatureGroup,
            Self::FeatureView(_) => Kind::FeatureView,
        }
    }

    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Domain(domain) => domain.name.to_string(),
            Self::Entity(entity) => entity.name.to_string(),
            Self::Source(source) => source.name.to_string(),
            Self::FeatureGroup(group) => group.name.to_string(),
            Self::FeatureView(view) => view.name.to_string(),
        }
    }

    #[must_use]
    pub fn id(&self) -> ObjectId {
        ObjectId::new(self.kind(), self.name())
    }

    /// The domain that owns it; a domain owns itself.
    #[must_use]
    pub fn domain(&self) -> &crate::Name {
        match self {
            Self::Domain(domain) => &domain.name,
            Self::Entity(entity) => &entity.domain,
            Self::Source(source) => &source.domain,
            Self::FeatureGroup(group) => group.name.domain(),
            Self::FeatureView(view) => &view.domain,
        }
    }

    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        match self {
            Self::Domain(domain) => &domain.metadata,
            Self::Entity(entity) => &entity.metadata,
            Self::Source(source) => &source.metadata,
            Self::FeatureGroup(group) => &group.metadata,
            Self::FeatureView(view) => &view.metadata,
        }
    }
}

impl Serialize for Definition {
    /// `kind` first, then the object's own fields.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Tagged<'a, T> {
            kind: Kind,
            #[serde(flatten)]
            object: &'a T,
        }
        let kind = self.kind();
        match self {
            Self::Domain(object) => Tagged { kind, object }.serialize(serializer),
            Self::Entity(object) => Tagged { kind, object }.serialize(serializer),
            Self::Source(object) => Tagged { kind, object }.serialize(serializer),
            Self::FeatureGroup(object) => Tagged { kind, object }.serialize(serializer),
            Self::FeatureView(object) => Tagged { kind, object }.serialize(serializer),
        }
    }
}
