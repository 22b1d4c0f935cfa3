use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use forebay_model::Timestamp;
use forebay_storage::{Claim, ClaimKey, ClaimOutcome, ClaimStore, Result, StorageError};
use heed::{RoTxn, RwTxn};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::{State, Tables, WHAT, failed, from_json, to_json};

/// Claims by key, and their keys by the time they were made.
pub struct EmbeddedClaimStore(pub(crate) Arc<State>);

#[derive(Serialize, Deserialize)]
struct Stored {
    /// Told in full, since the table's key may be cut.
    key: ClaimKey,
    claim: Claim,
    answer: Option<Vec<u8>>,
}

#[async_trait]
impl ClaimStore for EmbeddedClaimStore {
    async fn claim(&self, key: &ClaimKey, proposal: &Claim, not_before: Timestamp) -> Result<ClaimOutcome> {
        let (key, proposal) = (key.clone(), proposal.clone());
        self.0
            .write(move |tables, write| {
                if let Some(stored) = get(tables, write, &key)? {
                    if stored.claim.ingest_time >= not_before {
                        return Ok(match stored.answer {
                            Some(answer) => ClaimOutcome::Answered(stored.claim, Bytes::from(answer)),
                            None => ClaimOutcome::Pending(stored.claim),
                        });
                    }
                    remove(tables, write, &stored)?;
                }
                let by_time = by_time(&key, proposal.ingest_time);
                let stored = Stored {
                    key,
                    claim: proposal,
                    answer: None,
                };
                put(tables, write, &stored)?;
                tables.claims_by_time.put(write, &by_time, &[]).map_err(failed)?;
                Ok(ClaimOutcome::Claimed)
            })
            .await
    }

    async fn answer(&self, key: &ClaimKey, answer: Bytes) -> Result<Bytes> {
        let key = key.clone();
        self.0
            .write(move |tables, write| match get(tables, write, &key)? {
                Some(Stored {
                    answer: Some(first), ..
                }) => Ok(Bytes::from(first)),
                Some(mut stored) => {
                    stored.answer = Some(answer.to_vec());
                    put(tables, write, &stored)?;
                    Ok(answer)
                }
                // It expired while it was worked on: a repetition is a new request then.
                None => Ok(answer),
            })
            .await
    }

    async fn abandon(&self, key: &ClaimKey, claim: &Claim) -> Result<()> {
        let (key, batch) = (key.clone(), claim.batch);
        self.0
            .write(move |tables, write| match get(tables, write, &key)? {
                Some(stored) if stored.claim.batch == batch && stored.answer.is_none() => {
                    remove(tables, write, &stored)
                }
                _ => Ok(()),
            })
            .await
    }

    async fn expire(&self, before: Timestamp, limit: usize) -> Result<u64> {
        self.0
            .write(move |tables, write| {
                let end = time_key(before);
                let mut old = Vec::new();
                for claim in tables.claims_by_time.iter(write).map_err(failed)?.take(limit) {
                    let key = claim.map_err(failed)?.0;
                    if key >= &end[..] {
                        break;
                    }
                    old.push(key.to_vec());
                }
                for by_time in &old {
                    tables.claims.delete(write, &by_time[TIME..]).map_err(failed)?;
                    tables.claims_by_time.delete(write, by_time).map_err(failed)?;
                }
                Ok(old.len() as u64)
            })
            .await
    }
}

/// Bytes of the time before the key of a claim.
const TIME: usize = 8;

/// Bytes of a claim's key that stay as they are; longer ones end in a hash.
const KEPT: usize = 480;

fn table_key(key: &ClaimKey) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(key.scope.len() + key.key.len() + 1);
    bytes.extend_from_slice(key.scope.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(key.key.as_bytes());
    if bytes.len() > KEPT {
        let hash = xxh3_128(&bytes);
        bytes.truncate(KEPT);
        bytes.extend_from_slice(&hash.to_be_bytes());
    }
    bytes
}

/// Sorts as the time does.
fn time_key(time: Timestamp) -> [u8; TIME] {
    (time.micros().cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

fn by_time(key: &ClaimKey, time: Timestamp) -> Vec<u8> {
    [&time_key(time)[..], &table_key(key)].concat()
}

fn get(tables: &Tables, snapshot: &RoTxn<'_>, key: &ClaimKey) -> Result<Option<Stored>> {
    let json = tables.claims.get(snapshot, &table_key(key)).map_err(failed)?;
    let stored: Option<Stored> = json.map(from_json).transpose()?;
    match stored {
        Some(stored) if stored.key != *key => Err(StorageError::corrupt(
            WHAT,
            "two long idempotency keys have one hash; use another key",
        )),
        stored => Ok(stored),
    }
}

fn put(tables: &Tables, write: &mut RwTxn<'_>, stored: &Stored) -> Result<()> {
    tables
        .claims
        .put(write, &table_key(&stored.key), &to_json(stored)?)
        .map_err(failed)
}

fn remove(tables: &Tables, write: &mut RwTxn<'_>, stored: &Stored) -> Result<()> {
    tables.claims.delete(write, &table_key(&stored.key)).map_err(failed)?;
    let by_time = by_time(&stored.key, stored.claim.ingest_time);
    tables.claims_by_time.delete(write, &by_time).map_err(failed)?;
    Ok(())
}
