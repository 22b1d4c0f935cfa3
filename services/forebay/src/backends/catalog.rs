//! What is registered, as the services of this process know it.

use std::sync::Arc;

use forebay_catalog::Catalog;
use forebay_catalog::follower::{Follower, Following, HttpSource, Pace};
use forebay_server::{Service, Starting};

use super::{BackendError, Stream, Tables};
use crate::config::RegistryConfig;
use crate::waiting::{self, Missing};

/// The catalog of a process with a registry of its own, which keeps it from here on.
pub async fn load(tables: &Tables, starting: &Starting) -> Result<Arc<Catalog>, BackendError> {
    let catalog = Arc::new(Catalog::default());
    let read = async || {
        let loaded = forebay_registry::load(&*tables.registry, &catalog).await;
        loaded.map_err(|refusal| Missing::Yet(refusal.to_string()))
    };
    let revision = waiting::until(starting, "definitions", "the registry's store", read).await;
    let registry_revision = revision.map_err(BackendError::Never)?;
    tracing::info!(registry_revision, "the registry is read");
    Ok(catalog)
}

/// A catalog that follows a registry in another process.
pub struct Followed {
    pub catalog: Arc<Catalog>,
    following: Following,
}

/// The registry's catalog: it is listened to first and read then, so that nothing is missed between.
pub async fn follow(config: &RegistryConfig, stream: &Stream, starting: &Starting) -> Result<Followed, BackendError> {
    let catalog = Arc::new(Catalog::default());
    let source = HttpSource::new(&config.url).map_err(|error| BackendError::Never(error.to_string()))?;
    let announcements = Arc::clone(&stream.announcements);
    let follower = Follower::new(Arc::clone(&catalog), announcements, Arc::new(source), Pace::default());
    let listen = async || {
        let listening = follower.listen().await;
        listening.map_err(|error| Missing::Yet(error.to_string()))
    };
    let following = waiting::until(starting, "registry changes", "the stream", listen)
        .await
        .map_err(BackendError::Never)?;
    let fetch = async || {
        let fetched = following.fetch().await;
        fetched.map_err(|error| Missing::Yet(error.to_string()))
    };
    let registry_revision = waiting::until(starting, "registry", &config.url, fetch)
        .await
        .map_err(BackendError::Never)?;
    tracing::info!(registry_revision, registry = config.url, "the registry is followed");
    Ok(Followed { catalog, following })
}

impl Followed {
    /// Goes on with the service, to its end.
    pub fn with(self, service: Service) -> Service {
        let following = self.following;
        service.task("catalog", move |stop| following.run(stop))
    }
}
