//! Claims by key, and a list of them by the minute they were made, for forgetting them.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use forebay_model::Timestamp;
use forebay_storage::{BatchId, Claim, ClaimKey, ClaimOutcome, ClaimStore, Result, StorageError};
use futures::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::cluster::{Cluster, Statement};

const WHAT: &str = "claim store";

pub(crate) const TABLES: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS {}.claims (
        scope text, key text, body_hash blob, batch_id uuid, ingest_time bigint, answer blob, PRIMARY KEY ((scope, key))
    )",
    // A tombstone that is lost brings an entry back, which finds no claim of its time any more; so they need not stay for long.
    "CREATE TABLE IF NOT EXISTS {}.claims_by_minute (
        minute bigint, ingest_time bigint, scope text, key text, PRIMARY KEY (minute, ingest_time, scope, key)
    ) WITH gc_grace_seconds = 3600",
    "CREATE TABLE IF NOT EXISTS {}.claim_minutes (shelf text, minute bigint, PRIMARY KEY (shelf, minute))
        WITH gc_grace_seconds = 3600",
];

const SHELF: &str = "claims";

/// Microseconds of a minute.
const MINUTE: i64 = 60_000_000;

/// Claims that are forgotten at once.
const AT_ONCE: usize = 16;

/// Minutes that this process remembers to have listed.
const KNOWN_MINUTES: usize = 64;

/// Bytes of scope and key together: a partition key has 65,535 at most.
const KEY_LENGTH: usize = 60_000;

const GET: Statement = Statement::serial_read(
    WHAT,
    "SELECT body_hash, batch_id, ingest_time, answer FROM {}.claims WHERE scope = ? AND key = ?",
);
const MAKE: Statement = Statement::transaction(
    WHAT,
    "INSERT INTO {}.claims (scope, key, body_hash, batch_id, ingest_time) VALUES (?, ?, ?, ?, ?) IF NOT EXISTS",
);
const REPLACE: Statement = Statement::transaction(
    WHAT,
    "UPDATE {}.claims SET body_hash = ?, batch_id = ?, ingest_time = ?, answer = null WHERE scope = ? AND key = ?
        IF batch_id = ? AND ingest_time = ?",
);
const ANSWER: Statement = Statement::transaction(
    WHAT,
    "UPDATE {}.claims SET answer = ? WHERE scope = ? AND key = ? IF batch_id = ? AND answer = null",
);
const ABANDON: Statement = Statement::transaction(
    WHAT,
    "DELETE FROM {}.claims WHERE scope = ? AND key = ? IF batch_id = ? AND answer = null",
);
const EXPIRE: Statement = Statement::transaction(
    WHAT,
    "DELETE FROM {}.claims WHERE scope = ? AND key = ? IF ingest_time = ?",
);
const LIST_MINUTE: Statement = Statement::write(WHAT, "INSERT INTO {}.claim_minutes (shelf, minute) VALUES (?, ?)");
const UNLIST_MINUTE: Statement = Statement::write(WHAT, "DELETE FROM {}.claim_minutes WHERE shelf = ? AND minute = ?");
const MINUTES: Statement = Statement::read(
    WHAT,
    "SELECT minute FROM {}.claim_minutes WHERE shelf = ? AND minute <= ?",
);
const LIST: Statement = Statement::write(
    WHAT,
    "INSERT INTO {}.claims_by_minute (minute, ingest_time, scope, key) VALUES (?, ?, ?, ?)",
);
const UNLIST: Statement = Statement::write(
    WHAT,
    "DELETE FROM {}.claims_by_minute WHERE minute = ? AND ingest_time = ? AND scope = ? AND key = ?",
);
const LISTED: Statement = Statement::read(
    WHAT,
    "SELECT ingest_time, scope, key FROM {}.claims_by_minute WHERE minute = ? AND ingest_time < ? LIMIT ?",
);

/// Claims in Cassandra or ScyllaDB.
pub struct CassandraClaimStore {
    cluster: Arc<Cluster>,
    minutes: Mutex<HashSet<i64>>,
}

/// Body hash, batch, ingest time, answer.
type Row = (Vec<u8>, Uuid, i64, Option<Vec<u8>>);

/// A claim as it is stored.
struct Stored {
    claim: Claim,
    answer: Option<Bytes>,
}

impl CassandraClaimStore {
    pub(crate) fn new(cluster: Arc<Cluster>) -> Self {
        Self {
            cluster,
            minutes: Mutex::default(),
        }
    }

    async fn get(&self, key: &ClaimKey) -> Result<Option<Stored>> {
        let row: Option<Row> = self.cluster.row(&GET, (&key.scope, &key.key)).await?;
        let Some((body_hash, batch, ingest_time, answer)) = row else {
            return Ok(None);
        };
        let body_hash = body_hash
            .try_into()
            .map_err(|_| StorageError::corrupt(WHAT, "a claim has no hash of its request"))?;
        Ok(Some(Stored {
            claim: Claim {
                body_hash: u128::from_be_bytes(body_hash),
                batch: BatchId(batch),
                ingest_time: Timestamp::from_micros(ingest_time),
            },
            answer: answer.map(Bytes::from),
        }))
    }

    /// Puts the claim on the list before it is made, so that it is forgotten one day whatever happens.
    async fn list(&self, key: &ClaimKey, time: Timestamp) -> Result<()> {
        let minute = minute(time);
        if !self.minutes.lock().contains(&minute) {
            self.cluster.run(&LIST_MINUTE, (SHELF, minute)).await?;
            let mut known = self.minutes.lock();
            if known.len() >= KNOWN_MINUTES {
                known.clear();
            }
            known.insert(minute);
        }
        let values = (minute, time.micros(), &key.scope, &key.key);
        self.cluster.run(&LIST, values).await.map(drop)
    }

