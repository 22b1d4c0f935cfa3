//! One registry revision.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

use forebay_model::{
    FeatureRef, GroupId, GroupName, Name, Timestamp,
    definitions::{DefinitionSet, Kind, ObjectId, Source, nearest},
    graph::{Cycle, Graph},
};

use crate::{ChangeSet, Extensions, Group, GroupFeature, LookupError, Object, Record, View};

/// Everything that is registered at one registry revision. Never changes, but for what [`Extensions`] and
/// [`Readiness`] hold.
pub struct Snapshot {
    revision: u64,
    published_at: Timestamp,
    definitions: DefinitionSet,
    entries: BTreeMap<ObjectId, Entry>,
    groups: BTreeMap<GroupName, Arc<Group>>,
    by_id: HashMap<GroupId, GroupName>,
    views: BTreeMap<Name, BTreeMap<u64, Arc<View>>>,
    graph: Arc<Graph>,
    extensions: Extensions,
}

/// An object that is or was registered.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The object's newest revision.
    pub revision: u64,
    pub deleted: bool,
    pub record: Arc<Record>,
}

impl Snapshot {
    /// Revision 0, before anything was registered.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            revision: 0,
            published_at: Timestamp::default(),
            definitions: DefinitionSet::default(),
            entries: BTreeMap::new(),
            groups: BTreeMap::new(),
            by_id: HashMap::new(),
            views: BTreeMap::new(),
            graph: Arc::new(Graph::default()),
            extensions: Extensions::default(),
        }
    }

    /// The snapshot that a change set makes of this one. A set may hold several revisions of a view, oldest first, so
    /// that a whole registry can be read into an empty snapshot.
    ///
    /// # Errors
    /// When the groups read each other in a ring, which the registry never publishes.
    pub fn apply(&self, changes: &ChangeSet) -> Result<Self, Cycle> {
        let mut next = Self {
            revision: changes.revision,
            published_at: changes.published_at,
            definitions: self.definitions.clone(),
            entries: self.entries.clone(),
            groups: self.groups.clone(),
            by_id: self.by_id.clone(),
            views: self.views.clone(),
            graph: Arc::clone(&self.graph),
            extensions: Extensions::default(),
        };
        for object in &changes.objects {
            next.put(object);
        }
        let lineages = next
            .groups
            .iter()
            .map(|(name, group)| (name.clone(), (*group.lineage).clone()))
            .collect();
        next.graph = Arc::new(Graph::build(&next.definitions, &lineages)?);
        Ok(next)
    }

    fn put(&mut self, object: &Object) {
        let record = &object.record;
        let id = record.id();
        if object.deleted {
            self.definitions.remove(&id);
        } else {
            self.definitions.insert(Arc::clone(&record.definition));
        }
        match id.kind {
            Kind::FeatureGroup => self.put_group(object),
            Kind::FeatureView => self.put_view(object),
            Kind::Domain | Kind::Entity | Kind::Source => {}
        }
        self.entries.insert(
            id,
            Entry {
                revision: object.revision,
                deleted: object.deleted,
                record: Arc::clone(record),
            },
        );
    }

    fn put_group(&mut self, object: &Object) {
        let Some(state) = &object.record.group else {
            return;
        };
        let name = &state.schema.name;
        let before = self.groups.remove(name);
        if let Some(before) = &before {
            self.by_id.remove(&before.schema.id);
        }
        if object.deleted {
            return;
        }
        // Tables that fit the schema fit whatever else changed about the group.
        let readiness = before
            .filter(|group| group.schema == state.schema && group.stores == stores_of(object))
            .map_or_else(Arc::default, |group| Arc::clone(&group.readiness));
        let definition = Arc::clone(&object.record.definition);
        if let Some(group) = Group::new(definition, object.revision, state, readiness) {
            self.by_id.insert(state.schema.id, name.clone());
            self.groups.insert(name.clone(), Arc::new(group));
        }
    }

    fn put_view(&mut self, object: &Object) {
        let Some(view) = View::new(Arc::clone(&object.record.definition), object.revision) else {
            return;
        };
        if object.deleted {
            self.views.remove(view.name());
        } else {
            self.views
                .entry(view.name().clone())
                .or_default()
                .insert(object.revision, Arc::new(view));
        }
    }

    /// The registry revision.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    #[must_use]
    pub fn published_at(&self) -> Timestamp {
        self.published_at
    }

    #[must_use]
    pub fn definitions(&self) -> &DefinitionSet {
        &self.definitions
    }

    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// What services derive from this snapshot.
    #[must_use]
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// An object's newest revision, deleted ones included.
    #[must_use]
    pub fn entry(&self, id: &ObjectId) -> Option<&Entry> {
        self.entries.get(id)
    }

    /// All objects by kind and name, deleted ones included.
    pub fn entries(&self) -> impl Iterator<Item = (&ObjectId, &Entry)> {
        self.entries.iter()
    }

    /// By name.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.groups.values()
    }

    /// Every revision that this snapshot knows, so that an empty one becomes its equal by them: older revisions of views first.
    pub(crate) fn objects(&self) -> impl Iterator<Item = Object> + '_ {
        let older = self.views.values().flat_map(|revisions| {
            let newest = revisions.last_key_value().map(|(newest, _)| *newest);
            let older = revisions.values().filter(move |view| Some(view.revision) != newest);
            older.map(|view| Object {
                revision: view.revision,
                deleted: false,
                record: Arc::new(Record {
                    definition: view.shared_definition(),
                    group: None,
                }),
            })
        });
        let newest = self.entries.values().map(|entry| Object {
            revision: entry.revision,
            deleted: entry.deleted,
            record: Arc::clone(&entry.record),
        });
        older.chain(newest)
    }

    /// # Errors
    /// [`LookupError::UnknownGroup`].
    pub fn group(&self, name: &GroupName) -> Result<&Arc<Group>, LookupError> {
        self.groups.get(name).ok_or_else(|| LookupError::UnknownGroup {
            group: name.clone(),
            nearest: nearest(&name.to_string(), self.groups.keys().map(ToString::to_string)),
        })
    }

    #[must_use]
    pub fn group_by_id(&self, id: GroupId) -> Option<&Arc<Group>> {
        self.groups.get(self.by_id.get(&id)?)
    }

    /// The group, if its tables and topics are there.
    ///
    /// # Errors
    /// [`LookupError::UnknownGroup`], [`LookupError::NotReady`].
    pub fn ready_group(&self, name: &GroupName) -> Result<&Arc<Group>, LookupError> {
        let group = self.group(name)?;
        match group.readiness.reason() {
            None => Ok(group),
            Some(reason) => Err(LookupError::NotReady {
                group: name.clone(),
                reason,
            }),
        }
    }

    /// A feature by its full name, with its group.
    ///
    /// # Errors
    /// [`LookupError::UnknownFeature`] with the nearest names, also when there is no such group.
    pub fn feature(&self, feature: &FeatureRef) -> Result<(&Arc<Group>, &GroupFeature), LookupError> {
        self.groups
            .get(feature.group())
            .and_then(|group| Some((group, group.feature(feature.feature().as_str())?)))
            .ok_or_else(|| LookupError::UnknownFeature {
                feature: feature.clone(),
                nearest: nearest(&feature.to_string(), self.feature_names()),
            })
    }

    /// The full names of all features.
    pub fn feature_names(&self) -> impl Iterator<Item = String> + '_ {
        self.groups.values().flat_map(|group| {
            group
                .features
                .iter()
                .map(move |feature| format!("{}.{}", group.name, feature.definition.name))
        })
    }

    /// A view's revision, or its newest.
    ///
    /// # Errors
    /// [`LookupError::UnknownView`], [`LookupError::UnknownRevision`].
    pub fn view(&self, name: &Name, revision: Option<u64>) -> Result<&Arc<View>, LookupError> {
        let revisions = self.views.get(name).ok_or_else(|| LookupError::UnknownView {
            view: name.clone(),
            nearest: nearest(name.as_str(), self.views.keys()),
        })?;
        let newest = revisions.last_key_value();
        match revision {
            None => newest.map(|(_, view)| view).ok_or_else(|| LookupError::UnknownView {
                view: name.clone(),
                nearest: Vec::new(),
            }),
            Some(revision) => revisions.get(&revision).ok_or_else(|| LookupError::UnknownRevision {
                view: name.clone(),
                revision,
                newest: newest.map_or(0, |(newest, _)| *newest),
            }),
        }
    }

    /// The newest revision of every view, by name.
    pub fn views(&self) -> impl Iterator<Item = &Arc<View>> {
        self.views
            .values()
            .filter_map(|revisions| revisions.last_key_value().map(|(_, view)| view))
    }

    #[must_use]
    pub fn source(&self, name: &Name) -> Option<&Source> {
        self.definitions.source(name)
    }

    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.definitions.sources()
    }
}

fn stores_of(object: &Object) -> forebay_model::definitions::Stores {
    match &*object.record.definition {
        forebay_model::definitions::Definition::FeatureGroup(group) => group.stores,
        _ => forebay_model::definitions::Stores {
            online: false,
            offline: false,
        },
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("revision", &self.revision)
            .field("objects", &self.definitions.len())
            .finish_non_exhaustive()
    }
}
