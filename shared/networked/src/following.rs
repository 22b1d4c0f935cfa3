//! A catalog that follows a registry in another process.

use std::sync::Arc;

use forebay_catalog::Catalog;
use forebay_catalog::follower::{Follower, Following, HttpSource, Pace};
use forebay_server::Service;

use crate::backend_error::BackendError;
use crate::process::Process;
use crate::seams::Stream;
use crate::settings::RegistryConfig;
use crate::waiting::{self, Missing};

/// What is registered, and what keeps it current.
pub struct Followed {
    pub catalog: Arc<Catalog>,
    following: Following,
}

/// The registry's catalog: it is listened to first and read then, so that nothing is missed between.
///
/// # Errors
/// When the registry's URL is none.
pub async fn follow(process: &Process, registry: &RegistryConfig, stream: &Stream) -> Result<Followed, BackendError> {
    let catalog = Arc::new(Catalog::default());
    let source = HttpSource::new(&registry.url).map_err(|error| BackendError::Never(error.to_string()))?;
    let announcements = Arc::clone(&stream.announcements);
    let follower = Follower::new(Arc::clone(&catalog), announcements, Arc::new(source), Pace::default());
    let listen = async || {
        let listening = follower.listen().await;
        listening.map_err(|error| Missing::Yet(error.to_string()))
    };
    let following = waiting::until(&process.starting, "registry changes", "the stream", listen)
        .await
        .map_err(BackendError::Never)?;
    let fetch = async || {
        let fetched = following.fetch().await;
        fetched.map_err(|error| Missing::Yet(error.to_string()))
    };
    let registry_revision = waiting::until(&process.starting, "registry", &registry.url, fetch)
        .await
        .map_err(BackendError::Never)?;
    tracing::info!(registry_revision, registry = registry.url, "the registry is followed");
    Ok(Followed { catalog, following })
}

impl Followed {
    /// Goes on with the service, to its end.
    pub fn with(self, service: Service) -> Service {
        let Followed { catalog, following } = self;
        service
            .task("catalog", move |stop| following.run(stop))
            .measured(move || catalog.measure())
    }
}
