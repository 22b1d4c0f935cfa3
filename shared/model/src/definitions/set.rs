//! All definitions of an installation, seen as one.

use std::{collections::BTreeMap, sync::Arc};

use super::{Definition, Domain, Entity, FeatureGroup, FeatureView, Kind, ObjectId, Source};
use crate::{GroupName, KeyColumn, Name};

/// Definitions by kind and name. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DefinitionSet {
    objects: BTreeMap<ObjectId, Arc<Definition>>,
}

/// A definition names an object that is not registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not registered")]
pub struct UnknownObject(pub ObjectId);

impl DefinitionSet {
    /// Registers an object, in place of one with the same kind and name.
    pub fn insert(&mut self, definition: Arc<Definition>) {
        self.objects.insert(definition.id(), definition);
    }

    pub fn remove(&mut self, id: &ObjectId) -> Option<Arc<Definition>> {
        self.objects.remove(id)
    }

    #[must_use]
    pub fn get(&self, id: &ObjectId) -> Option<&Arc<Definition>> {
        self.objects.get(id)
    }

    /// By kind, then by name.
    pub fn iter(&self) -> impl Iterator<Item = (&ObjectId, &Arc<Definition>)> {
        self.objects.iter()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    fn named(&self, kind: Kind, name: String) -> Option<&Definition> {
        self.objects.get(&ObjectId { kind, name }).map(AsRef::as_ref)
    }

    #[must_use]
    pub fn domain(&self, name: &Name) -> Option<&Domain> {
        match self.named(Kind::Domain, name.to_string())? {
            Definition::Domain(domain) => Some(domain),
            _ => None,
        }
    }

    #[must_use]
    pub fn entity(&self, name: &Name) -> Option<&Entity> {
        match self.named(Kind::Entity, name.to_string())? {
            Definition::Entity(entity) => Some(entity),
            _ => None,
        }
    }

    #[must_use]
    pub fn source(&self, name: &Name) -> Option<&Source> {
        match self.named(Kind::Source, name.to_string())? {
            Definition::Source(source) => Some(source),
            _ => None,
        }
    }

    #[must_use]
    pub fn group(&self, name: &GroupName) -> Option<&FeatureGroup> {
        match self.named(Kind::FeatureGroup, name.to_string())? {
            Definition::FeatureGroup(group) => Some(group),
            _ => None,
        }
    }

    #[must_use]
    pub fn view(&self, name: &Name) -> Option<&FeatureView> {
        match self.named(Kind::FeatureView, name.to_string())? {
            Definition::FeatureView(view) => Some(view),
            _ => None,
        }
    }

    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.objects.values().filter_map(|object| match &**object {
            Definition::Source(source) => Some(source),
            _ => None,
        })
    }

    pub fn groups(&self) -> impl Iterator<Item = &FeatureGroup> {
        self.objects.values().filter_map(|object| match &**object {
            Definition::FeatureGroup(group) => Some(group),
            _ => None,
        })
    }

    pub fn views(&self) -> impl Iterator<Item = &FeatureView> {
        self.objects.values().filter_map(|object| match &**object {
            Definition::FeatureView(view) => Some(view),
            _ => None,
        })
    }

    /// The names of one kind, for telling which is near to one that does not exist.
    pub fn names(&self, kind: Kind) -> impl Iterator<Item = &str> {
        self.objects
            .keys()
            .filter(move |id| id.kind == kind)
            .map(|id| id.name.as_str())
    }

    /// The key columns of a group: the keys of its entities in order, as the group calls them.
    ///
    /// # Errors
    /// When an entity is not registered.
    pub fn group_keys(&self, group: &FeatureGroup) -> Result<Vec<KeyColumn>, UnknownObject> {
        let mut keys = Vec::new();
        for used in &group.entities {
            let entity = self
                .entity(&used.entity)
                .ok_or_else(|| UnknownObject(ObjectId::new(Kind::Entity, used.entity.to_string())))?;
            keys.extend(entity.keys.iter().map(|key| KeyColumn {
                name: used.column_of(&key.name).clone(),
                key_type: key.key_type,
            }));
        }
        Ok(keys)
    }
}

impl FromIterator<Definition> for DefinitionSet {
    fn from_iter<I: IntoIterator<Item = Definition>>(definitions: I) -> Self {
        let mut set = Self::default();
        for definition in definitions {
            set.insert(Arc::new(definition));
        }
        set
    }
}
