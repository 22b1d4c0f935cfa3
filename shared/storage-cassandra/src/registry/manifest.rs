//! Manifests in parts, so that the head stays small and a change of one object among thousands writes little.
//!
//! An object is in the part that the hash of its name says. A part is stored under the hash of its content and never changes: manifests share those that
//! they have in common, and who has read one manifest needs to read only the parts in which the next one differs.

use std::{collections::HashMap, sync::Arc};

use forebay_model::definitions::ObjectId;
use forebay_storage::{Manifest, ManifestEntry, Result, StorageError};
use futures::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::{AT_ONCE, WHAT, corrupt};
use crate::cluster::{Cluster, Statement};

const PUT: Statement = Statement::write(WHAT, "INSERT INTO {}.registry_parts (id, content) VALUES (?, ?)");
const GET: Statement = Statement::read(WHAT, "SELECT content FROM {}.registry_parts WHERE id = ?");

/// Objects in a part, about.
const OBJECTS: usize = 32;

/// So many parts at most: their ids are in the head, 16 bytes each.
const MOST_PARTS: usize = 256;

/// Parts kept in memory.
const KEPT: usize = 4 * MOST_PARTS;

type Id = [u8; 16];
type Part = Vec<(ObjectId, ManifestEntry)>;

/// Parts that are in the store and were written or read by this process.
#[derive(Default)]
pub(super) struct Parts(Mutex<HashMap<Id, Arc<Part>>>);

impl Parts {
    /// Stores the parts of a manifest that are not there yet. Returns the ids of all.
    pub(super) async fn write(&self, cluster: &Cluster, manifest: &Manifest) -> Result<Vec<u8>> {
        let mut ids = Vec::new();
        let mut missing = Vec::new();
        for part in split(manifest) {
            let content = serde_json::to_vec(&part).map_err(corrupt)?;
            let id = xxh3_128(&content).to_be_bytes();
            ids.extend_from_slice(&id);
            if !self.0.lock().contains_key(&id) {
                missing.push((id, content, part));
            }
        }
        stream::iter(missing)
            .map(|(id, content, part)| async move {
                cluster.run(&PUT, (&id[..], content)).await?;
                self.keep(id, Arc::new(part));
                Ok::<_, StorageError>(())
            })
            .buffer_unordered(AT_ONCE)
            .try_for_each(|()| async { Ok(()) })
            .await?;
        Ok(ids)
    }

    /// The manifest of these parts.
    pub(super) async fn read(&self, cluster: &Cluster, ids: &[u8], next_group_id: u32) -> Result<Manifest> {
        let (ids, rest) = ids.as_chunks::<16>();
        if !rest.is_empty() {
            return Err(corrupt("a head names half a part"));
        }
        let parts: Vec<_> = stream::iter(0..ids.len())
            .map(|index| self.part(cluster, &ids[index]))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(Manifest {
            objects: parts.iter().flat_map(|part| part.iter().cloned()).collect(),
            next_group_id,
        })
    }

    async fn part(&self, cluster: &Cluster, id: &Id) -> Result<Arc<Part>> {
        if let Some(part) = self.0.lock().get(id) {
            return Ok(part.clone());
        }
        let content: Option<(Vec<u8>,)> = cluster.row(&GET, (&id[..],)).await?;
        let (content,) = content.ok_or_else(|| corrupt("a part of a manifest is missing"))?;
        let part = Arc::new(serde_json::from_slice(&content).map_err(corrupt)?);
        self.keep(*id, Arc::clone(&part));
        Ok(part)
    }

    fn keep(&self, id: Id, part: Arc<Part>) {
        let mut kept = self.0.lock();
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(id, part);
    }
}

/// The objects of each part, in order.
fn split(manifest: &Manifest) -> Vec<Part> {
    let count = manifest
        .objects
        .len()
        .div_ceil(OBJECTS)
        .next_power_of_two()
        .min(MOST_PARTS);
    let mut parts = vec![Part::new(); count];
    for (id, entry) in &manifest.objects {
        let part = xxh3_64(id.to_string().as_bytes()) as usize % count;
        parts[part].push((id.clone(), *entry));
    }
    parts
}

#[cfg(test)]
mod tests {
    use forebay_model::definitions::Kind;
    use uuid::Uuid;

    use super::*;

    fn manifest(objects: u64) -> Manifest {
        let entry = |revision| ManifestEntry {
            revision,
            apply_id: Uuid::nil(),
            deleted: false,
        };
        Manifest {
            objects: (0..objects)
                .map(|number| (ObjectId::new(Kind::Domain, format!("d{number}")), entry(number)))
                .collect(),
            next_group_id: 1,
        }
    }

    #[test]
    fn one_change_changes_one_part() {
        let before = manifest(5_000);
        let mut after = before.clone();
        after
            .objects
            .get_mut(&ObjectId::new(Kind::Domain, "d77"))
            .expect("it is there")
            .revision = 9_999;
        let (before, after) = (split(&before), split(&after));
        assert_eq!(before.len(), MOST_PARTS);
        let changed = before
            .iter()
            .zip(&after)
            .filter(|(before, after)| before != after)
            .count();
        assert_eq!(changed, 1);
        assert_eq!(after.iter().map(Vec::len).sum::<usize>(), 5_000);
    }

    #[test]
    fn a_small_manifest_has_one_part() {
        assert_eq!(split(&manifest(0)).len(), 1);
        assert_eq!(split(&manifest(32)).len(), 1);
        assert_eq!(split(&manifest(33)).len(), 2);
    }
}
