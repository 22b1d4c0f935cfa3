//! `GET /v1/info`: version, environment, limits.

use std::{collections::BTreeMap, sync::Arc};

use axum::extract::State;
use forebay_api::info::Info;
use forebay_model::{definitions, limits};
use forebay_server::Json;

use crate::{bundle::MAX_OBJECTS, proposal::MAX_GROUPS, registry::Registry};

/// The installation: its version, its environment and its limits.
#[utoipa::path(get, path = "/v1/info", operation_id = "info", responses((status = 200, body = Info)))]
pub async fn info(State(registry): State<Arc<Registry>>) -> Json<Info> {
    let deps = registry.deps();
    let mut limits = own_limits();
    limits.extend(deps.limits.clone());
    Json(Info {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        environment: deps.environment.clone(),
        registry_revision: registry.catalog().current().revision(),
        limits,
    })
}

fn own_limits() -> BTreeMap<String, u64> {
    let limits = [
        ("bundle_objects", MAX_OBJECTS),
        ("bundle_bytes", crate::MAX_BUNDLE_BYTES),
        ("groups", MAX_GROUPS),
        ("name_characters", limits::NAME_LENGTH),
        ("group_name_characters", limits::GROUP_NAME_LENGTH),
        ("encoded_key_bytes", limits::ENCODED_KEY_LENGTH),
        ("key_columns", limits::KEY_COLUMNS),
        ("group_features", limits::GROUP_FEATURES),
        ("view_columns", definitions::limits::VIEW_COLUMNS),
        ("sql_bytes", definitions::limits::SQL_LENGTH),
        ("batch_inputs", definitions::limits::INPUTS),
    ];
    let limits = limits.into_iter();
    limits
        .map(|(name, limit)| (name.to_owned(), u64::try_from(limit).unwrap_or(u64::MAX)))
        .collect()
}
