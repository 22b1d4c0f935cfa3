//! `GET /v1/receipts/{id}`: where accepted rows are by now.

use serde::{Deserialize, Serialize};

/// What a receipt stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({
    "receipt": "0198c0de-0000-7000-8000-000000000001", "group": "visitor.profile", "accepted": 1, "online": true, "offline": false
})))]
pub struct Receipt {
    pub receipt: String,
    pub group: String,
    pub accepted: u64,
    /// Whether readers of the online store see the rows; absent if the group is not stored there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online: Option<bool>,
    /// Whether the offline table holds the rows; absent if the group is not stored there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offline: Option<bool>,
}
