use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use forebay_model::{
    FeatureRef, GroupName, Name,
    definitions::{Domain, Entity, Feature, FeatureView, Source},
};

use crate::Group;

/// An object and its revision.
#[derive(Clone, Debug)]
pub struct Registered<T> {
    pub definition: Arc<T>,
    pub revision: u64,
}

/// All revisions of one view, oldest first; the last is the current one.
pub type View = Vec<Registered<FeatureView>>;

/// Everything that was registered as of one registry revision. Built by whoever follows the registry, immutable from then on.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub registry_revision: u64,
    pub domains: BTreeMap<Name, Registered<Domain>>,
    pub entities: BTreeMap<Name, Registered<Entity>>,
    pub sources: BTreeMap<Name, Registered<Source>>,
    pub groups: HashMap<GroupName, Arc<Group>>,
    pub views: HashMap<Name, View>,
}

impl Snapshot {
    #[must_use]
    pub fn group(&self, name: &GroupName) -> Option<&Arc<Group>> {
        self.groups.get(name)
    }

    #[must_use]
    pub fn feature(&self, feature: &FeatureRef) -> Option<(&Arc<Group>, &Feature)> {
        let group = self.group(feature.group())?;
        Some((group, group.feature(feature.feature())?))
    }

    /// A revision of a view, the current one if none is given.
    #[must_use]
    pub fn view(&self, name: &str, revision: Option<u64>) -> Option<&Registered<FeatureView>> {
        let revisions = self.views.get(name)?;
        match revision {
            None => revisions.last(),
            Some(wanted) => revisions.iter().find(|view| view.revision == wanted),
        }
    }

    /// The full names of all features, for suggestions.
    pub fn feature_names(&self) -> impl Iterator<Item = FeatureRef> {
        self.groups.values().flat_map(|group| {
            group
                .definition
                .features
                .iter()
                .map(|feature| group.name().feature(feature.name.clone()))
        })
    }
}
