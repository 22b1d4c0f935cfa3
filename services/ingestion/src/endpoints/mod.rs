pub(crate) mod accepting;
mod group;
mod imports;
mod receipts;
mod rejected;
mod replay_rejected;
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
        .routes(routes!(rejected::list))
        .routes(routes!(rejected::get))
        .routes(routes!(replay_rejected::replay))
}
