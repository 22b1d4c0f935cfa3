//! `GET /v1/schedule`: what will run, in which order, and when.

use forebay_model::Timestamp;
use serde::{Deserialize, Serialize};

/// The batch groups in the order of work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Schedule {
    pub items: Vec<Scheduled>,
}

/// When one group runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Scheduled {
    pub group: String,
    pub level: u32,
    /// on_change, every or cron; request without a trigger.
    pub trigger: String,
    /// What it reads: sources and groups.
    pub reads: Vec<String>,
    /// Whether it runs as soon as there is a place.
    pub due: bool,
    /// When it is due next, if a clock decides that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub next: Option<Timestamp>,
    /// When it last succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub last_success: Option<Timestamp>,
}
