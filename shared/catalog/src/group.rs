//! A feature group as services see it.

use std::{fmt, sync::Arc};

use forebay_model::{
    Duration, GroupName, GroupSchema, KeyColumn,
    definitions::{Definition, Feature, FeatureGroup, Stores, WayIn},
    graph::Lineage,
};

use crate::{GroupState, Readiness};

/// One revision of a group: its definition with the schema that the registry gave it.
pub struct Group {
    pub name: GroupName,
    /// The revision of its definition.
    pub revision: u64,
    pub schema: Arc<GroupSchema>,
    pub way_in: WayIn,
    pub stores: Stores,
    /// None: rows are visible forever.
    pub ttl: Option<Duration>,
    /// In the order of the definition.
    pub features: Vec<GroupFeature>,
    pub lineage: Arc<Lineage>,
    pub readiness: Arc<Readiness>,
    definition: Arc<Definition>,
}

/// A feature and where a row holds it.
#[derive(Debug, Clone)]
pub struct GroupFeature {
    /// Index into the schema's slots.
    pub slot: usize,
    pub definition: Feature,
}

impl Group {
    /// None when the definition is not a group's, or names a feature that the schema lacks.
    pub(crate) fn new(
        definition: Arc<Definition>,
        revision: u64,
        state: &GroupState,
        readiness: Arc<Readiness>,
    ) -> Option<Self> {
        let Definition::FeatureGroup(group) = &*definition else {
            return None;
        };
        let features = group
            .features
            .iter()
            .map(|feature| {
                Some(GroupFeature {
                    slot: state.schema.slot(feature.name.as_str())?,
                    definition: feature.clone(),
                })
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Self {
            name: group.name.clone(),
            revision,
            schema: Arc::clone(&state.schema),
            way_in: group.way_in(),
            stores: group.stores,
            ttl: group.ttl,
            features,
            lineage: Arc::new(state.lineage.clone()),
            readiness,
            definition,
        })
    }

    #[must_use]
    pub fn definition(&self) -> &FeatureGroup {
        match &*self.definition {
            Definition::FeatureGroup(group) => group,
            // `new` refuses every other kind.
            _ => unreachable!("a group is made from a group's definition only"),
        }
    }

    #[must_use]
    pub fn keys(&self) -> &[KeyColumn] {
        &self.schema.keys
    }

    #[must_use]
    pub fn feature(&self, name: &str) -> Option<&GroupFeature> {
        self.features
            .iter()
            .find(|feature| feature.definition.name.as_str() == name)
    }

    #[must_use]
    pub fn is_online(&self) -> bool {
        self.stores.online
    }

    /// Whether it is kept offline, so that its past can be asked for.
    #[must_use]
    pub fn has_history(&self) -> bool {
        self.stores.offline
    }

    /// Whether its rows come in through the row log. Those of the others are commits to its Delta table, except that a
    /// batch group without one sends its rows through the log too.
    #[must_use]
    pub fn uses_row_log(&self) -> bool {
        uses_row_log(self.way_in, self.stores)
    }

    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.readiness.is_ready()
    }
}

/// Whether rows of such a group come in through the row log.
#[must_use]
pub fn uses_row_log(way_in: WayIn, stores: Stores) -> bool {
    match way_in {
        WayIn::Rows | WayIn::Streaming => true,
        WayIn::Batch | WayIn::Commits => !stores.offline,
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("name", &self.name)
            .field("revision", &self.revision)
            .field("ready", &self.is_ready())
            .finish_non_exhaustive()
    }
}
