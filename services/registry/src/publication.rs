//! From a proposal to a new head.

use std::time::Duration;

use forebay_catalog::{ChangeSet, Object};
use forebay_model::Timestamp;
use forebay_storage::{Head, ManifestEntry, Published, RegistryStore, StorageError, StoredObject};
use uuid::Uuid;

use crate::{proposal::Proposal, refusal::Refusal};

/// How often a publication is tried whose outcome the store does not tell.
const ATTEMPTS: u32 = 4;
/// The pause before the second attempt; each one after is twice as long.
const PAUSE: Duration = Duration::from_millis(100);

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
    match replace_head(store, head.registry_revision, &next).await? {
        true => Ok(Outcome::Done(changes)),
        false => Ok(Outcome::Moved),
    }
}

/// Replaces the head if its registry revision is `expected`, and tells whether that was done. An attempt that failed may have been made all the
/// same, at once or later: the next one finds its apply id in the way, or decides that it is not made any more.
async fn replace_head(store: &dyn RegistryStore, expected: u64, next: &Head) -> Result<bool, Refusal> {
    let mut pause = PAUSE;
    let mut uncertain = None;
    for attempt in 1..=ATTEMPTS {
        let outcome = match store.publish(expected, next).await {
            Ok(Published::Done) => return Ok(true),
            Ok(Published::Moved(_)) if uncertain.is_none() => return Ok(false),
            Ok(Published::Moved(head)) => is_first_after(store, expected, next, &head).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(is_ours) => return Ok(is_ours),
            Err(error) => {
                tracing::warn!(%error, attempt, "it is not known whether a head was replaced");
                uncertain = Some(error);
            }
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    let error = uncertain.unwrap_or(StorageError::TimedOut {
        what: "the registry store",
    });
    // The last look: what is found now is what counts.
    match store.head().await {
        Ok(head) if head.registry_revision == expected => Err(Refusal::store(error)),
        Ok(head) => match is_first_after(store, expected, next, &head).await {
            Ok(is_ours) => Ok(is_ours),
            Err(error) => Err(Refusal::Uncertain(error)),
        },
        Err(_) => Err(Refusal::Uncertain(error)),
    }
}

/// Whether the revision after `expected` is the one that this apply made; `head` is what the store has.
async fn is_first_after(
    store: &dyn RegistryStore,
    expected: u64,
    next: &Head,
    head: &Head,
) -> Result<bool, StorageError> {
    if head.registry_revision == next.registry_revision {
        return Ok(head.apply_id == next.apply_id);
    }
    // Others went on from it.
    let first = store.log(expected, 1).await?;
    match first.first() {
        Some(first) => Ok(first.registry_revision == next.registry_revision && first.apply_id == next.apply_id),
        None => Err(StorageError::corrupt(
            "the registry store",
            format!("the log of heads lacks registry revision {}", next.registry_revision),
        )),
    }
}

fn content(object: &Object) -> Result<String, Refusal> {
    object
        .record
        .to_json()
        .map_err(|error| Refusal::Internal(error.to_string()))
}
