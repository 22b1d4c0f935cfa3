//! From a proposal to a new head.

use forebay_catalog::{ChangeSet, Object};
use forebay_model::Timestamp;
use forebay_storage::{Head, ManifestEntry, Published, RegistryStore, StoredObject};
use uuid::Uuid;

use crate::{proposal::Proposal, refusal::Refusal};

/// How a publication ended.
#[derive(Debug)]
pub enum Outcome {
    Done(ChangeSet),
    /// Somebody else was first; nothing of ours is visible.
    Moved,
}

/// Writes the objects of a proposal and makes them visible at once.
///
/// # Errors
/// [`Refusal::Unavailable`] when nothing was made visible, [`Refusal::Uncertain`] when that could not be found out.
pub async fn publish(
    store: &dyn RegistryStore,
    head: &Head,
    proposal: &Proposal,
    apply_id: Uuid,
    now: Timestamp,
) -> Result<Outcome, Refusal> {
    let mut next = Head {
        registry_revision: head.registry_revision + 1,
        apply_id,
        published_at: now,
        manifest: head.manifest.clone(),
    };
    next.manifest.next_group_id = proposal.next_group_id;
    let mut stored = Vec::with_capacity(proposal.objects.len());
    for object in &proposal.objects {
        let entry = ManifestEntry {
            revision: object.revision,
            apply_id,
            deleted: object.deleted,
        };
        let id = object.record.id();
        let previous = next.manifest.objects.insert(id.clone(), entry);
        stored.push(StoredObject {
            id,
            entry,
            previous,
            written_at: now,
            content: content(object)?,
        });
    }
    store.write(&stored).await.map_err(Refusal::store)?;
    let changes = ChangeSet {
        revision: next.registry_revision,
        published_at: now,
        objects: proposal.objects.clone(),
    };
    match store.publish(head.registry_revision, &next).await {
        Ok(Published::Done) => Ok(Outcome::Done(changes)),
        Ok(Published::Moved(_)) => Ok(Outcome::Moved),
        Err(error) => {
            // It may have happened all the same: the log of heads knows every apply by its id.
            let log = store.log(head.registry_revision, 1_000).await;
            match log {
                Ok(heads) if heads.iter().any(|found| found.apply_id == apply_id) => Ok(Outcome::Done(changes)),
                Ok(heads) if !heads.is_empty() => Ok(Outcome::Moved),
                _ => Err(Refusal::Uncertain(error)),
            }
        }
    }
}

fn content(object: &Object) -> Result<String, Refusal> {
    object
        .record
        .to_json()
        .map_err(|error| Refusal::Internal(error.to_string()))
}
