//! The registry store's content as a snapshot.

use std::sync::Arc;

use forebay_catalog::{ChangeSet, Object, Record, Snapshot};
use forebay_model::definitions::{Kind, ObjectId};
use forebay_storage::{Head, ManifestEntry, RegistryStore, StorageError, StoredObject};

use crate::refusal::Refusal;

/// Objects asked of the store at once.
const CHUNK: usize = 500;

/// Everything that the head points at, and of views all revisions since they were last made anew.
///
/// # Errors
/// When the store does not answer, or what it holds is not what a registry writes.
pub async fn load(store: &dyn RegistryStore, head: &Head) -> Result<Snapshot, Refusal> {
    let wanted: Vec<(ObjectId, ManifestEntry)> = head
        .manifest
        .objects
        .iter()
        .map(|(id, entry)| (id.clone(), *entry))
        .collect();
    let mut objects = Vec::with_capacity(wanted.len());
    // Views whose older revisions are still to be read.
    let mut older: Vec<(ObjectId, ManifestEntry)> = Vec::new();
    for stored in fetch(store, &wanted).await? {
        if stored.id.kind == Kind::FeatureView && !stored.entry.deleted {
            older.extend(stored.previous.map(|entry| (stored.id.clone(), entry)));
        }
        objects.push(object(&stored)?);
    }
    // Before the newest ones, since the last of several revisions is the current one.
    let mut history = Vec::new();
    while !older.is_empty() {
        let mut next = Vec::new();
        for stored in fetch(store, &older).await? {
            if !stored.entry.deleted {
                next.extend(stored.previous.map(|entry| (stored.id.clone(), entry)));
                history.push(object(&stored)?);
            }
        }
        older = next;
    }
    history.reverse();
    history.extend(objects);
    let changes = ChangeSet {
        revision: head.registry_revision,
        published_at: head.published_at,
        objects: history,
    };
    Snapshot::empty()
        .apply(&changes)
        .map_err(|cycle| Refusal::Internal(format!("the registry store holds {cycle}")))
}

/// The change sets after a registry revision, oldest first, at most `limit` of them: what differs between one head and the next.
///
/// # Errors
/// When the store does not answer, or what it holds is not what a registry writes.
pub async fn changes(store: &dyn RegistryStore, after: u64, limit: usize) -> Result<Vec<ChangeSet>, Refusal> {
    // With the head before them, which there is none of before the first.
    let (from, heads) = match after {
        0 => (0, limit),
        after => (after - 1, limit + 1),
    };
    let mut heads = store.log(from, heads).await.map_err(Refusal::store)?.into_iter();
    let mut before = match after {
        0 => Head::default(),
        _ => heads.next().unwrap_or_default(),
    };
    let mut found = Vec::new();
    for head in heads {
        if before.registry_revision + 1 != head.registry_revision {
            break;
        }
        let old = &before.manifest.objects;
        let changed = head
            .manifest
            .objects
            .iter()
            .filter(|(id, entry)| old.get(*id) != Some(*entry));
        let changed: Vec<_> = changed.map(|(id, entry)| (id.clone(), *entry)).collect();
        let stored = fetch(store, &changed).await?;
        found.push(ChangeSet {
            revision: head.registry_revision,
            published_at: head.published_at,
            objects: stored.iter().map(object).collect::<Result<_, _>>()?,
        });
        before = head;
    }
    Ok(found)
}

/// One stored revision.
///
/// # Errors
/// When it is not what a registry writes.
pub fn object(stored: &StoredObject) -> Result<Object, Refusal> {
    let record = Record::from_json(&stored.content)
        .map_err(|error| Refusal::Internal(format!("{} revision {}: {error}", stored.id, stored.entry.revision)))?;
    Ok(Object {
        revision: stored.entry.revision,
        deleted: stored.entry.deleted,
        record: Arc::new(record),
    })
}

/// An object's revision, found by going back from its current one.
///
/// # Errors
/// When the store does not answer.
pub async fn revision(
    store: &dyn RegistryStore,
    id: &ObjectId,
    newest: ManifestEntry,
    wanted: u64,
) -> Result<Option<StoredObject>, Refusal> {
    let mut entry = newest;
    while entry.revision >= wanted {
        let Some(stored) = fetch(store, &[(id.clone(), entry)]).await?.pop() else {
            return Ok(None);
        };
        if entry.revision == wanted {
            return Ok(Some(stored));
        }
        match stored.previous {
            Some(previous) => entry = previous,
            None => return Ok(None),
        }
    }
    Ok(None)
}

async fn fetch(store: &dyn RegistryStore, wanted: &[(ObjectId, ManifestEntry)]) -> Result<Vec<StoredObject>, Refusal> {
    let mut found = Vec::with_capacity(wanted.len());
    for chunk in wanted.chunks(CHUNK) {
        let stored = store.objects(chunk).await.map_err(Refusal::store)?;
        for (stored, (id, entry)) in stored.into_iter().zip(chunk) {
            let missing = || {
                StorageError::corrupt(
                    "the registry store",
                    format!("{id} revision {} is missing", entry.revision),
                )
            };
            found.push(stored.ok_or_else(missing).map_err(Refusal::store)?);
        }
    }
    Ok(found)
}
