//! `POST /v1/spines`: keys and times for a historical query, uploaded as Parquet, Arrow or CSV.

use forebay_model::Timestamp;
use serde::{Deserialize, Serialize};

/// An upload, to be named as `{"spine": {"id": …}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SpineUpload {
    pub id: String,
    pub rows: u64,
    /// When it is removed.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub expires_at: Timestamp,
}
