//! `forebay serve`: one service or all of them in this process.

use forebay_networked::settings::{Origin, Settings, load};
use forebay_networked::{Failure, needs, serve_program};

use crate::backends::Backends;
use crate::config::Config;
use crate::role::Role;
use crate::services;

/// Serves until SIGTERM or SIGINT, then drains. One service does as its own program does.
pub fn serve(role: Option<Role>, origin: &Origin) -> Result<(), Failure> {
    match role {
        None => serve_all(origin),
        Some(Role::Registry) => serve_program::<forebay_registry::Program>(origin),
        Some(Role::Compute) => serve_program::<forebay_compute::Program>(origin),
        Some(Role::Ingestion) => serve_program::<forebay_ingestion::Program>(origin),
        Some(Role::OnlineServing) => serve_program::<forebay_online_serving::Program>(origin),
        Some(Role::OfflineQuery) => serve_program::<forebay_offline_query::Program>(origin),
    }
}

fn serve_all(origin: &Origin) -> Result<(), Failure> {
    let config: Config = load(origin)?;
    needs::common(&config.common())?;
    // They stay open until everything has drained.
    let backends = Backends::new(&config);
    forebay_networked::serve(&config.common(), "all", async |process| {
        services::all(&config, &backends, process).await
    })
}
