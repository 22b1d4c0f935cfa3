//! Announcements between processes: a topic with one partition for each channel, read by every process from its end on.

mod listening;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use forebay_storage::{Announcements, Channel, Heard, Result, StorageError};
use futures::{StreamExt, stream::BoxStream};
use tokio::sync::{Mutex, broadcast};

use self::listening::Listening;
use crate::{
    KafkaConfig,
    names::Names,
    sender::{Outgoing, Sender},
    topics::{TopicSpec, Topics},
};

const WHAT: &str = "announcements";

/// So many messages may wait for a slow listener in the same process.
const WAITING: usize = 4096;

/// Bytes of a message.
const MAX_MESSAGE_BYTES: usize = 2 << 20;

/// How long what was announced is kept for listeners that cannot be reached: changes can also be asked for, and signals are repeated.
const CHANGES_KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);
const SIGNALS_KEPT: Duration = Duration::from_secs(3_600);

/// Announcements on Kafka.
pub struct KafkaAnnouncements {
    config: Arc<KafkaConfig>,
    names: Names,
    admin: Topics,
    sender: Sender,
    /// Who listens in this process; each channel is read once for all of them.
    registry_changes: Mutex<Option<broadcast::Sender<Heard>>>,
    signals: Mutex<Option<broadcast::Sender<Heard>>>,
    stop: Arc<AtomicBool>,
}

/// The topics that must be there.
pub(crate) fn topics(names: &Names) -> [TopicSpec; 2] {
    [
        (names.registry_changes(), CHANGES_KEPT),
        (names.signals(), SIGNALS_KEPT),
    ]
    .map(|(name, retention)| TopicSpec {
        name,
        partitions: 1,
        retention,
        max_bytes: MAX_MESSAGE_BYTES,
    })
}

impl KafkaAnnouncements {
    pub(crate) fn new(config: Arc<KafkaConfig>, names: Names, admin: Topics) -> Self {
        Self {
            sender: Sender::new(WHAT, config.clone()),
            config,
            names,
            admin,
            registry_changes: Mutex::default(),
            signals: Mutex::default(),
            stop: Arc::default(),
        }
    }

    fn topic(&self, channel: Channel) -> String {
        match channel {
            Channel::RegistryChanges => self.names.registry_changes(),
            Channel::Signals => self.names.signals(),
        }
    }
}

impl Drop for KafkaAnnouncements {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

#[async_trait]
impl Announcements for KafkaAnnouncements {
    async fn announce(&self, channel: Channel, message: Bytes) -> Result<()> {
        let topic = self.topic(channel);
        let acknowledged = self.sender.send(&Outgoing {
            topic: &topic,
            key: None,
            value: &message,
            headers: None,
        })?;
        acknowledged.await.map(|_| ())
    }

    async fn listen(&self, channel: Channel) -> Result<BoxStream<'static, Heard>> {
        let slot = match channel {
            Channel::RegistryChanges => &self.registry_changes,
            Channel::Signals => &self.signals,
        };
        let mut slot = slot.lock().await;
        let receiver = match &*slot {
            Some(heard) => heard.subscribe(),
            None => {
                let (heard, receiver) = broadcast::channel(WAITING);
                let config = self.config.clone();
                let listening = Listening::new(
                    config,
                    self.admin.clone(),
                    self.topic(channel),
                    heard.clone(),
                    self.stop.clone(),
                )?;
                let began = tokio::task::spawn_blocking(move || listening.begin());
                let listening = began.await.map_err(|_| StorageError::Closed { what: WHAT })??;
                std::thread::Builder::new()
                    .name("kafka-listen".to_owned())
                    .spawn(move || listening.run())
                    .map_err(|error| StorageError::unavailable(WHAT, error))?;
                *slot = Some(heard);
                receiver
            }
        };
        let heard = futures::stream::unfold(receiver, async |mut receiver| match receiver.recv().await {
            Ok(heard) => Some((heard, receiver)),
            Err(broadcast::error::RecvError::Lagged(_)) => Some((Heard::Missed, receiver)),
            Err(broadcast::error::RecvError::Closed) => None,
        });
        Ok(heard.boxed())
    }
}
