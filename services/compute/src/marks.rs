//! What compute remembers of each group between runs, in the run store.

use std::{collections::BTreeMap, sync::Arc};

use forebay_catalog::Group;
use forebay_model::{GroupId, Timestamp};
use forebay_storage::{Result, RunStore, TableVersion};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// Up to which versions of what it reads a group is computed, and by which definition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub fingerprint: u64,
    /// By a source's URI or a group's name.
    pub versions: BTreeMap<String, TableVersion>,
}

/// Changes with everything about a group that decides its rows.
pub(crate) fn fingerprint(group: &Group) -> u64 {
    let definition = group.definition();
    let query = definition.batch.as_ref().map(|batch| (&batch.sql, &batch.inputs));
    let columns: Vec<_> = group
        .schema
        .visible()
        .map(|(_, slot)| (&slot.name, &slot.data_type))
        .collect();
    let checks: Vec<_> = definition.features.iter().map(|feature| &feature.checks).collect();
    let text = serde_json::to_string(&(query, columns, checks)).unwrap_or_default();
    xxh3_64(text.as_bytes())
}

#[derive(Clone)]
pub(crate) struct Marks(pub Arc<dyn RunStore>);

impl Marks {
    pub async fn seen(&self, group: GroupId) -> Result<Option<Seen>> {
        self.read("seen", group).await
    }

    pub async fn set_seen(&self, group: GroupId, seen: &Seen) -> Result<()> {
        self.write("seen", group, seen).await
    }

    /// When its clock last started it.
    pub async fn fired(&self, group: GroupId) -> Result<Option<Timestamp>> {
        self.read("fired", group).await
    }

    pub async fn set_fired(&self, group: GroupId, at: Timestamp) -> Result<()> {
        self.write("fired", group, &at).await
    }

    /// The end of the last interval that was computed without a gap behind it.
    pub async fn covered(&self, group: GroupId) -> Result<Option<Timestamp>> {
        self.read("covered", group).await
    }

    pub async fn set_covered(&self, group: GroupId, end: Timestamp) -> Result<()> {
        self.write("covered", group, &end).await
    }

    /// When it last succeeded.
    pub async fn succeeded(&self, group: GroupId) -> Result<Option<Timestamp>> {
        self.read("succeeded", group).await
    }

    pub async fn set_succeeded(&self, group: GroupId, at: Timestamp) -> Result<()> {
        self.write("succeeded", group, &at).await
    }

    /// The newest ingest time that its rows were given.
    pub async fn ingested(&self, group: GroupId) -> Result<Option<Timestamp>> {
        self.read("ingested", group).await
    }

    pub async fn set_ingested(&self, group: GroupId, at: Timestamp) -> Result<()> {
        self.write("ingested", group, &at).await
    }

    /// A mark that cannot be read is as good as none: the group is computed again.
    async fn read<T: for<'a> Deserialize<'a>>(&self, what: &str, group: GroupId) -> Result<Option<T>> {
        let text = self.0.mark(&format!("compute/{what}/{}", group.0)).await?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    async fn write<T: Serialize + Sync>(&self, what: &str, group: GroupId, value: &T) -> Result<()> {
        let text = serde_json::to_string(value).unwrap_or_default();
        self.0.set_mark(&format!("compute/{what}/{}", group.0), &text).await
    }
}
