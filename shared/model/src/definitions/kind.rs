//! Kinds of objects, and what identifies one.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The kind of a registered object, as definitions write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    Domain,
    Entity,
    Source,
    FeatureGroup,
    FeatureView,
}

impl Kind {
    pub const ALL: [Self; 5] = [
        Self::Domain,
        Self::Entity,
        Self::Source,
        Self::FeatureGroup,
        Self::FeatureView,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Domain => "Domain",
            Self::Entity => "Entity",
            Self::Source => "Source",
            Self::FeatureGroup => "FeatureGroup",
            Self::FeatureView => "FeatureView",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a kind: expected one of Domain, Entity, Source, FeatureGroup, FeatureView")]
pub struct UnknownKind(String);

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownKind(text.chars().take(64).collect()))
    }
}

/// A kind and a name; no two objects of an installation have both in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectId {
    pub kind: Kind,
    pub name: String,
}

impl ObjectId {
    #[must_use]
    pub fn new(kind: Kind, name: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
        }
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}
