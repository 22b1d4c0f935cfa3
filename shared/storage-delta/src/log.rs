//! What the entries of a table's log say that each version did.

use std::{collections::BTreeMap, pin::pin};

use deltalake::{DeltaTable, kernel::Add};
use forebay_model::Timestamp;
use forebay_storage::{ChangeKind, Changes, Result, StorageError, TableChange, TableVersion};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use serde_json::Value as Json;

use crate::{WHAT, error, stats::FileStats, table::version_of};

/// Our notes in a commit are fields of its `commitInfo` with this prefix.
pub(crate) const NOTE_PREFIX: &str = "forebay.";

/// One log entry, as far as it matters here.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    /// Files whose rows are new to the table.
    pub(crate) added: Vec<Add>,
    /// The paths of all files that it brings into the table, be their rows new or not.
    pub(crate) files: Vec<String>,
    rewrote: bool,
    removed: bool,
    pub(crate) committed_at: Option<Timestamp>,
    /// Application transaction identifiers.
    pub(crate) transactions: Vec<(String, i64)>,
    pub(crate) notes: BTreeMap<String, Json>,
}

impl Entry {
    /// The entry of a version; `None` when it is gone.
    pub(crate) async fn read(table: &DeltaTable, version: TableVersion) -> Result<Option<Self>> {
        let bytes = table
            .log_store()
            .read_commit_entry(version)
            .await
            .map_err(error::from_delta)?;
        bytes.map(|bytes| Self::parse(version, &bytes)).transpose()
    }

    fn parse(version: TableVersion, bytes: &[u8]) -> Result<Self> {
        let corrupt = |failure: serde_json::Error| {
            StorageError::corrupt(
                WHAT,
                format!("log entry {version} of a table cannot be parsed: {failure}"),
            )
        };
        let mut entry = Self::default();
        for action in serde_json::Deserializer::from_slice(bytes).into_iter::<Json>() {
            let Json::Object(action) = action.map_err(corrupt)? else {
                continue;
            };
            for (kind, body) in action {
                match kind.as_str() {
                    "add" => {
                        let add: Add = serde_json::from_value(body).map_err(corrupt)?;
                        entry.files.push(add.path.clone());
                        if add.data_change {
                            entry.added.push(add);
                        } else {
                            entry.rewrote = true;
                        }
                    }
                    "remove" => {
                        // The flag is required; an entry without it is taken for the worse.
                        if body.get("dataChange").and_then(Json::as_bool).unwrap_or(true) {
                            entry.removed = true;
                        } else {
                            entry.rewrote = true;
                        }
                    }
                    "txn" => {
                        if let (Some(app), Some(at)) = (body["appId"].as_str(), body["version"].as_i64()) {
                            entry.transactions.push((app.to_owned(), at));
                        }
                    }
                    "commitInfo" => {
                        entry.committed_at = body["timestamp"]
                            .as_i64()
                            .map(|millis| Timestamp::from_micros(millis.saturating_mul(1_000)));
                        let fields = body.as_object().into_iter().flatten();
                        entry.notes = fields
                            .filter_map(|(name, note)| Some((name.strip_prefix(NOTE_PREFIX)?.to_owned(), note.clone())))
                            .collect();
                    }
                    _ => {}
                }
            }
        }
        Ok(entry)
    }

    pub(crate) fn kind(&self) -> ChangeKind {
        // A deletion vector on an added file hides rows of it, whatever else the entry says.
        let hides = self.added.iter().any(|add| add.deletion_vector.is_some());
        if self.removed || hides {
            ChangeKind::RemovesRows
        } else if !self.added.is_empty() {
            ChangeKind::AddsRows
        } else if self.rewrote {
            ChangeKind::RewritesFiles
        } else {
            ChangeKind::Metadata
        }
    }

