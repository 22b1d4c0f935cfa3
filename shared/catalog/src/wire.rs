//! The registry on its way between processes: a whole snapshot over HTTP, and what a registry announces to everybody.

use std::sync::Arc;

use forebay_api::changes::{GroupReadiness, RegisteredObject, RegistrySnapshot};
use forebay_model::{
    GroupId, Timestamp,
    definitions::{Problem, parse_one},
    graph::Cycle,
};
use serde::{Deserialize, Serialize};

use crate::{ChangeSet, Group, Object, Ready, Record, Snapshot};

/// A message on the channel of registry changes.
///
/// Whoever announces readiness at a registry revision has announced the changes up to it before; so a revision ahead of the listener's own is a gap.
#[derive(Clone, Debug)]
pub enum Announced {
    /// One registry revision, whole, and how ready its groups are.
    Changes {
        changes: ChangeSet,
        readiness: Vec<GroupReadiness>,
    },
    /// What became of groups' tables, and which registry revision is the newest.
    Readiness {
        registry_revision: u64,
        readiness: Vec<GroupReadiness>,
    },
}

/// What came from a registry is not what a registry sends.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error("not what a registry of this version sends: {0}")]
    Json(#[from] serde_json::Error),
    #[error("a definition is not one that this version knows: {}", .0.first().map_or_else(String::new, |p| format!("{} at `{}`", p.detail, p.pointer)))]
    Definition(Vec<Problem>),
    #[error(transparent)]
    Cycle(#[from] Cycle),
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Message {
    Changes {
        registry_revision: u64,
        published_at: Timestamp,
        objects: Vec<RegisteredObject>,
        readiness: Vec<GroupReadiness>,
    },
    Readiness {
        registry_revision: u64,
        readiness: Vec<GroupReadiness>,
    },
}

impl Announced {
    #[must_use]
    pub fn registry_revision(&self) -> u64 {
        match self {
            Self::Changes { changes, .. } => changes.revision,
            Self::Readiness { registry_revision, .. } => *registry_revision,
        }
    }

    #[must_use]
    pub fn readiness(&self) -> &[GroupReadiness] {
        match self {
            Self::Changes { readiness, .. } | Self::Readiness { readiness, .. } => readiness,
        }
    }

    /// As the message that is announced.
    ///
    /// # Errors
    /// When a definition cannot be written as JSON.
    pub fn encode(&self) -> Result<Vec<u8>, WireError> {
        let message = match self {
            Self::Changes { changes, readiness } => Message::Changes {
                registry_revision: changes.revision,
                published_at: changes.published_at,
                objects: changes.objects.iter().map(object_to_wire).collect::<Result<_, _>>()?,
                readiness: readiness.clone(),
            },
            Self::Readiness {
                registry_revision,
                readiness,
            } => Message::Readiness {
                registry_revision: *registry_revision,
                readiness: readiness.clone(),
            },
        };
        Ok(serde_json::to_vec(&message)?)
    }

    /// # Errors
    /// When the bytes are no such message.
    pub fn decode(message: &[u8]) -> Result<Self, WireError> {
        Ok(match serde_json::from_slice(message)? {
            Message::Changes {
                registry_revision,
                published_at,
                objects,
                readiness,
            } => Self::Changes {
                changes: ChangeSet {
                    revision: registry_revision,
                    published_at,
                    objects: objects_from_wire(objects)?,
                },
                readiness,
            },
            Message::Readiness {
                registry_revision,
                readiness,
            } => Self::Readiness {
                registry_revision,
                readiness,
            },
        })
    }
}

impl Snapshot {
    /// Everything that this snapshot knows, for another process.
    ///
    /// # Errors
    /// When a definition cannot be written as JSON.
    pub fn to_wire(&self) -> Result<RegistrySnapshot, WireError> {
        Ok(RegistrySnapshot {
            registry_revision: self.revision(),
            published_at: self.published_at(),
            objects: self
                .objects()
                .map(|object| object_to_wire(&object))
                .collect::<Result<_, _>>()?,
            readiness: self.readiness(),
        })
    }

    /// The snapshot that another process sent.
    ///
    /// # Errors
    /// When this version does not understand it.
    pub fn from_wire(sent: RegistrySnapshot) -> Result<Self, WireError> {
        let changes = ChangeSet {
            revision: sent.registry_revision,
            published_at: sent.published_at,
            objects: objects_from_wire(sent.objects)?,
        };
        let snapshot = Self::empty().apply(&changes)?;
        snapshot.note_readiness(&sent.readiness);
        Ok(snapshot)
    }

    /// How ready each group is.
    #[must_use]
    pub fn readiness(&self) -> Vec<GroupReadiness> {
        self.groups().map(|group| readiness_of(group)).collect()
    }

    /// Takes over what another process knows of groups' tables, where it speaks of the same layout in the same stores. Nothing makes a group less
    /// ready.
    pub fn note_readiness(&self, heard: &[GroupReadiness]) {
        for heard in heard {
            let Some(group) = self.group_by_id(GroupId(heard.id)) else {
                continue;
            };
            let own = readiness_of(group);
            let is_same = own.generation == heard.generation
                && own.layout == heard.layout
                && own.online == heard.online
                && own.offline == heard.offline;
            if !is_same || own.ready {
                continue;
            }
            match (heard.ready, &heard.reason) {
                (true, _) => group.readiness.set(Ready::Ready),
                (false, Some(reason)) => group.readiness.set(Ready::Failed(reason.clone())),
                (false, None) => {}
            }
        }
    }
}

/// How ready one group is, and for what.
fn readiness_of(group: &Group) -> GroupReadiness {
    let state = group.readiness.get();
    GroupReadiness {
        group: group.name.to_string(),
        id: group.schema.id.0,
        generation: group.schema.generation.0,
        layout: group.schema.layout.0,
        online: group.stores.online,
        offline: group.stores.offline,
        ready: state == Ready::Ready,
        reason: match state {
            Ready::Failed(reason) => Some(reason),
            Ready::Pending | Ready::Ready => None,
        },
    }
}

fn object_to_wire(object: &Object) -> Result<RegisteredObject, WireError> {
    Ok(RegisteredObject {
        revision: object.revision,
        deleted: object.deleted,
        definition: serde_json::to_value(&*object.record.definition)?,
        group: object.record.group.as_ref().map(serde_json::to_value).transpose()?,
    })
}

fn objects_from_wire(sent: Vec<RegisteredObject>) -> Result<Vec<Object>, WireError> {
    sent.into_iter().map(object_from_wire).collect()
}

fn object_from_wire(sent: RegisteredObject) -> Result<Object, WireError> {
    let definition = parse_one(&sent.definition).map_err(WireError::Definition)?;
    Ok(Object {
        revision: sent.revision,
        deleted: sent.deleted,
        record: Arc::new(Record {
            definition: Arc::new(definition),
            group: sent.group.map(serde_json::from_value).transpose()?,
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Catalog, Gap, tests::snapshot, tests::update};

    fn carried(announced: &Announced) -> Announced {
        Announced::decode(&announced.encode().expect("JSON")).expect("a message")
    }

    #[test]
    fn a_snapshot_arrives_as_it_was_sent() {
        let first = snapshot();
        let sent = first.apply(&update(&first, "fair_price", 2)).expect("a snapshot");
        let gone = update(&sent, "visitor.profile", 2);
        let mut gone = gone;
        gone.objects[0].deleted = true;
        let sent = sent.apply(&gone).expect("a snapshot");
        sent.groups()
            .next()
            .expect("a group")
            .readiness
            .set(Ready::Failed("no room".to_owned()));
        let json = serde_json::to_vec(&sent.to_wire().expect("JSON")).expect("JSON");
        let got = Snapshot::from_wire(serde_json::from_slice(&json).expect("JSON")).expect("a snapshot");

        assert_eq!(got.revision(), sent.revision());
        assert_eq!(got.readiness(), sent.readiness());
        let view = "fair_price".parse().expect("a name");
        assert_eq!(got.view(&view, Some(1)).expect("kept").revision, 1);
        assert_eq!(got.view(&view, None).expect("newest").revision, 2);
        let entries = |snapshot: &Snapshot| -> Vec<_> {
            let entries = snapshot.entries();
            entries
                .map(|(id, entry)| (id.clone(), entry.revision, entry.deleted, entry.record.clone()))
                .collect()
        };
        assert_eq!(entries(&got), entries(&sent));
        assert_eq!(got.graph().to_dot(), sent.graph().to_dot());
    }

    #[test]
    fn what_is_heard_twice_or_late_changes_nothing_and_a_gap_is_told() {
        let first = snapshot();
        let changes = update(&first, "fair_price", 2);
        let second = Announced::Changes {
            changes: changes.clone(),
            readiness: Vec::new(),
        };
        let third = Announced::Changes {
            changes: ChangeSet { revision: 3, ..changes },
            readiness: Vec::new(),
        };
        let catalog = Catalog::new(first);
        let gap = Gap::Missing { expected: 2, found: 3 };
        assert_eq!(catalog.hear(&carried(&third)), Err(gap.clone()));
        let ahead = Announced::Readiness {
            registry_revision: 3,
            readiness: Vec::new(),
        };
        assert_eq!(catalog.hear(&carried(&ahead)), Err(gap));
        for announced in [&second, &second, &third, &second, &ahead] {
            catalog.hear(&carried(announced)).expect("it follows, or is known");
        }
        assert_eq!(catalog.current().revision(), 3);
    }

    #[test]
    fn readiness_holds_for_its_layout_and_stores_and_stays() {
        let first = snapshot();
        let all = first.readiness();
        let waiting = Snapshot::from_wire(RegistrySnapshot {
            readiness: Vec::new(),
            ..first.to_wire().expect("JSON")
        });
        let catalog = Catalog::new(waiting.expect("a snapshot"));
        let is_ready = || catalog.current().groups().filter(|group| group.is_ready()).count();
        let heard = |change: fn(&mut GroupReadiness)| {
            let mut readiness = all.clone();
            readiness.iter_mut().for_each(change);
            let announced = Announced::Readiness {
                registry_revision: 1,
                readiness,
            };
            catalog.hear(&carried(&announced)).expect("known");
        };
        heard(|group| group.layout += 1);
        heard(|group| group.offline = !group.offline);
        assert_eq!(is_ready(), 0);
        heard(|group| {
            group.ready = false;
            group.reason = Some("no room".to_owned());
        });
        assert!(
            catalog
                .current()
                .groups()
                .all(|group| group.readiness.reason().as_deref() == Some("no room"))
        );
        heard(|_| {});
        assert_eq!(is_ready(), all.len());
        heard(|group| group.ready = false);
        assert_eq!(is_ready(), all.len());
    }
}
