use std::collections::BTreeMap;

use async_trait::async_trait;
use forebay_model::{Timestamp, definitions::ObjectId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Result;

/// One revision of an object: immutable once written, visible once a head's manifest points at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredObject {
    pub id: ObjectId,
    pub entry: ManifestEntry,
    /// The entry of the revision before, so that all of them can be reached from the head.
    pub previous: Option<ManifestEntry>,
    pub written_at: Timestamp,
    /// JSON, meaningful to the registry alone; of a deleted object its last content.
    pub content: String,
}

/// Points at one revision of an object. Two applies may write the same revision number; the apply id keeps them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestEntry {
    pub revision: u64,
    pub apply_id: Uuid,
    /// The object was deleted by this revision; it stays in the manifest so that its revisions count on.
    #[serde(default)]
    pub deleted: bool,
}

/// The current revision of every object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    #[serde(with = "entries")]
    pub objects: BTreeMap<ObjectId, ManifestEntry>,
    /// The number the next new group gets.
    pub next_group_id: u32,
}

/// The state of the registry: what the one head row holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Counts all changes; 0 before the first.
    pub registry_revision: u64,
    /// The apply that published it.
    pub apply_id: Uuid,
    pub published_at: Timestamp,
    pub manifest: Manifest,
}

/// What became of a publication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    Done,
    /// Somebody else was first; this is the head they left. Nothing of ours is visible.
    Moved(Box<Head>),
}

/// Definitions with all their revisions, and one head that makes them visible, all at once.
#[async_trait]
pub trait RegistryStore: Send + Sync {
    /// The current head; the default one before the first publication.
    async fn head(&self) -> Result<Head>;

    /// Writes revisions that no reader sees until a head points at them. What an apply wrote and never published does no harm.
    async fn write(&self, objects: &[StoredObject]) -> Result<()>;

    /// Replaces the head if its registry revision is still `expected`, atomically and durably, and appends it to the log of heads. After an error the
    /// publication may have happened: it has if the head or its log holds `head.apply_id`.
    async fn publish(&self, expected: u64, head: &Head) -> Result<Published>;

    /// Revisions of objects, in the order asked; `None` where that revision was never written.
    async fn objects(&self, ids: &[(ObjectId, ManifestEntry)]) -> Result<Vec<Option<StoredObject>>>;

    /// The heads after registry revision `after`, oldest first, at most `limit` of them.
    async fn log(&self, after: u64, limit: usize) -> Result<Vec<Head>>;
}

/// A map with structured keys, as a list of pairs in JSON.
mod entries {
    use std::collections::BTreeMap;

    use forebay_model::definitions::ObjectId;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::ManifestEntry;

    pub fn serialize<S: Serializer>(
        entries: &BTreeMap<ObjectId, ManifestEntry>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(entries)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<ObjectId, ManifestEntry>, D::Error> {
        Ok(Vec::<(ObjectId, ManifestEntry)>::deserialize(deserializer)?
            .into_iter()
            .collect())
    }
}
