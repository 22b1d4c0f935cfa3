use std::{ops::Bound, sync::Arc};

use async_trait::async_trait;
use forebay_model::definitions::ObjectId;
use forebay_storage::{Head, ManifestEntry, Published, RegistryStore, Result, StoredObject};
use heed::RoTxn;

use super::{State, Tables, failed, from_json, to_json};

/// Definitions with all their revisions. The head is the last of the log of heads, so that publishing is appending.
pub struct EmbeddedRegistryStore(pub(crate) Arc<State>);

#[async_trait]
impl RegistryStore for EmbeddedRegistryStore {
    async fn head(&self) -> Result<Head> {
        self.0.read(head)
    }

    async fn write(&self, objects: &[StoredObject]) -> Result<()> {
        let objects = objects
            .iter()
            .map(|object| Ok((key(&object.id, &object.entry), to_json(object)?)))
            .collect::<Result<Vec<_>>>()?;
        self.0
            .write(move |tables, write| {
                for (key, json) in &objects {
                    tables.objects.put(write, key, json).map_err(failed)?;
                }
                Ok(())
            })
            .await
    }

    async fn publish(&self, expected: u64, new: &Head) -> Result<Published> {
        let (revision, json) = (new.registry_revision, to_json(new)?);
        self.0
            .write(move |tables, write| {
                let current = head(tables, write)?;
                if current.registry_revision != expected {
                    return Ok(Published::Moved(Box::new(current)));
                }
                tables.heads.put(write, &revision, &json).map_err(failed)?;
                Ok(Published::Done)
            })
            .await
    }

    async fn objects(&self, ids: &[(ObjectId, ManifestEntry)]) -> Result<Vec<Option<StoredObject>>> {
        self.0.read(|tables, snapshot| {
            ids.iter()
                .map(|(id, entry)| {
                    let json = tables.objects.get(snapshot, &key(id, entry)).map_err(failed)?;
                    json.map(from_json).transpose()
                })
                .collect()
        })
    }

    async fn log(&self, after: u64, limit: usize) -> Result<Vec<Head>> {
        self.0.read(|tables, snapshot| {
            let range = (Bound::Excluded(after), Bound::Unbounded);
            let heads = tables.heads.range(snapshot, &range).map_err(failed)?;
            heads
                .take(limit)
                .map(|head| from_json(head.map_err(failed)?.1))
                .collect()
        })
    }
}

fn head(tables: &Tables, snapshot: &RoTxn<'_>) -> Result<Head> {
    match tables.heads.last(snapshot).map_err(failed)? {
        Some((_, json)) => from_json(json),
        None => Ok(Head::default()),
    }
}

/// Kind, name, revision, apply: names hold no zero byte.
fn key(id: &ObjectId, entry: &ManifestEntry) -> Vec<u8> {
    let mut key = id.to_string().into_bytes();
    key.push(0);
    key.extend_from_slice(&entry.revision.to_be_bytes());
    key.extend_from_slice(entry.apply_id.as_bytes());
    key
}