    fn change(&self, version: TableVersion, event_time: Option<&str>) -> TableChange {
        let stats: Vec<FileStats> = self
            .added
            .iter()
            .map(|add| FileStats::parse(add.stats.as_deref()))
            .filter(|stats| stats.rows != Some(0))
            .collect();
        let times = event_time.and_then(|column| {
            let times: Option<Vec<_>> = stats.iter().map(|stats| stats.times(column)).collect();
            times?
                .into_iter()
                .reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
        });
        TableChange {
            version,
            kind: self.kind(),
            committed_at: self.committed_at,
            rows_added: stats.iter().map(|stats| stats.rows).sum(),
            event_times: times,
        }
    }
}

/// Entries that are fetched at the same time.
const AT_ONCE: usize = 16;

/// The entries of versions, in the order asked for; `None` for one that is gone.
pub(crate) fn entries<'a>(
    table: &'a DeltaTable,
    versions: impl Iterator<Item = TableVersion> + Send + 'a,
) -> impl Stream<Item = Result<(TableVersion, Option<Entry>)>> + Send + 'a {
    let reads = versions.map(move |version| async move { Ok((version, Entry::read(table, version).await?)) });
    stream::iter(reads).buffered(AT_ONCE)
}

/// The versions after `since`, at most `limit`. A table that has not come as far as `since` was restored or made anew: it has other versions of these numbers.
pub(crate) async fn changes(
    table: &DeltaTable,
    event_time: Option<&str>,
    since: Option<TableVersion>,
    limit: usize,
) -> Result<Changes> {
    let newest = version_of(table);
    if since.is_some_and(|since| since > newest) {
        return Ok(Changes::Gone { newest });
    }
    let first = since.map_or(0, |since| since + 1);
    let mut listed = Vec::new();
    let mut entries = pin!(entries(table, (first..=newest).take(limit)));
    while let Some((version, entry)) = entries.try_next().await? {
        match entry {
            Some(entry) => listed.push(entry.change(version, event_time)),
            None => return Ok(Changes::Gone { newest }),
        }
    }
    Ok(Changes::Listed(listed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(entry: &str) -> ChangeKind {
        Entry::parse(1, entry.as_bytes()).expect("parses").kind()
    }

    fn add(data_change: bool) -> String {
        format!(
            r#"{{"add":{{"path":"a.parquet","partitionValues":{{}},"size":1,"modificationTime":1,"dataChange":{data_change}}}}}"#
        )
    }

    fn remove(data_change: bool) -> String {
        format!(r#"{{"remove":{{"path":"b.parquet","dataChange":{data_change}}}}}"#)
    }

    #[test]
    fn a_version_is_judged_by_what_it_did_to_rows() {
        let info = r#"{"commitInfo":{"timestamp":1,"operation":"anything"}}"#;
        assert_eq!(kind(info), ChangeKind::Metadata);
        assert_eq!(kind(&format!("{info}\n{}", add(true))), ChangeKind::AddsRows);
        assert_eq!(
            kind(&format!("{}\n{}", add(false), remove(false))),
            ChangeKind::RewritesFiles
        );
        assert_eq!(kind(&format!("{}\n{}", add(true), remove(false))), ChangeKind::AddsRows);
        assert_eq!(
            kind(&format!("{}\n{}", add(true), remove(true))),
            ChangeKind::RemovesRows
        );
        assert_eq!(kind(r#"{"remove":{"path":"b.parquet"}}"#), ChangeKind::RemovesRows);
    }

    #[test]
    fn a_broken_entry_is_an_error() {
        assert!(matches!(
            Entry::parse(1, b"{\"add\": {"),
            Err(StorageError::Corrupt { .. })
        ));
    }

    #[test]
    fn identities_and_notes_are_read() {
        let entry = Entry::parse(
            3,
            br#"{"commitInfo":{"timestamp":5,"forebay.batches":{"x":1},"engineInfo":"e"}}
{"txn":{"appId":"forebay/7.0/0","version":12}}"#,
        )
        .expect("parses");
        assert_eq!(entry.transactions, [("forebay/7.0/0".to_owned(), 12)]);
        assert_eq!(entry.notes.keys().collect::<Vec<_>>(), ["batches"]);
        assert_eq!(entry.committed_at, Some(Timestamp::from_micros(5_000)));
    }
}
