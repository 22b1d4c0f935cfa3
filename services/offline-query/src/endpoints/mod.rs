mod historical_features;
mod spines;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::state::AppState;

pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(historical_features::historical_features))
        .routes(routes!(spines::upload_spine))
}
