use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use forebay_model::{GroupSchema, Timestamp};

use crate::Result;

/// Knows each group's settled time: below it, no ingest time can still appear in the offline store.
#[async_trait]
pub trait SettledTime: Send + Sync {
    /// The group's settled time.
    async fn of(&self, schema: &Arc<GroupSchema>) -> Result<Timestamp>;

    /// Waits until the group has settled to `until` or the deadline has passed, asking the sink to write early, and tells the settled time either way.
    async fn wait(&self, schema: &Arc<GroupSchema>, until: Timestamp, deadline: Instant) -> Result<Timestamp>;
}
