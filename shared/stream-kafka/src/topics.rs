//! Topics: made, checked, described and deleted.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use forebay_storage::{Result, StorageError};
use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    error::{KafkaError, RDKafkaErrorCode},
};
use tokio::time::{Instant, sleep};

use crate::{
    KafkaConfig,
    client::{Context, is_unknown_topic, storage_error, wrong_setting},
    describe::{Described, describe, listen_to},
    refusal::Refusal,
};

const WHAT: &str = "Kafka";

/// How long to wait before looking again whether brokers have followed.
const LOOK_AGAIN: Duration = Duration::from_millis(25);

/// How a topic is made.
#[derive(Clone, Debug)]
pub(crate) struct TopicSpec {
    pub(crate) name: String,
    pub(crate) partitions: u32,
    pub(crate) retention: Duration,
    /// Bytes of its largest batch of records.
    pub(crate) max_bytes: usize,
}

/// Settings without which rows would be lost or get wrong times.
const FIXED: [(&str, &str); 2] = [
    ("message.timestamp.type", "LogAppendTime"),
    ("cleanup.policy", "delete"),
];

#[derive(Clone)]
pub(crate) struct Topics {
    admin: Arc<AdminClient<Context>>,
    config: Arc<KafkaConfig>,
}

impl Topics {
    pub(crate) fn new(config: Arc<KafkaConfig>) -> Result<Self> {
        let admin = config
            .client()
            .create_with_context(Context::default())
            .map_err(|error| wrong_setting(WHAT, &error))?;
        Ok(Self {
            admin: Arc::new(admin),
            config,
        })
    }

    fn options(&self) -> AdminOptions {
        let timeout = Some(self.config.request_timeout());
        AdminOptions::new().request_timeout(timeout).operation_timeout(timeout)
    }

    /// What the brokers know of the topics; `None` for one that does not exist.
    pub(crate) async fn describe(&self, names: &[String]) -> Result<Vec<Option<Described>>> {
        let (topics, names) = (self.clone(), names.to_vec());
        tokio::task::spawn_blocking(move || topics.describe_blocking(&names))
            .await
            .map_err(|_| StorageError::Closed { what: WHAT })?
    }

    /// As [`Topics::describe`], for threads that may block.
    pub(crate) fn describe_blocking(&self, names: &[String]) -> Result<Vec<Option<Described>>> {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let described = describe(self.admin.inner(), &names, self.config.request_timeout());
        let complaints = listen_to(self.admin.inner());
        described.map_err(|error| match Refusal::of(&self.config, error.clone(), &complaints) {
            Some(refusal) => StorageError::unavailable(WHAT, refusal),
            None => storage_error(WHAT, error),
        })
    }

    pub(crate) async fn describe_one(&self, name: &str) -> Result<Option<Described>> {
        let described = self.describe(&[name.to_owned()]).await?;
        Ok(described.into_iter().next().flatten())
    }

    /// Makes the topic unless it is there, and waits until the brokers know all of it.
    ///
    /// # Errors
    /// [`StorageError::Misconfigured`] when a topic of the name is there with settings that would lose rows.
    pub(crate) async fn ensure(&self, spec: &TopicSpec) -> Result<Described> {
        let deadline = Instant::now() + self.config.request_timeout();
        let mut made = false;
        if self.describe_one(&spec.name).await?.is_none() {
            made = self.make(spec).await?;
        }
        loop {
            match self.describe_one(&spec.name).await? {
                Some(described) if described.partitions > 0 => {
                    if !made {
                        self.check(spec).await?;
                    }
                    return Ok(described);
                }
                _ if Instant::now() > deadline => return Err(StorageError::TimedOut { what: WHAT }),
                _ => sleep(LOOK_AGAIN).await,
            }
        }
    }

