//! `/v1/runs`: executions of batch computations.

use forebay_model::Timestamp;
use serde::{Deserialize, Serialize};

/// What to run; without `groups`, everything that is due.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({"groups": ["product.value"], "downstream": true})))]
pub struct RunRequest {
    /// Batch groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
    /// Begin of the interval, included; without it, the whole past.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub start: Option<Timestamp>,
    /// End of the interval, excluded; without it, the time of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub end: Option<Timestamp>,
    /// Also run the groups that are computed from these, in their order.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub downstream: bool,
}

/// How far a run or a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum RunState {
    Queued,
    Running,
    Succeeded,
    Failed,
    /// Something upstream failed, so that this was not tried.
    Skipped,
    Cancelled,
}

/// A run with all its tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({
    "id": "0198c0de-0000-7000-8000-000000000001", "state": "running", "trigger": "request", "created_at": "2026-02-01T00:00:00Z",
    "tasks": [{"group": "product.value", "level": 0, "state": "running"}]
})))]
pub struct Run {
    pub id: String,
    pub state: RunState,
    /// What asked for it: request, change, every or cron.
    pub trigger: String,
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub finished_at: Option<Timestamp>,
    /// In the order of work.
    pub tasks: Vec<RunTask>,
}

/// One group and interval within a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunTask {
    pub group: String,
    /// Tasks of one level run in parallel, after those of the levels below.
    pub level: u32,
    pub state: RunState,
    /// Begin of the interval, included; absent for the whole past.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub start: Option<Timestamp>,
    /// End of the interval, excluded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub end: Option<Timestamp>,
    /// How often it was tried.
    #[serde(default)]
    pub attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub started_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub finished_at: Option<Timestamp>,
    /// Rows that the query gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_read: Option<u64>,
    /// Rows written; those equal to the winning ones are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_written: Option<u64>,
    /// Rows left out because their event time has not come yet; a run after it takes them in.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rows_ahead: u64,
    /// Rows left out because a check refuses them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rows_rejected: u64,
    /// What checks complained about, also those that only warn or make null.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The versions of the Delta tables that were read, by source or group.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub versions_read: std::collections::BTreeMap<String, u64>,
    /// The version of the group's Delta table that holds the rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_written: Option<u64>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl RunState {
    /// Whether nothing changes any more.
    pub fn is_final(self) -> bool {
        !matches!(self, RunState::Queued | RunState::Running)
    }

    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            RunState::Queued => "queued",
            RunState::Running => "running",
            RunState::Succeeded => "succeeded",
            RunState::Failed => "failed",
            RunState::Skipped => "skipped",
            RunState::Cancelled => "cancelled",
        }
    }
}
