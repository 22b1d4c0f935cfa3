mod get_online_features;
mod online_features;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::state::AppState;

/// All routes; they need no state until they serve.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(online_features::online_features))
        .routes(routes!(get_online_features::get_online_features))
}
