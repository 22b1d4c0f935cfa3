//! Rows on their way in.

use bytes::Bytes;
use forebay_api::receipts::Receipt;
use forebay_api::rows::{RowsQuery, RowsResponse};

use crate::call::{Call, segment};
use crate::client::Client;
use crate::error::ClientError;

impl Client {
    /// Sends rows to a group: JSON, NDJSON, an Arrow IPC stream or Parquet, as the media type says. Repeats carry one
    /// idempotency key, so that the rows are taken once.
    pub async fn ingest(
        &self,
        group: &str,
        media_type: &str,
        rows: Bytes,
        query: &RowsQuery,
    ) -> Result<RowsResponse, ClientError> {
        let wait = (!query.wait.is_empty()).then(|| query.wait.join(","));
        let call = Call::post(format!("/v1/rows/{}", segment(group)))
            .idempotent()
            .query("wait", wait)
            .query("timeout", query.timeout.as_ref())
            .query("missing", query.missing.as_ref())
            .query("event_time", query.event_time.as_ref())
            .query("on_invalid", query.on_invalid.as_ref());
        self.json(&call.body(media_type, rows)).await
    }

    /// Where accepted rows are by now.
    pub async fn receipt(&self, id: &str) -> Result<Receipt, ClientError> {
        self.json(&Call::get(format!("/v1/receipts/{}", segment(id)))).await
    }
}
