use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use async_trait::async_trait;
use forebay_model::{GroupSchema, Timestamp};
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::{Provision, Result, StorageError};

/// The version of a table: counts its commits from 0.
pub type TableVersion = u64;

/// Why rows on their way into a table could not be made.
pub type RowsError = Box<dyn std::error::Error + Send + Sync>;

/// Rows to append, in any order: batches of the group's columns (keys, `event_time`, `ingest_time`, `_sequence`, features, `_deleted`) by name. Features,
/// `_sequence` and `_deleted` may be left out and are null then; a column that the table does not have is an error.
pub type RowsIn = BoxStream<'static, Result<RecordBatch, RowsError>>;

/// Rows of a table: batches with exactly the columns of the group's schema as it was asked for, in its order, absent ones null.
pub type RowsOut = BoxStream<'static, Result<RecordBatch>>;

/// The notes of commits, newest first.
pub type NotesOut = BoxStream<'static, Result<CommitNotes>>;

/// How far one partition of the row log is brought into the table by a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advance {
    pub partition: u32,
    /// The offset up to which the table must have come before; 0 for a table that has taken nothing.
    pub from: u64,
    /// The offset after the last one that the commit brings in.
    pub to: u64,
}

/// What a commit is, so that it takes effect once, however often it is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitIdentity {
    /// Rows of the log. The positions are checked in the very version that the commit is based on.
    Positions(Vec<Advance>),
    /// One interval of a run.
    Run(String),
}

/// What to append in one commit.
pub struct Append {
    pub identity: CommitIdentity,
    pub rows: RowsIn,
    /// Kept with the commit, for [`OfflineStore::notes`]; small.
    pub notes: BTreeMap<String, Json>,
}

impl fmt::Debug for Append {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Append")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

/// A commit that stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The version that holds the rows; of a commit that stood already, the one it was found in or a later one.
    pub version: TableVersion,
    /// Rows written by this call.
    pub rows: u64,
    /// The identity was in the table already, so nothing was written.
    pub repeated: bool,
}

/// Why an append did not happen.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The rows could not be made; nothing was committed.
    #[error("the rows to append could not be made, so nothing was committed: {0}")]
    Rows(#[source] RowsError),
    /// Somebody else has brought rows of the log into the table: read the positions again and go on from there.
    #[error(
        "partition {partition} of the log stands at offset {found} in the table, not at {expected}: another sink works on it; go on from its position"
    )]
    Moved { partition: u32, expected: u64, found: u64 },
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What a version did to the table's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It only added rows.
    AddsRows,
    /// It put the same rows into other files: compaction.
    RewritesFiles,
    /// It took rows away or changed them, whatever else it did.
    RemovesRows,
    /// It touched no rows: schema, properties, identities.
    Metadata,
}

/// One version of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableChange {
    pub version: TableVersion,
    pub kind: ChangeKind,
    /// When it was committed, by its writer's clock.
    pub committed_at: Option<Timestamp>,
    /// How many rows it added, where its statistics tell.
    pub rows_added: Option<u64>,
    /// The least and greatest event time of the rows it added, both included, widened to milliseconds; `None` when it added none, or when its statistics
    /// do not tell.
    pub event_times: Option<(Timestamp, Timestamp)>,
}

/// The versions of a table since one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// All of them in order, up to the limit asked for.
    Listed(Vec<TableChange>),
    /// The log of some is gone, or the table is older than they are. `newest` is the newest version, which can be read as a whole.
    Gone { newest: TableVersion },
}

/// The notes of one commit.
#[derive(Debug, Clone, PartialEq)]
pub struct CommitNotes {
    pub version: TableVersion,
    pub committed_at: Option<Timestamp>,
    /// The positions that the commit brought the table to, by partition.
    pub positions: BTreeMap<u32, u64>,
    pub notes: BTreeMap<String, Json>,
}

/// When files are merged into large sorted ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compaction {
    /// Merges only when there are at least so many files smaller than half the target.
    pub min_files: usize,
    /// Size of a merged file, in bytes.
    pub target_bytes: u64,
    /// How much of the rows is held in memory at once, in bytes.
    pub memory_bytes: usize,
}

/// What a compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compacted {
    /// There was too little to merge.
    Nothing,
    Merged {
        version: TableVersion,
        files_before: usize,
        files_after: usize,
    },
    /// Somebody else has rewritten or removed what was to be merged, so nothing was committed: start over.
    Moved,
}

