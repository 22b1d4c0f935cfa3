//! The row log on Kafka: a topic per group and generation.
//!
//! A record's key is the text of the entity key ([`forebay_rows::KeyText`]), its partition Kafka's own hash of it, its value the row in Avro in Confluent's
//! wire format, and its time that of the append. Rows that were appended here carry in a header which request they came with. Anybody may append: what is no
//! row is handed out as unreadable.

mod attempt;
mod decode;
mod encode;
mod flight;
pub(crate) mod identity;
mod murmur;
pub(crate) mod origin;
mod producer;
mod topic;
mod watch;

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use forebay_model::{Clock, GroupSchema, LayoutNumber, Timestamp};
use forebay_storage::{Appended, BatchId, Fetched, LogRow, Provision, Result, RowLog, StorageError, Topic};
use parking_lot::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use self::{
    origin::TraceHeaders,
    producer::RowProducer,
    topic::RowTopic,
    watch::{KnownTopics, Watch},
};
use crate::{
    KafkaConfig,
    config::MAX_RECORD_BYTES,
    ends::Ends,
    names::Names,
    reader::{Chunk, Place, Reader, gap},
    topics::{TopicSpec, Topics},
};

pub(crate) const WHAT: &str = "row log";

/// A wait within which brokers have sent what is there, if they can.
const LONG_WAIT: Duration = Duration::from_millis(250);

/// When nothing has come for so long although the partition goes on, it is looked at why.
const QUIET: Duration = Duration::from_secs(1);

/// Bytes of records from which on they are decoded on a thread for blocking work.
const DECODED_ASIDE: usize = 128 << 10;

/// Rows of all groups in Kafka topics.
pub struct KafkaRowLog {
    config: Arc<KafkaConfig>,
    names: Names,
    admin: Topics,
    clock: Arc<dyn Clock>,
    topics: Arc<KnownTopics>,
    /// Clients are started by the first who needs them: a process that only appends reads nothing.
    producer: OnceLock<RowProducer>,
    ends: OnceLock<Arc<Ends>>,
    reader: Reader,
    starting: Mutex<()>,
    stop: Arc<AtomicBool>,
}

impl KafkaRowLog {
    pub(crate) fn new(config: Arc<KafkaConfig>, names: Names, admin: Topics, clock: Arc<dyn Clock>) -> Self {
        Self {
            reader: Reader::new(config.clone()),
            config,
            names,
            admin,
            clock,
            topics: Arc::default(),
            producer: OnceLock::new(),
            ends: OnceLock::new(),
            starting: Mutex::default(),
            stop: Arc::default(),
        }
    }

    /// The group's topic, asked for when it is first used.
    async fn topic(&self, schema: &Arc<GroupSchema>) -> Result<Arc<RowTopic>> {
        let key = Topic::of(schema);
        let known = self.topics.read().get(&key).cloned();
        if let Some(topic) = known {
            return if topic.is_gone() { Err(topic.gone()) } else { Ok(topic) };
        }
        let name = self.names.rows(schema);
        match self.admin.describe_one(&name).await? {
            Some(described) if described.partitions > 0 => {
                let mut topics = self.topics.write();
                let topic = topics
                    .entry(key)
                    .or_insert_with(|| Arc::new(RowTopic::new(name, schema, described)));
                Ok(topic.clone())
            }
            _ => Err(StorageError::NotProvisioned {
                what: WHAT,
                group: schema.name.clone(),
            }),
        }
    }

    pub(crate) fn producer(&self) -> Result<&RowProducer> {
        if let Some(producer) = self.producer.get() {
            return Ok(producer);
        }
        let _starting = self.starting.lock();
        if let Some(producer) = self.producer.get() {
            return Ok(producer);
        }
        let producer = RowProducer::new(&self.config)?;
        Ok(self.producer.get_or_init(|| producer))
    }

