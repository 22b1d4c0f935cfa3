//! The claim store with a stopwatch.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use forebay_model::Timestamp;

use super::operation::Operation;
use crate::{Claim, ClaimKey, ClaimOutcome, ClaimStore, Result};

pub(super) struct Measured {
    inner: Arc<dyn ClaimStore>,
    claim: Operation,
    answer: Operation,
    abandon: Operation,
    expire: Operation,
}

impl Measured {
    pub fn new(inner: Arc<dyn ClaimStore>, backend: &'static str) -> Self {
        let operation = |name| Operation::new(backend, name);
        Self {
            inner,
            claim: operation("claims_claim"),
            answer: operation("claims_answer"),
            abandon: operation("claims_abandon"),
            expire: operation("claims_expire"),
        }
    }
}

#[async_trait]
impl ClaimStore for Measured {
    async fn claim(&self, key: &ClaimKey, proposal: &Claim, not_before: Timestamp) -> Result<ClaimOutcome> {
        self.claim.measure(self.inner.claim(key, proposal, not_before)).await
    }

    async fn answer(&self, key: &ClaimKey, answer: Bytes) -> Result<Bytes> {
        self.answer.measure(self.inner.answer(key, answer)).await
    }

    async fn abandon(&self, key: &ClaimKey, claim: &Claim) -> Result<()> {
        self.abandon.measure(self.inner.abandon(key, claim)).await
    }

    async fn expire(&self, before: Timestamp, limit: usize) -> Result<u64> {
        self.expire.measure(self.inner.expire(before, limit)).await
    }
}
