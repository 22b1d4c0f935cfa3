use std::sync::Arc;

use async_trait::async_trait;
use forebay_model::GroupSchema;

use crate::Result;

/// A backend's tables or topics for groups. The registry's reconciler calls it, as often as it likes.
#[async_trait]
pub trait Provision: Send + Sync {
    /// What it provides, for messages: `online store`, `offline store`, `row log`.
    fn what(&self) -> &'static str;

    /// Makes what the group needs, or brings it to the schema's layout. Idempotent; never loses a row, never goes back to an older layout.
    async fn ensure(&self, schema: &Arc<GroupSchema>) -> Result<()>;

    /// Removes all that is held for the group. Idempotent.
    async fn purge(&self, schema: &Arc<GroupSchema>) -> Result<()>;
}