    /// Tells whether this call has made it.
    async fn make(&self, spec: &TopicSpec) -> Result<bool> {
        let replication = match self.config.replication {
            0 => -1,
            replicas => i32::from(replicas),
        };
        let retention = spec.retention.as_millis().to_string();
        let max_bytes = spec.max_bytes.to_string();
        let in_sync = self.config.min_insync_replicas.to_string();
        let partitions = i32::try_from(spec.partitions.max(1)).unwrap_or(i32::MAX);
        let mut topic = NewTopic::new(&spec.name, partitions, TopicReplication::Fixed(replication))
            .set("retention.ms", &retention)
            .set("retention.bytes", "-1")
            .set("max.message.bytes", &max_bytes);
        for (setting, value) in FIXED {
            topic = topic.set(setting, value);
        }
        if self.config.min_insync_replicas > 0 {
            topic = topic.set("min.insync.replicas", &in_sync);
        }
        let made = self
            .admin
            .create_topics([&topic], &self.options())
            .await
            .map_err(|error| storage_error(WHAT, error))?;
        match made.into_iter().next() {
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(false),
            Some(Err((name, code))) if is_refusal(code) => Err(StorageError::Misconfigured {
                what: WHAT,
                detail: format!(
                    "topic {name} cannot be made: {code}; see [kafka] replication and partitions, or make it with your own tools"
                ),
            }),
            Some(Err((_, code))) => Err(storage_error(WHAT, KafkaError::AdminOp(code))),
            _ => Ok(true),
        }
    }

    async fn check(&self, spec: &TopicSpec) -> Result<()> {
        let described = self
            .admin
            .describe_configs([&ResourceSpecifier::Topic(&spec.name)], &self.options())
            .await
            .map_err(|error| storage_error(WHAT, error))?;
        let settings = match described.into_iter().next() {
            Some(Ok(resource)) => resource,
            Some(Err(code)) => return Err(storage_error(WHAT, KafkaError::AdminOp(code))),
            None => return Ok(()),
        };
        let settings: BTreeMap<_, _> = settings
            .entries
            .into_iter()
            .map(|entry| (entry.name, entry.value.unwrap_or_default()))
            .collect();
        let found = |setting: &str| settings.get(setting).map_or("", String::as_str);
        for (setting, wanted) in FIXED {
            if found(setting) != wanted {
                return Err(wrong(&spec.name, setting, found(setting), wanted));
            }
        }
        let max_bytes = found("max.message.bytes");
        if max_bytes.parse().is_ok_and(|bytes: usize| bytes < spec.max_bytes) {
            let wanted = format!("at least {}", spec.max_bytes);
            return Err(wrong(&spec.name, "max.message.bytes", max_bytes, &wanted));
        }
        Ok(())
    }

    /// Deletes the topics and waits until the brokers have forgotten them.
    pub(crate) async fn delete(&self, names: &[String]) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        let deadline = Instant::now() + self.config.request_timeout();
        let names_of: Vec<&str> = names.iter().map(String::as_str).collect();
        let deleted = self
            .admin
            .delete_topics(&names_of, &self.options())
            .await
            .map_err(|error| storage_error(WHAT, error))?;
        for result in deleted {
            if let Err((_, code)) = result
                && !is_unknown_topic(code)
            {
                return Err(storage_error(WHAT, KafkaError::AdminOp(code)));
            }
        }
        while self.describe(names).await?.iter().any(Option::is_some) {
            if Instant::now() > deadline {
                return Err(StorageError::TimedOut { what: WHAT });
            }
            sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// The names of all topics.
    pub(crate) async fn list(&self) -> Result<Vec<String>> {
        let (admin, timeout) = (self.admin.clone(), self.config.request_timeout());
        let metadata = tokio::task::spawn_blocking(move || admin.inner().fetch_metadata(None, timeout))
            .await
            .map_err(|_| StorageError::Closed { what: WHAT })?
            .map_err(|error| storage_error(WHAT, error))?;
        Ok(metadata.topics().iter().map(|topic| topic.name().to_owned()).collect())
    }

    /// Whether brokers answer.
    pub(crate) async fn ping(&self) -> Result<()> {
        let (admin, timeout) = (self.admin.clone(), self.config.request_timeout());
        tokio::task::spawn_blocking(move || admin.inner().fetch_metadata(Some("__consumer_offsets"), timeout))
            .await
            .map_err(|_| StorageError::Closed { what: WHAT })?
            .map_err(|error| storage_error(WHAT, error))?;
        Ok(())
    }
}

/// Whether the brokers will never make the topic so, however often they are asked.
fn is_refusal(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::InvalidReplicationFactor
            | RDKafkaErrorCode::InvalidPartitions
            | RDKafkaErrorCode::InvalidConfig
            | RDKafkaErrorCode::PolicyViolation
            | RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
    )
}

fn wrong(topic: &str, setting: &str, found: &str, wanted: &str) -> StorageError {
    StorageError::Misconfigured {
        what: WHAT,
        detail: format!("topic {topic} has {setting}={found}, it must be {wanted}: alter the topic"),
    }
}