    /// Who knows the ends of partitions. The first call also starts the watch over them.
    fn ends(&self) -> Result<Arc<Ends>> {
        if let Some(ends) = self.ends.get() {
            return Ok(ends.clone());
        }
        let _starting = self.starting.lock();
        if let Some(ends) = self.ends.get() {
            return Ok(ends.clone());
        }
        let ends = Arc::new(Ends::new(WHAT, &self.config)?);
        let watch = Watch {
            topics: Arc::downgrade(&self.topics),
            admin: self.admin.clone(),
            ends: Ends::of_everything(WHAT, &self.config)?,
            clock: self.clock.clone(),
            stop: self.stop.clone(),
        };
        std::thread::Builder::new()
            .name("kafka-watch".to_owned())
            .spawn(move || watch.run())
            .map_err(|error| StorageError::unavailable(WHAT, error))?;
        Ok(self.ends.get_or_init(|| ends).clone())
    }

    /// The bounds of some partitions of the topic.
    async fn bounds_of(&self, topic: &Arc<RowTopic>, partitions: Vec<u32>) -> Result<Vec<(u64, u64)>> {
        let (ends, name) = (self.ends()?, topic.shared_name());
        let asked = tokio::task::spawn_blocking(move || {
            let partitions: Vec<_> = partitions.iter().map(|partition| (&*name, *partition)).collect();
            // The end first, so that the first offset is never found beyond it.
            let last = ends.last(&partitions)?;
            let first = ends.first(&partitions)?;
            Ok((first, last))
        });
        let (first, last) = asked.await.map_err(|_| StorageError::Closed { what: WHAT })??;
        let bounds = first
            .into_iter()
            .zip(last)
            .map(|(first, last)| Some((first?.min(last?), last?)));
        bounds.collect::<Option<Vec<_>>>().ok_or_else(|| {
            topic.look_again();
            topic.gone()
        })
    }

    /// Moves the cursor to `from`, which must be within the partition.
    async fn go_to(&self, topic: &Arc<RowTopic>, partition: u32, from: u64, place: &mut Place) -> Result<()> {
        let bounds = self.bounds_of(topic, vec![partition]).await?;
        let (first, end) = bounds.first().copied().unwrap_or_default();
        if from < first || from > end {
            topic.look_again();
            return Err(StorageError::Gone {
                what: WHAT,
                detail: format!(
                    "offset {from} of partition {partition} of topic {}, which holds {first} to {end} (rows were removed before they were read, or the topic was made again),",
                    topic.name()
                ),
            });
        }
        place.go_to(from).await
    }

    /// What the end of the partition tells, as it was last seen: whether rows are known to be at `next`, and what has settled when they are not.
    fn settled(
        &self,
        topic: &RowTopic,
        partition: u32,
        next: u64,
        last_append: Option<Timestamp>,
    ) -> Option<Timestamp> {
        let micros = |millis: u64| i64::try_from(millis.saturating_mul(1_000)).unwrap_or(i64::MAX);
        let margin = micros(self.config.delivery_bound_ms).saturating_add(micros(self.config.clock_tolerance_ms));
        let margin = forebay_model::Duration::from_micros(margin);
        let at_end = topic
            .end(partition)
            .filter(|end| next >= end.offset)
            .map(|end| end.asked);
        at_end.max(last_append).map(|time| time.saturating_sub(margin))
    }

    fn delivery_bound(&self) -> forebay_model::Duration {
        let micros = self.config.delivery_bound_ms.saturating_mul(1_000);
        forebay_model::Duration::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    /// An error when nothing has been heard of the partition for longer than an answer may take.
    fn check_heard_of(&self, topic: &RowTopic, partition: u32) -> Result<()> {
        if topic.heard_of(partition) > self.config.request_timeout() {
            return Err(StorageError::TimedOut { what: WHAT });
        }
        Ok(())
    }

    /// What is at `from`, waiting for it up to `wait`. Places the consumer there, if it is elsewhere.
    async fn read(
        &self,
        topic: &Arc<RowTopic>,
        partition: u32,
        from: u64,
        max_bytes: usize,
        wait: Duration,
        place: &mut Place,
    ) -> Result<Vec<Chunk>> {
        let deadline = Instant::now() + wait;
        let give_up = Instant::now() + self.config.request_timeout();
        loop {
            if !place.is_there {
                self.go_to(topic, partition, from, place).await?;
            }
            let chunks = place.read(from, max_bytes, deadline).await;
            if topic.is_gone() {
                return Err(topic.gone());
            }
            match chunks {
                Some(chunks) => return Ok(chunks),
                None if Instant::now() > give_up => return Err(StorageError::TimedOut { what: WHAT }),
                None => place.is_there = false,
            }
        }
    }
}

impl Drop for KafkaRowLog {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

#[async_trait]
impl Provision for KafkaRowLog {
    fn what(&self) -> &'static str {
        WHAT
    }

