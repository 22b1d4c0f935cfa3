mod group;
mod imports;
mod receipts;
mod rows;
#[cfg(test)]
mod tests;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::state::AppState;

/// All routes; they need no state until they serve.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(rows::rows))
        .routes(routes!(receipts::receipt))
        .routes(routes!(imports::import))
        .routes(routes!(imports::get))
}
