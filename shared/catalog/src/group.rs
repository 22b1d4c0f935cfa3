use std::sync::Arc;

use forebay_model::{
    Duration, Freshness, GroupName, GroupSchema, Name,
    definitions::{Feature, FeatureGroup, WayIn},
};

/// A feature group as services need it: what was registered and the physical schema its rows have.
#[derive(Clone, Debug)]
pub struct Group {
    pub definition: Arc<FeatureGroup>,
    pub revision: u64,
    pub schema: Arc<GroupSchema>,
}

impl Group {
    #[must_use]
    pub fn name(&self) -> &GroupName {
        &self.definition.name
    }

    #[must_use]
    pub fn way_in(&self) -> WayIn {
        self.definition.way_in()
    }

    #[must_use]
    pub fn online(&self) -> bool {
        self.definition.stores.online
    }

    #[must_use]
    pub fn offline(&self) -> bool {
        self.definition.stores.offline
    }

    /// Whether its rows come through the row log: those that callers send, and all rows of a group that keeps no history. The others come as commits to
    /// its Delta table, which the follower brings online.
    #[must_use]
    pub fn takes_rows(&self) -> bool {
        !self.offline() || matches!(self.way_in(), WayIn::Rows | WayIn::Streaming)
    }

    /// How old a row may be for a reader who asks for `max_age`.
    #[must_use]
    pub fn freshness(&self, max_age: Option<Duration>) -> Freshness {
        Freshness::new(self.definition.ttl, max_age)
    }

    #[must_use]
    pub fn feature(&self, name: &Name) -> Option<&Feature> {
        self.definition.feature(name.as_str())
    }
}