    async fn ensure(&self, schema: &Arc<GroupSchema>) -> Result<()> {
        let hours = u64::from(self.config.retention_hours);
        let spec = TopicSpec {
            name: self.names.rows(schema),
            partitions: self.config.partitions,
            retention: Duration::from_secs(hours * 3_600),
            max_bytes: MAX_RECORD_BYTES,
        };
        let described = self.admin.ensure(&spec).await?;
        let mut topics = self.topics.write();
        topics
            .entry(Topic::of(schema))
            .or_insert_with(|| Arc::new(RowTopic::new(spec.name, schema, described)));
        Ok(())
    }

    async fn purge(&self, schema: &Arc<GroupSchema>) -> Result<()> {
        let mut names = self.admin.list().await?;
        names.retain(|name| self.names.is_of_group(schema, name));
        self.admin.delete(&names).await?;
        self.topics.write().retain(|topic, _| topic.group != schema.id);
        Ok(())
    }
}

#[async_trait]
impl RowLog for KafkaRowLog {
    async fn append(&self, schema: &Arc<GroupSchema>, batch: BatchId, rows: Vec<LogRow>) -> Result<Vec<Appended>> {
        let topic = self.topic(schema).await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        // The watch notices a topic that is not what it was.
        self.ends()?;
        let layouts = topic.layouts(schema);
        let partitions = topic.partitions();
        let encoding = move || encode::encode(&layouts, partitions, batch.0, &rows);
        let trace = TraceHeaders::current();
        let records = tokio::task::spawn_blocking(encoding)
            .await
            .map_err(|_| StorageError::Closed { what: WHAT })??;
        self.producer()?.append(&topic, records, trace.as_ref()).await
    }

    async fn fetch(
        &self,
        schema: &Arc<GroupSchema>,
        partition: u32,
        from: u64,
        max_bytes: usize,
        wait: Duration,
    ) -> Result<Fetched> {
        let topic = self.topic(schema).await?;
        if partition >= topic.partitions() {
            let detail = format!(
                "partition {partition} is asked for, topic {} has {}",
                topic.name(),
                topic.partitions()
            );
            return Err(StorageError::corrupt(WHAT, detail));
        }
        self.ends()?;
        topic.read_now(partition);
        let mut place = self.reader.place(&topic.shared_name(), partition, from).await?;
        let mut chunks = self.read(&topic, partition, from, max_bytes, wait, &mut place).await?;
        if chunks.is_empty() && wait < LONG_WAIT {
            chunks = self
                .read_what_is_there(&topic, partition, from, max_bytes, &mut place)
                .await?;
        }
        if chunks.is_empty() {
            self.check_heard_of(&topic, partition)?;
            if let Some(next) = self.after_gap(&topic, partition, from).await? {
                return Ok(Fetched {
                    next,
                    settled: self.settled(&topic, partition, next, None),
                    ..Fetched::default()
                });
            }
        }
        let layouts = topic.layouts(schema);
        let delivery_bound = self.delivery_bound();
        let bytes: usize = chunks.iter().map(Chunk::bytes).sum();
        let (mut fetched, last_append) = if bytes > DECODED_ASIDE {
            let topic = topic.clone();
            tokio::task::spawn_blocking(move || decode::decode(&topic, &layouts, &chunks, from, delivery_bound))
                .await
                .map_err(|_| StorageError::Closed { what: WHAT })?
        } else {
            decode::decode(&topic, &layouts, &chunks, from, delivery_bound)
        }?;
        fetched.settled = self.settled(&topic, partition, fetched.next, last_append);
        Ok(fetched)
    }

