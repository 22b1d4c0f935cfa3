use async_trait::async_trait;
use bytes::Bytes;
use forebay_model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{BatchId, Result};

/// An `Idempotency-Key` within what it applies to, such as `rows/visitor.profile`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ClaimKey {
    pub scope: String,
    pub key: String,
}

/// What the first request with a key fixed for all its repetitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// A hash of the request: a repetition must be equal.
    pub body_hash: u128,
    pub batch: BatchId,
    pub ingest_time: Timestamp,
}

/// What a request with a key is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// It is the first: go on with the claim as proposed.
    Claimed,
    /// One before it began and its end is unknown: emit the same rows again, with this claim's identities.
    Pending(Claim),
    /// One before it was answered, like this; the claim tells whether it was the same request.
    Answered(Claim, Bytes),
}

/// Idempotency keys and what they were answered, for a day.
#[async_trait]
pub trait ClaimStore: Send + Sync {
    /// Claims a key, atomically and durably, unless it is claimed since `not_before`.
    async fn claim(&self, key: &ClaimKey, proposal: &Claim, not_before: Timestamp) -> Result<ClaimOutcome>;

    /// Stores the answer of a claimed request, durably, and gives back the one that stands, for the caller: attempts of one request may end beside each other,
    /// and the first answer stays. A claim that has expired meanwhile takes none; then the caller's own is given back.
    async fn answer(&self, key: &ClaimKey, answer: Bytes) -> Result<Bytes>;

    /// Gives a claim up that took no effect, so that the key is free again. If the key is claimed by another request by now, or this one was answered, nothing
    /// happens: whoever comes late must not free a key under which rows were taken in.
    async fn abandon(&self, key: &ClaimKey, claim: &Claim) -> Result<()>;

    /// Forgets claims made before `before`, at most `limit`, and tells how many.
    async fn expire(&self, before: Timestamp, limit: usize) -> Result<u64>;
}
