use std::sync::Arc;

use forebay_api::{Code, Problem};
use forebay_catalog::{Group, LookupError, Snapshot};
use forebay_model::{GroupName, definitions::WayIn};
use forebay_server::{ApiError, ApiResult};

/// The group of a path that takes rows from callers.
pub fn taking_rows(snapshot: &Snapshot, name: &str) -> ApiResult<Arc<Group>> {
    let parsed: GroupName = name
        .parse()
        .map_err(|_| not_found(format!("no feature group is called `{}`", shown(name))))?;
    let group = snapshot.group(&parsed).map_err(|error| not_found(error.to_string()))?;
    if let Some(why) = refusal(group) {
        return Err(ApiError::new(Code::ComputedGroup, why));
    }
    snapshot.ready_group(&parsed).cloned().map_err(|error| match &error {
        LookupError::NotReady { .. } => Problem::new(Code::NotReady, error.to_string()).retry_after(1).into(),
        _ => not_found(error.to_string()),
    })
}

/// Why callers may not send rows of the group.
fn refusal(group: &Group) -> Option<String> {
    let name = &group.name;
    match group.way_in {
        WayIn::Rows => None,
        WayIn::Batch | WayIn::Streaming => Some(format!(
            "the rows of `{name}` are computed; change what computes them, or send rows to another group"
        )),
        WayIn::Commits => Some(format!(
            "the rows of `{name}` come as commits to its Delta table; append them there"
        )),
    }
}

fn not_found(detail: String) -> ApiError {
    ApiError::new(Code::NotFound, detail)
}

fn shown(name: &str) -> String {
    name.chars().take(100).collect()
}
