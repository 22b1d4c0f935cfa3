use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use tokio::sync::broadcast;

use crate::Result;

/// What messages are about; a channel is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// What the registry published: change sets and groups that became ready.
    RegistryChanges,
    /// How far sinks have come, and that somebody waits for them.
    Signals,
}

/// What a listener hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    Message(Bytes),
    /// Messages were lost to this listener: whoever builds a state from them must ask for it as a whole.
    Missed,
}

/// Small messages from every process to every process, for what may also be asked: losing one delays, and never harms.
#[async_trait]
pub trait Announcements: Send + Sync {
    /// When it returns, all who listen will hear the message.
    async fn announce(&self, channel: Channel, message: Bytes) -> Result<()>;

    /// Everything that is announced after this has returned, by any process. The stream goes on through failures of the backend, which it tells as
    /// [`Heard::Missed`]; it ends when the backend is closed.
    async fn listen(&self, channel: Channel) -> Result<BoxStream<'static, Heard>>;
}

/// So many messages may wait for a slow listener in the same process.
const WAITING: usize = 1024;

/// Announcements within one process, for installations that are one.
pub struct ProcessAnnouncements {
    registry_changes: broadcast::Sender<Bytes>,
    signals: broadcast::Sender<Bytes>,
}

impl Default for ProcessAnnouncements {
    fn default() -> Self {
        Self {
            registry_changes: broadcast::Sender::new(WAITING),
            signals: broadcast::Sender::new(WAITING),
        }
    }
}

impl ProcessAnnouncements {
    fn sender(&self, channel: Channel) -> &broadcast::Sender<Bytes> {
        match channel {
            Channel::RegistryChanges => &self.registry_changes,
            Channel::Signals => &self.signals,
        }
    }
}

#[async_trait]
impl Announcements for ProcessAnnouncements {
    async fn announce(&self, channel: Channel, message: Bytes) -> Result<()> {
        // Nobody listening is no failure.
        let _ = self.sender(channel).send(message);
        Ok(())
    }

    async fn listen(&self, channel: Channel) -> Result<BoxStream<'static, Heard>> {
        let receiver = self.sender(channel).subscribe();
        let heard = futures::stream::unfold(receiver, async |mut receiver| match receiver.recv().await {
            Ok(message) => Some((Heard::Message(message), receiver)),
            Err(broadcast::error::RecvError::Lagged(_)) => Some((Heard::Missed, receiver)),
            Err(broadcast::error::RecvError::Closed) => None,
        });
        Ok(heard.boxed())
    }
}

#[cfg(all(test, feature = "conformance"))]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::conformance::{self, Installation};

    struct Process;

    #[async_trait]
    impl Installation<dyn Announcements> for Process {
        async fn open(&self) -> Arc<dyn Announcements> {
            Arc::new(ProcessAnnouncements::default())
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn conforms() {
        conformance::announcements(async || Process).await;
    }
}