    async fn bounds(&self, schema: &Arc<GroupSchema>) -> Result<Vec<(u64, u64)>> {
        match self.topic(schema).await {
            Ok(topic) => self.bounds_of(&topic, (0..topic.partitions()).collect()).await,
            Err(StorageError::NotProvisioned { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn fill(&self) -> (u64, u64) {
        self.producer
            .get()
            .map_or((0, self.config.append_bytes as u64), RowProducer::fill)
    }

    async fn release(&self, _: Topic, _: u32, _: &str, _: u64) -> Result<()> {
        // Retention is Kafka's.
        Ok(())
    }

    async fn identity(&self, schema: &Arc<GroupSchema>) -> Result<Option<Uuid>> {
        Ok(Some(self.topic(schema).await?.described.id))
    }

    async fn offset_at(&self, schema: &Arc<GroupSchema>, partition: u32, time: Timestamp) -> Result<u64> {
        let topic = self.topic(schema).await?;
        // First the end: what is appended while the brokers look stands behind it.
        let bounds = self.bounds_of(&topic, vec![partition]).await?;
        let (first, end) = bounds.first().copied().unwrap_or_default();
        let (ends, name, millis) = (self.ends()?, topic.shared_name(), time.micros().div_euclid(1_000));
        let asked = tokio::task::spawn_blocking(move || ends.at(&[(&*name, partition)], millis));
        let found = asked.await.map_err(|_| StorageError::Closed { what: WHAT })??;
        let found = found.first().copied().flatten();
        Ok(found.map_or(end, |offset| offset.clamp(first, end)))
    }

    fn no_such_layout(&self, schema: &Arc<GroupSchema>, layout: LayoutNumber) {
        if let Some(topic) = self.topics.read().get(&Topic::of(schema)) {
            topic.refuse(layout);
        }
    }
}

impl KafkaRowLog {
    /// After a wait without records: those that are in the log nevertheless. A short wait may be over before the brokers have sent what was there all along.
    async fn read_what_is_there(
        &self,
        topic: &Arc<RowTopic>,
        partition: u32,
        from: u64,
        max_bytes: usize,
        place: &mut Place,
    ) -> Result<Vec<Chunk>> {
        let deadline = Instant::now() + self.config.request_timeout();
        while from < self.end_now(topic, partition).await? {
            let chunks = self.read(topic, partition, from, max_bytes, LONG_WAIT, place).await?;
            if !chunks.is_empty() {
                return Ok(chunks);
            }
            if topic.quiet_at(partition, from) > QUIET {
                break;
            }
            if Instant::now() > deadline {
                return Err(StorageError::TimedOut { what: WHAT });
            }
        }
        Ok(Vec::new())
    }

    /// Where to go on when nothing has come for a while at an offset, and nothing will, although the partition goes on behind it.
    async fn after_gap(&self, topic: &Arc<RowTopic>, partition: u32, from: u64) -> Result<Option<u64>> {
        let goes_on = topic.end(partition).is_some_and(|end| from < end.offset);
        if !goes_on || topic.quiet_at(partition, from) <= QUIET {
            return Ok(None);
        }
        // First the end: what comes behind it is none of this.
        let end = self.end_now(topic, partition).await?;
        if from >= end {
            return Ok(None);
        }
        let (config, name) = (self.config.clone(), topic.shared_name());
        let looking = tokio::task::spawn_blocking(move || gap::is_empty(&config, &name, partition, from));
        let is_gap = looking.await.map_err(|_| StorageError::Closed { what: WHAT })??;
        Ok(is_gap.then_some(end))
    }

    async fn end_now(&self, topic: &Arc<RowTopic>, partition: u32) -> Result<u64> {
        let (ends, name) = (self.ends()?, topic.shared_name());
        let asked = tokio::task::spawn_blocking(move || ends.last(&[(&*name, partition)]));
        let end = asked.await.map_err(|_| StorageError::Closed { what: WHAT })??;
        end.first().copied().flatten().ok_or_else(|| topic.gone())
    }
}