/// What is kept when a table is tidied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// A checkpoint is written once so many versions came after the last one.
    pub checkpoint_every: u64,
    /// Log entries older than this go, up to a checkpoint.
    pub log: Duration,
    /// Files that no version needs, or none since this long, go.
    pub files: Duration,
    /// Versions from here on stay readable, whatever their age.
    pub oldest_pin: Option<TableVersion>,
}

/// What tidying did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tidied {
    pub checkpoint: Option<TableVersion>,
    pub log_entries_removed: usize,
    pub files_removed: usize,
}

/// All rows of every group that keeps history: one Delta table per group and generation.
///
/// Appending is safe with any number of writers; compaction and tidying are safe beside readers and writers and are run under the table's lease, for
/// efficiency. A row that is inadmissible (see `forebay_model::admission`) may be in a table that others write to: whoever reads leaves it out.
#[async_trait]
pub trait OfflineStore: Provision {
    /// The offset that each of the log's partitions stands at in the newest version: the next one to bring in, 0 for one never brought in.
    async fn positions(&self, schema: &Arc<GroupSchema>, partitions: u32) -> Result<Vec<u64>>;

    /// The newest version.
    async fn version(&self, schema: &Arc<GroupSchema>) -> Result<TableVersion>;

    /// Appends rows in one commit, exactly once per identity: tried again after any error, it finds out whether the commit stands. Rows are sorted by key and
    /// event time within each file. No rows still make a commit when there are positions to move.
    async fn append(&self, schema: &Arc<GroupSchema>, append: Append) -> Result<Committed, AppendError>;

    /// Whether a run's commit stands.
    async fn committed_run(&self, schema: &Arc<GroupSchema>, run: &str) -> Result<bool>;

    /// The versions after `since` (`None`: from the first), at most `limit`. A table that has not come as far as `since` was restored or made anew: what it had
    /// is [`Changes::Gone`].
    async fn changes(&self, schema: &Arc<GroupSchema>, since: Option<TableVersion>, limit: usize) -> Result<Changes>;

    /// The columns of the newest version that the schema does not have and that may be features: of a layout that this process does not know yet, or somebody
    /// else's. Rows are read without them.
    async fn unknown_columns(&self, schema: &Arc<GroupSchema>) -> Result<Vec<String>>;

    /// The rows that a version added, and only those. `Ok(None)` when its log entry or a file is gone; a file may also vanish while it is read, which is
    /// [`StorageError::Gone`] in the stream.
    async fn added_rows(&self, schema: &Arc<GroupSchema>, version: TableVersion) -> Result<Option<RowsOut>>;

    /// All rows of the newest version, or of the one asked for, with that version.
    async fn rows(&self, schema: &Arc<GroupSchema>, version: Option<TableVersion>) -> Result<(TableVersion, RowsOut)>;

    /// The notes of the commits since `since`, newest first, as far as the log reaches. A commit whose writer's clock was slow is among them: the store's own
    /// clock decides.
    async fn notes(&self, schema: &Arc<GroupSchema>, since: Timestamp) -> Result<NotesOut>;

    /// Merges small files into large sorted ones, if there are enough. It commits against a version that has every file it replaces, or not at all, so two at
    /// once never double a row; appends in the meantime do not hinder it.
    async fn compact(&self, schema: &Arc<GroupSchema>, policy: &Compaction) -> Result<Compacted>;

    /// Writes a checkpoint when one is due, removes expired log entries and unneeded files.
    async fn tidy(&self, schema: &Arc<GroupSchema>, retention: &Retention) -> Result<Tidied>;
}

/// Why a source cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("`{uri}` lies outside the places that may be read; allowed are: {allowed}")]
    NotAllowed { uri: String, allowed: String },
    #[error("there is no Delta table at `{uri}`")]
    NotFound { uri: String },
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A source table as it is.
#[derive(Debug, Clone)]
pub struct SourceTable {
    pub version: TableVersion,
    pub schema: SchemaRef,
}

/// Delta tables of others, read where they are: by a path under the lake's root, or a URI under an allowed one.
#[async_trait]
pub trait SourceTables: Send + Sync {
    /// The newest version and its columns.
    async fn describe(&self, uri: &str) -> Result<SourceTable, SourceError>;

    /// The versions after `since` (`None`: from the first), at most `limit`, with the range of the column `event_time`.
    async fn changes(
        &self,
        uri: &str,
        event_time: Option<&str>,
        since: Option<TableVersion>,
        limit: usize,
    ) -> Result<Changes, SourceError>;
}
