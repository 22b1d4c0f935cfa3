//! The seams between services and what they store in: one documented contract per file, kept by every backend and proven by the suites in
//! `conformance`, which every backend runs in full.
//!
//! No trait here knows HTTP, SQL or a particular server. Rows cross the seams packed (`forebay_rows::packed`), keys encoded (`forebay_model::entity_key`).

mod announcements;
mod claims;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod lease;
pub mod measured;
mod offline;
mod online;
mod provision;
mod registry;
mod rejected;
mod row_log;
mod runs;
mod secret;
mod settled;

pub use announcements::{Announcements, Channel, Heard, ProcessAnnouncements};
pub use claims::{Claim, ClaimKey, ClaimOutcome, ClaimStore};
pub use error::StorageError;
pub use lease::{Lease, Leases, ProcessLeases};
pub use offline::{
    Advance, Append, AppendError, ChangeKind, Changes, CommitIdentity, CommitNotes, Committed, Compacted, Compaction,
    NotesOut, OfflineStore, Retention, RowsError, RowsIn, RowsOut, SourceError, SourceTable, SourceTables, TableChange,
    TableVersion, Tidied,
};
pub use online::{OnlineAnswer, OnlineRead, OnlineRow, OnlineStore, Progress, Swept};
pub use provision::Provision;
pub use registry::{Head, Manifest, ManifestEntry, Published, RegistryStore, StoredObject};
pub use rejected::{NothingRejected, Rejected, RejectedId, RejectedLog, UnreadableRecord};
pub use row_log::{Appended, BatchId, Fetched, LogRow, LoggedRow, RowLog, Topic, Traced};
pub use runs::{RunStore, Saved, StoredRun};
pub use secret::Secret;
pub use settled::SettledTime;

/// The result of every storage operation.
pub type Result<T, E = StorageError> = std::result::Result<T, E>;