    /// Whether the key has this very claim, not answered.
    async fn is_open(&self, key: &ClaimKey, claim: &Claim) -> Result<bool> {
        let stored = self.get(key).await?;
        Ok(stored.is_some_and(|stored| stored.claim.batch == claim.batch && stored.answer.is_none()))
    }

    /// Forgets a claim that is on the list, if it is the one that was put there then.
    async fn forget(&self, minute: i64, (time, scope, key): (i64, String, String)) -> Result<u64> {
        let removed = self.cluster.transact(&EXPIRE, (&scope, &key, time)).await?;
        self.cluster.run(&UNLIST, (minute, time, scope, key)).await?;
        Ok(u64::from(removed))
    }
}

fn minute(time: Timestamp) -> i64 {
    time.micros().div_euclid(MINUTE)
}

fn check(key: &ClaimKey) -> Result<()> {
    if key.scope.len() + key.key.len() > KEY_LENGTH {
        return Err(StorageError::corrupt(
            WHAT,
            format!("an idempotency key is longer than {KEY_LENGTH} bytes; use a shorter one"),
        ));
    }
    Ok(())
}

#[async_trait]
impl ClaimStore for CassandraClaimStore {
    async fn claim(&self, key: &ClaimKey, proposal: &Claim, not_before: Timestamp) -> Result<ClaimOutcome> {
        check(key)?;
        self.list(key, proposal.ingest_time).await?;
        let hash = proposal.body_hash.to_be_bytes();
        let (batch, time) = (proposal.batch.0, proposal.ingest_time.micros());
        // What a transaction of ours that was not answered may have left behind is recognised by its batch, which is nobody else's.
        let mut unanswered = false;
        let mut replaced: Option<(Uuid, i64)> = None;
        let mut attempts = self.cluster.attempts(WHAT);
        loop {
            let applied = match replaced {
                None => {
                    let values = (&key.scope, &key.key, &hash[..], batch, time);
                    self.cluster.transact(&MAKE, values).await
                }
                Some((old, old_time)) => {
                    let values = (&hash[..], batch, time, &key.scope, &key.key, old, old_time);
                    self.cluster.transact(&REPLACE, values).await
                }
            };
            if let Ok(true) = applied {
                return Ok(ClaimOutcome::Claimed);
            }
            unanswered |= applied.is_err();
            let stored = match self.get(key).await {
                Ok(stored) => stored,
                Err(error) => {
                    attempts.again(Err::<(), _>(error)).await?;
                    continue;
                }
            };
            replaced = None;
            if let Some(stored) = stored {
                if unanswered && stored.claim.batch == proposal.batch && stored.answer.is_none() {
                    return Ok(ClaimOutcome::Claimed);
                }
                if stored.claim.ingest_time >= not_before {
                    return Ok(match stored.answer {
                        Some(answer) => ClaimOutcome::Answered(stored.claim, answer),
                        None => ClaimOutcome::Pending(stored.claim),
                    });
                }
                replaced = Some((stored.claim.batch.0, stored.claim.ingest_time.micros()));
            }
            attempts.again(applied).await?;
        }
    }

    async fn answer(&self, key: &ClaimKey, answer: Bytes) -> Result<Bytes> {
        let mut attempts = self.cluster.attempts(WHAT);
        loop {
            let claim = match self.get(key).await? {
                Some(Stored {
                    answer: Some(first), ..
                }) => return Ok(first),
                Some(Stored { claim, answer: None }) => claim,
                // It expired while it was worked on: a repetition is a new request then.
                None => return Ok(answer),
            };
            let values = (&answer[..], &key.scope, &key.key, claim.batch.0);
            match self.cluster.transact(&ANSWER, values).await {
                Ok(true) => return Ok(answer),
                // Somebody was first, or it is unknown whether it took effect: what is stored tells.
                applied => attempts.again(applied).await?,
            }
        }
    }

    async fn abandon(&self, key: &ClaimKey, claim: &Claim) -> Result<()> {
        let mut attempts = self.cluster.attempts(WHAT);
        loop {
            let applied = self
                .cluster
                .transact(&ABANDON, (&key.scope, &key.key, claim.batch.0))
                .await;
            if let Ok(true) = applied {
                return Ok(());
            }
            match self.is_open(key, claim).await {
                Ok(false) => return Ok(()),
                Ok(true) => attempts.again(applied).await?,
                Err(error) => attempts.again(Err::<(), _>(error)).await?,
            }
        }
    }

    async fn expire(&self, before: Timestamp, limit: usize) -> Result<u64> {
        self.minutes.lock().clear();
        let minutes: Vec<(i64,)> = self.cluster.rows(&MINUTES, (SHELF, minute(before))).await?;
        let mut removed = 0;
        for (minute_of,) in minutes {
            loop {
                let wanted = limit.saturating_sub(usize::try_from(removed).unwrap_or(usize::MAX));
                if wanted == 0 {
                    return Ok(removed);
                }
                let page = i32::try_from(wanted.min(1_000)).unwrap_or(i32::MAX);
                let listed: Vec<(i64, String, String)> =
                    self.cluster.rows(&LISTED, (minute_of, before.micros(), page)).await?;
                if listed.is_empty() {
                    break;
                }
                let forgotten: Vec<u64> = stream::iter(listed)
                    .map(|entry| self.forget(minute_of, entry))
                    .buffer_unordered(AT_ONCE)
                    .try_collect()
                    .await?;
                removed += forgotten.iter().sum::<u64>();
            }
            if minute_of < minute(before) {
                self.cluster.run(&UNLIST_MINUTE, (SHELF, minute_of)).await?;
            }
        }
        Ok(removed)
    }
}
