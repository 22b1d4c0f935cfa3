use async_trait::async_trait;
use bytes::Bytes;
use forebay_model::{GroupName, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Result, Topic};

/// A record of the row log that is no row of its group: it does not decode, or does not validate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableRecord {
    pub offset: u64,
    /// Stable, as in a refused row of a request: `undecodable`, `wrong_type`, `missing_feature`, …
    pub code: String,
    /// What is wrong, without any value of the record.
    pub detail: String,
    /// The record's key and value as they are.
    pub key: Option<Bytes>,
    pub value: Bytes,
}

/// Where a rejected record stands among all of them; opaque to callers, ordered by the time of rejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RejectedId {
    pub partition: u32,
    pub offset: u64,
}

/// A record that a sink has set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    pub group: GroupName,
    pub topic: Topic,
    pub partition: u32,
    pub record: UnreadableRecord,
    pub rejected_at: Timestamp,
}

/// What sinks have set aside, to be listed, mended and replayed. A record may be in it twice, since sinks repeat after a crash.
#[async_trait]
pub trait RejectedLog: Send + Sync {
    /// When it returns, the records are durable.
    async fn append(&self, rejected: Vec<Rejected>) -> Result<()>;

    /// Rejected records of a group (of all, if `None`) after `after`, oldest first, at most `limit`; and where to go on, if there are more.
    async fn list(
        &self,
        group: Option<&GroupName>,
        after: Option<RejectedId>,
        limit: usize,
    ) -> Result<(Vec<(RejectedId, Rejected)>, Option<RejectedId>)>;

    /// One of them; `None` when it is not there, or not any more.
    async fn get(&self, id: RejectedId) -> Result<Option<Rejected>>;
}

/// For row logs that nobody else writes to: whatever is in them was validated before, so that nothing is ever rejected.
pub struct NothingRejected;

#[async_trait]
impl RejectedLog for NothingRejected {
    async fn append(&self, rejected: Vec<Rejected>) -> Result<()> {
        match rejected.first() {
            None => Ok(()),
            Some(first) => Err(crate::StorageError::corrupt(
                "row log",
                format!(
                    "offset {} of group {}: {}",
                    first.record.offset, first.group, first.record.detail
                ),
            )),
        }
    }

    async fn list(
        &self,
        _: Option<&GroupName>,
        _: Option<RejectedId>,
        _: usize,
    ) -> Result<(Vec<(RejectedId, Rejected)>, Option<RejectedId>)> {
        Ok((Vec::new(), None))
    }

    async fn get(&self, _: RejectedId) -> Result<Option<Rejected>> {
        Ok(None)
    }
}
