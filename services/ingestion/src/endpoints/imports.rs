use std::sync::Arc;

use axum::extract::State;
use forebay_api::{
    Code,
    imports::{Import, ImportRequest, ImportState},
};
use forebay_catalog::Group;
use forebay_model::GroupName;
use forebay_server::{ApiError, ApiResult, Json, Path};
use forebay_storage::Topic;
use http::StatusCode;

use crate::{
    follower::{FollowerState, orders},
    intake,
    state::AppState,
};

/// Makes a group's online rows anew from its table.
///
/// For a group whose rows come as commits. It is what an operator does after somebody else's commit has removed rows of the table, which stops the group. The
/// online rows are thrown away first, so the group's keys are not found until they are read again.
#[utoipa::path(
    post,
    path = "/v1/imports",
    operation_id = "importTable",
    tag = "ingestion",
    request_body = ImportRequest,
    responses(
        (status = 202, description = "The rows will be made anew", body = Import),
        (status = 409, description = "`conflict`: the group's rows do not come as commits"),
        (status = 422, description = "`unknown_group`"),
    )
)]
pub async fn import(
    State(state): State<AppState>,
    Json(request): Json<ImportRequest>,
) -> ApiResult<(StatusCode, Json<Import>)> {
    let group = find(&state, &request.group).ok_or_else(|| {
        ApiError::new(
            Code::UnknownGroup,
            format!("no feature group is called `{}`", shown(&request.group)),
        )
    })?;
    if !is_followed(&group) {
        return Err(ApiError::new(
            Code::Conflict,
            format!(
                "the online rows of `{}` do not come from commits to its table",
                group.name
            ),
        ));
    }
    orders::order_rebuild(&*state.deps.online, &group, state.deps.clock.now())
        .await
        .map_err(intake::unavailable)?;
    state.followed.wake(Topic::of(&group.schema));
    let import = Import {
        group: group.name.to_string(),
        state: ImportState::Rebuilding,
        version: None,
        detail: None,
    };
    Ok((StatusCode::ACCEPTED, Json(import)))
}

/// How far the commits to a group's table are online.
#[utoipa::path(
    get,
    path = "/v1/imports/{group}",
    operation_id = "getImport",
    tag = "ingestion",
    params(("group" = String, Path, description = "The group's name", example = "product.value")),
    responses((status = 200, description = "Where the follower of the group's commits stands", body = Import))
)]
pub async fn get(State(state): State<AppState>, Path(name): Path<String>) -> ApiResult<Json<Import>> {
    let group = find(&state, &name).filter(|group| is_followed(group)).ok_or_else(|| {
        ApiError::new(
            Code::NotFound,
            format!("no feature group whose commits go online is called `{}`", shown(&name)),
        )
    })?;
    let topic = Topic::of(&group.schema);
    let stands = match state.followed.state(topic) {
        Some(here) => Some(here),
        // Its follower runs in another process.
        None => orders::state(&*state.deps.online, topic)
            .await
            .map_err(intake::unavailable)?,
    };
    let (import_state, version, detail) = match stands {
        None => (ImportState::Waiting, None, None),
        Some(FollowerState::Following { version }) => (ImportState::Following, Some(version), None),
        Some(FollowerState::Rebuilding { version }) => (ImportState::Rebuilding, version, None),
        Some(FollowerState::Stopped { version }) => (
            ImportState::Stopped,
            Some(version),
            Some("a commit by others removed rows of the table: look at it, then POST /v1/imports".to_owned()),
        ),
    };
    Ok(Json(Import {
        group: group.name.to_string(),
        state: import_state,
        version,
        detail,
    }))
}

fn find(state: &AppState, name: &str) -> Option<Arc<Group>> {
    let name: GroupName = name.parse().ok()?;
    state.deps.catalog.current().group(&name).ok().cloned()
}

fn is_followed(group: &Group) -> bool {
    group.is_online() && !group.uses_row_log()
}

fn shown(name: &str) -> String {
    name.chars().take(100).collect()
}
