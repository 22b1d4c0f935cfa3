//! A snapshot straight from definitions, for tests of what holds a catalog: no registry, no SQL.

use std::{collections::BTreeMap, sync::Arc};

use forebay_model::{
    GroupId, GroupName, Timestamp,
    change::{Incompatible, evolve},
    definitions::{Definition, DefinitionSet, UnknownObject},
    graph::{Cycle, Lineage},
};

use crate::{ChangeSet, GroupState, Object, Ready, Record, Snapshot};

/// The definitions do not make a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    #[error(transparent)]
    Unknown(#[from] UnknownObject),
    #[error(transparent)]
    Incompatible(#[from] Incompatible),
    #[error(transparent)]
    Cycle(#[from] Cycle),
}

impl Snapshot {
    /// Registry revision 1 with these definitions, all at revision 1, every group ready. Groups are numbered from 1 by
    /// name; `lineages` tell what batch queries read, which is not looked up in their SQL here.
    ///
    /// # Errors
    /// When the definitions name what is not among them, or read each other in a ring.
    pub fn of_definitions(
        definitions: impl IntoIterator<Item = Definition>,
        lineages: &BTreeMap<GroupName, Lineage>,
    ) -> Result<Self, SampleError> {
        let set: DefinitionSet = definitions.into_iter().collect();
        let mut objects = Vec::new();
        let mut id = 0;
        for (_, definition) in set.iter() {
            let group = match &**definition {
                Definition::FeatureGroup(group) => {
                    id += 1;
                    let schema = evolve(None, GroupId(id), group, &set.group_keys(group)?)?;
                    Some(GroupState {
                        schema: Arc::new(schema),
                        lineage: lineages.get(&group.name).cloned().unwrap_or_default(),
                        shortest_ttl: group.ttl,
                        purged: Vec::new(),
                    })
                }
                _ => None,
            };
            let definition = Arc::clone(definition);
            objects.push(Object {
                revision: 1,
                deleted: false,
                record: Arc::new(Record { definition, group }),
            });
        }
        let changes = ChangeSet {
            revision: 1,
            published_at: Timestamp::default(),
            objects,
        };
        let snapshot = Self::empty().apply(&changes)?;
        for group in snapshot.groups() {
            group.readiness.set(Ready::Ready);
        }
        Ok(snapshot)
    }
}
