//! How a service that is not the registry keeps its catalog: it listens first, then fetches a whole snapshot, then applies what it hears.
//!
//! Whatever is lost on the way is found out: a revision that does not follow is waited for shortly and then fetched, so is everything after
//! [`Heard::Missed`](forebay_storage::Heard::Missed), and a look at the registry every few seconds finds what nobody announced. While the registry does
//! not answer, the catalog stays as it is.

mod ahead;
mod http;
mod keeping;
mod pace;
mod source;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use forebay_storage::{Announcements, Channel, Heard, StorageError};
use futures::{
    StreamExt,
    future::{BoxFuture, FutureExt, OptionFuture},
    stream::BoxStream,
};
use tokio_util::sync::CancellationToken;

use crate::{Announced, Catalog, Snapshot};
use keeping::Keeping;

pub use http::HttpSource;
pub use pace::Pace;
pub use source::{SnapshotSource, SourceError};

/// What keeps a catalog.
pub struct Follower {
    catalog: Arc<Catalog>,
    announcements: Arc<dyn Announcements>,
    source: Arc<dyn SnapshotSource>,
    pace: Pace,
}

/// A follower that listens: nothing that is announced from here on escapes it.
pub struct Following {
    catalog: Arc<Catalog>,
    announcements: Arc<dyn Announcements>,
    source: Arc<dyn SnapshotSource>,
    pace: Pace,
    heard: BoxStream<'static, Heard>,
}

impl Follower {
    #[must_use]
    pub fn new(
        catalog: Arc<Catalog>,
        announcements: Arc<dyn Announcements>,
        source: Arc<dyn SnapshotSource>,
        pace: Pace,
    ) -> Self {
        Self {
            catalog,
            announcements,
            source,
            pace,
        }
    }

    /// Begins to listen.
    ///
    /// # Errors
    /// When the channel cannot be listened to.
    pub async fn listen(&self) -> Result<Following, StorageError> {
        Ok(Following {
            heard: self.announcements.listen(Channel::RegistryChanges).await?,
            catalog: Arc::clone(&self.catalog),
            announcements: Arc::clone(&self.announcements),
            source: Arc::clone(&self.source),
            pace: self.pace,
        })
    }
}

impl Following {
    /// Fetches the registry as it is: with this the catalog is usable.
    ///
    /// # Errors
    /// When the registry does not answer, or with what this version does not understand.
    pub async fn fetch(&self) -> Result<u64, SourceError> {
        let fetched = fetch(Arc::clone(&self.source), self.pace, None).await?;
        if let Some(snapshot) = fetched {
            self.catalog.replace(snapshot);
        }
        Ok(self.catalog.current().revision())
    }

    /// Keeps the catalog until it is told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut keeping = Keeping::begin();
        self.catalog.note_answer(None);
        let mut fetching: OptionFuture<BoxFuture<'static, _>> = None.into();
        let mut is_fetching = false;
        loop {
            let due = keeping.due(self.pace, self.catalog.peek().revision());
            tokio::select! {
                () = stop.cancelled() => return,
                heard = self.heard.next() => match heard {
                    Some(Heard::Message(message)) => self.apply(&message, &mut keeping),
                    Some(Heard::Missed) => keeping.missed = true,
                    None => {
                        self.listen_again(&stop).await;
                        keeping.missed = true;
                    }
                },
                () = self.catalog.newer_asked() => keeping.missed = true,
                fetched = &mut fetching, if is_fetching => {
                    is_fetching = false;
                    match fetched.unwrap_or(Ok(None)) {
                        Ok(snapshot) => {
                            self.found(snapshot, &mut keeping);
                            self.catalog.note_answer(Some(keeping.asked_at()));
                        }
                        Err(error) => keeping.fail(&error),
                    }
                }
                () = tokio::time::sleep_until(due), if !is_fetching => {
                    keeping.fetch();
                    let fetch = fetch(Arc::clone(&self.source), self.pace, self.known());
                    fetching = Some(fetch.boxed()).into();
                    is_fetching = true;
                }
            }
        }
    }

    fn apply(&self, message: &[u8], keeping: &mut Keeping) {
        match Announced::decode(message) {
            Ok(announced) => {
                self.catalog.note_announced(announced.registry_revision());
                keeping.ahead.keep(announced);
                self.catch_up(keeping);
            }
            Err(error) => {
                tracing::warn!(%error, "a registry announces something that is not understood; a snapshot is fetched");
                keeping.missed = true;
            }
        }
    }

    /// Applies all that follows.
    fn catch_up(&self, keeping: &mut Keeping) {
        while let Some(next) = keeping.ahead.next_after(self.catalog.current().revision()) {
            if let Err(gap) = self.catalog.hear(&next) {
                tracing::warn!(%gap, "an announcement cannot be applied; a snapshot is fetched");
                keeping.missed = true;
                return;
            }
        }
    }

    /// The revision to fetch only something newer than; none while the readiness of groups is to be fetched too.
    fn known(&self) -> Option<u64> {
        let current = self.catalog.current();
        let all_ready = current.groups().all(|group| group.is_ready());
        all_ready.then(|| current.revision())
    }

    fn found(&self, snapshot: Option<Snapshot>, keeping: &mut Keeping) {
        if keeping.failures > 0 {
            tracing::info!("the registry answers again");
        }
        keeping.failures = 0;
        if let Some(snapshot) = snapshot {
            let (found, known) = (snapshot.revision(), self.catalog.current().revision());
            if found < known {
                tracing::error!(
                    found,
                    known,
                    "the registry is at an older revision than it was: is it the registry of this installation?"
                );
            }
            self.catalog.replace(snapshot);
        }
        self.catch_up(keeping);
        let is_behind = keeping.ahead.newest() > self.catalog.current().revision();
        keeping.futile = if is_behind { keeping.futile.saturating_add(1) } else { 0 };
    }

    /// The backend has closed the channel, which it does at its end only; it is tried again all the same.
    async fn listen_again(&mut self, stop: &CancellationToken) {
        let mut failures = 0;
        loop {
            failures += 1;
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.pace.pause(failures)) => {}
            }
            match self.announcements.listen(Channel::RegistryChanges).await {
                Ok(heard) => {
                    self.heard = heard;
                    return;
                }
                Err(error) => tracing::warn!(%error, "the registry's announcements cannot be listened to"),
            }
        }
    }
}

/// A snapshot newer than `known`, if there is one.
async fn fetch(
    source: Arc<dyn SnapshotSource>,
    pace: Pace,
    known: Option<u64>,
) -> Result<Option<Snapshot>, SourceError> {
    let sent = match tokio::time::timeout(pace.deadline, source.fetch(known)).await {
        Ok(sent) => sent?,
        Err(_) => return Err(SourceError::TimedOut(pace.deadline)),
    };
    let Some(sent) = sent else {
        return Ok(None);
    };
    // Thousands of definitions take a while to read.
    let read = tokio::task::spawn_blocking(move || Snapshot::from_wire(sent));
    match read.await {
        Ok(snapshot) => Ok(Some(snapshot?)),
        Err(error) => Err(SourceError::Unavailable(error.to_string())),
    }
}
