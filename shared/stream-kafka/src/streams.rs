//! All that a process has on Kafka.

use std::sync::Arc;

use forebay_model::Clock;
use forebay_storage::{Announcements, RejectedLog, Result, RowLog};

use crate::{
    KafkaConfig,
    announcements::{self, KafkaAnnouncements},
    client::missing_topic,
    names::Names,
    rejected::{self, KafkaRejectedLog},
    row_log::KafkaRowLog,
    topics::{TopicSpec, Topics},
};

/// The row log, announcements and rejected records of one environment.
pub struct KafkaStreams {
    pub row_log: Arc<dyn RowLog>,
    pub announcements: Arc<dyn Announcements>,
    pub rejected: Arc<dyn RejectedLog>,
    admin: Topics,
}

fn fixed_topics(names: &Names, config: &KafkaConfig) -> Vec<TopicSpec> {
    let mut topics = Vec::from(announcements::topics(names));
    topics.push(rejected::topic(names, config));
    topics
}

impl KafkaStreams {
    /// Looks for the brokers and the topics that [`migrate`] makes. With an environment, all topics begin with its name.
    ///
    /// # Errors
    /// [`forebay_storage::StorageError::Unavailable`] or [`forebay_storage::StorageError::TimedOut`] when no broker answers or a topic is missing, [`forebay_storage::StorageError::Misconfigured`] when settings are
    /// wrong and waiting would not help.
    pub async fn connect(config: &KafkaConfig, environment: Option<&str>, clock: Arc<dyn Clock>) -> Result<Self> {
        let config = Arc::new(config.clone());
        let names = Names::new(environment);
        let admin = Topics::new(config.clone())?;
        let wanted: Vec<_> = fixed_topics(&names, &config)
            .into_iter()
            .map(|topic| topic.name)
            .collect();
        let found = admin.describe(&wanted).await?;
        if let Some((missing, _)) = wanted.iter().zip(found).find(|(_, found)| found.is_none()) {
            return Err(missing_topic("Kafka", missing));
        }
        let row_log = KafkaRowLog::new(config.clone(), names.clone(), admin.clone(), clock);
        let rejected = KafkaRejectedLog::new(config.clone(), &names);
        let announcements = KafkaAnnouncements::new(config, names, admin.clone());
        Ok(Self {
            row_log: Arc::new(row_log),
            announcements: Arc::new(announcements),
            rejected: Arc::new(rejected),
            admin,
        })
    }

    /// Whether the brokers answer.
    ///
    /// # Errors
    /// When they do not, within the time that requests have.
    pub async fn ping(&self) -> Result<()> {
        self.admin.ping().await
    }
}

/// Makes the topics that do not belong to a group, unless they are there.
///
/// # Errors
/// When no broker answers, or a topic cannot be made or has settings under which it would lose records.
pub async fn migrate(config: &KafkaConfig, environment: Option<&str>) -> Result<()> {
    let admin = Topics::new(Arc::new(config.clone()))?;
    for topic in fixed_topics(&Names::new(environment), config) {
        admin.ensure(&topic).await?;
    }
    Ok(())
}
