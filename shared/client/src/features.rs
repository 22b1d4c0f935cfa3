//! Features as they are, and as they were.

use bytes::Bytes;
use forebay_api::historical_features::{HistoricalFeaturesRequest, HistoricalFeaturesResponse};
use forebay_api::online_features::{OnlineFeaturesRequest, OnlineFeaturesResponse};
use forebay_api::spines::SpineUpload;
use futures::{Stream, StreamExt};

use crate::call::Call;
use crate::client::Client;
use crate::error::{ClientError, with_sources};

impl Client {
    /// The newest values of features.
    pub async fn online_features(
        &self,
        request: &OnlineFeaturesRequest,
    ) -> Result<OnlineFeaturesResponse, ClientError> {
        self.json(&Call::post("/v1/online-features").only_reads().json(request)?)
            .await
    }

    /// Features at moments of the past, whole in memory.
    pub async fn historical_features(
        &self,
        request: &HistoricalFeaturesRequest,
    ) -> Result<HistoricalFeaturesResponse, ClientError> {
        let call = Call::post("/v1/historical-features")
            .only_reads()
            .header("accept", "application/json");
        self.json(&call.json(request)?).await
    }

    /// Features at moments of the past as a stream of bytes: `application/vnd.apache.arrow.stream`,
    /// `application/vnd.apache.parquet`, `text/csv` or `application/json`.
    pub async fn historical_features_as(
        &self,
        request: &HistoricalFeaturesRequest,
        media_type: &str,
    ) -> Result<impl Stream<Item = Result<Bytes, ClientError>> + Unpin + use<>, ClientError> {
        let call = Call::post("/v1/historical-features")
            .only_reads()
            .header("accept", media_type);
        let response = self.send(&call.json(request)?).await?;
        let url = self.base_url().to_owned();
        let bytes = response.bytes_stream().map(move |bytes| {
            bytes.map_err(|error| {
                let reason = with_sources(&error.without_url());
                ClientError::Unreachable {
                    url: url.clone(),
                    reason,
                }
            })
        });
        Ok(bytes.boxed())
    }

    /// Uploads keys and times for historical queries: Parquet, Arrow or CSV.
    pub async fn upload_spine(&self, media_type: &str, spine: Bytes) -> Result<SpineUpload, ClientError> {
        self.json(&Call::post("/v1/spines").idempotent().body(media_type, spine))
            .await
    }
}
