//! A consumer with its poll thread. It reads many partitions, each at one place.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use forebay_storage::{Result, StorageError};
use parking_lot::RwLock;
use rdkafka::{
    Message, Offset, Timestamp, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaResult, RDKafkaErrorCode},
    message::BorrowedMessage,
};
use tokio::sync::oneshot;

use super::cursor::{Cursor, Pushed};
use crate::{
    KafkaConfig,
    client::{Context, wrong_setting},
    row_log::{WHAT, origin::Origin},
};

/// How long the thread waits for a record before it looks for orders.
const TURN: Duration = Duration::from_millis(5);

/// Records after which waiting fetches are woken although more are there.
const WAKE_AFTER: usize = 256;

/// A partition that is read by nobody for so long is left.
const IDLE: Duration = Duration::from_secs(60);

/// Read ahead for one partition at least, however many there are.
const LEAST_SHARE: usize = 128 << 10;

/// What the thread is told to do.
enum Order {
    /// Read from an offset on.
    Place(Arc<Cursor>, u64, oneshot::Sender<KafkaResult<()>>),
    /// Go on reading what was paused.
    Resume(Arc<Cursor>),
}

pub(crate) struct Lane {
    orders: mpsc::Sender<Order>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// By topic, then by partition.
type Cursors = HashMap<Arc<str>, Vec<Option<Arc<Cursor>>>>;

struct Shared {
    stop: AtomicBool,
    read_ahead: usize,
    placed: AtomicUsize,
    /// Counts errors that end the reading of a partition: none of them says which.
    troubles: AtomicU64,
    cursors: RwLock<Cursors>,
}

impl Lane {
    pub(crate) fn start(config: &KafkaConfig, read_ahead: usize) -> Result<Self> {
        let consumer: BaseConsumer<Context> = config
            .client()
            // librdkafka assigns partitions only to consumers with a group, though nothing is ever committed to it.
            .set("group.id", "forebay")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("fetch.wait.max.ms", "100")
            .set("fetch.error.backoff.ms", "100")
            .set("fetch.queue.backoff.ms", "10")
            .set("fetch.max.bytes", "16777216")
            .set("queued.max.messages.kbytes", "16384")
            .set("queued.min.messages", "100000")
            .create_with_context(Context::default())
            .map_err(|error| wrong_setting(WHAT, &error))?;
        let (orders, inbox) = mpsc::channel();
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            read_ahead,
            placed: AtomicUsize::new(0),
            troubles: AtomicU64::new(0),
            cursors: RwLock::default(),
        });
        let worker = Worker {
            consumer,
            inbox,
            shared: shared.clone(),
            dirty: Vec::new(),
        };
        let thread = std::thread::Builder::new()
            .name("kafka-poll".to_owned())
            .spawn(move || worker.run())
            .map_err(|error| StorageError::unavailable(WHAT, error))?;
        Ok(Self {
            orders,
            shared,
            thread: Some(thread),
        })
    }

    /// The cursor of a partition, made if there is none.
    pub(crate) fn cursor(&self, topic: &Arc<str>, partition: u32) -> Arc<Cursor> {
        if let Some(cursor) = self.shared.find(topic, partition as usize) {
            return cursor;
        }
        let mut cursors = self.shared.cursors.write();
        let of_topic = cursors.entry(topic.clone()).or_default();
        let index = partition as usize;
        if of_topic.len() <= index {
            of_topic.resize(index + 1, None);
        }
        let number = i32::try_from(partition).unwrap_or(i32::MAX);
        of_topic[index]
            .get_or_insert_with(|| Arc::new(Cursor::new(topic.clone(), number)))
            .clone()
    }

    /// Makes the consumer read from `from` on.
    pub(crate) async fn place(&self, cursor: &Arc<Cursor>, from: u64) -> Result<()> {
        let (done, placed) = oneshot::channel();
        let closed = || StorageError::Closed { what: WHAT };
        self.orders
            .send(Order::Place(cursor.clone(), from, done))
            .map_err(|_| closed())?;
        let placed = placed.await.map_err(|_| closed())?;
        placed.map_err(|error| StorageError::unavailable(WHAT, error))
    }

    pub(crate) fn resume(&self, cursor: &Arc<Cursor>) {
        // A thread that has ended reads nothing any more.
        let _ = self.orders.send(Order::Resume(cursor.clone()));
    }

    pub(crate) fn share(&self) -> usize {
        self.shared.share()
    }

    pub(crate) fn troubles(&self) -> u64 {
        self.shared.troubles.load(Ordering::Acquire)
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // Closing a consumer may wait for brokers; nobody waits for that.
            drop(thread);
        }
    }
}

impl Shared {
    fn find(&self, topic: &str, partition: usize) -> Option<Arc<Cursor>> {
        self.cursors.read().get(topic)?.get(partition)?.clone()
    }

    fn share(&self) -> usize {
        (self.read_ahead / self.placed.load(Ordering::Relaxed).max(1)).max(LEAST_SHARE)
    }
}

struct Worker {
    consumer: BaseConsumer<Context>,
    inbox: mpsc::Receiver<Order>,
    shared: Arc<Shared>,
    /// Cursors to which something came, whose fetches are to be woken.
    dirty: Vec<Arc<Cursor>>,
}

impl Worker {
    fn run(mut self) {
        let mut since_wake = 0;
        // Records come in runs of one partition.
        let mut last = None;
        let mut swept = Instant::now();
        while !self.shared.stop.load(Ordering::Acquire) {
            while let Ok(order) = self.inbox.try_recv() {
                self.obey(order);
            }
            let wait = if self.dirty.is_empty() { TURN } else { Duration::ZERO };
            match self.consumer.poll(wait) {
                Some(Ok(message)) => {
                    let cursor = self.deliver(&message, &mut last);
                    drop(message);
                    if let Some(cursor) = cursor
                        && self.dirty.last().is_none_or(|last| !Arc::ptr_eq(last, &cursor))
                    {
                        self.dirty.push(cursor);
                    }
                    since_wake += 1;
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "a consumer of rows met an error");
                    if error.rdkafka_error_code().is_some_and(ends_reading) {
                        self.shared.troubles.fetch_add(1, Ordering::AcqRel);
                        self.wake_all();
                    }
                }
                None => since_wake = WAKE_AFTER,
            }
            if since_wake >= WAKE_AFTER {
                since_wake = 0;
                self.dirty.drain(..).for_each(|cursor| cursor.arrived.notify_one());
                if swept.elapsed() > IDLE / 4 {
                    swept = Instant::now();
                    self.leave_idle();
                }
            }
        }
    }

    fn deliver(&self, message: &BorrowedMessage<'_>, last: &mut Option<Arc<Cursor>>) -> Option<Arc<Cursor>> {
        let (topic, partition) = (message.topic(), message.partition());
        let cursor = match last {
            Some(last) if last.partition == partition && *last.topic == *topic => last.clone(),
            _ => {
                let found = self.shared.find(topic, usize::try_from(partition).ok()?)?;
                *last = Some(found.clone());
                found
            }
        };
        let appended_ms = match message.timestamp() {
            Timestamp::LogAppendTime(millis) => Some(millis),
            Timestamp::CreateTime(_) | Timestamp::NotAvailable => None,
        };
        let pushed = cursor.push(
            u64::try_from(message.offset()).ok()?,
            appended_ms,
            message.key(),
            message.payload().unwrap_or_default(),
            Origin::of(message.headers()),
            self.shared.share(),
        );
        match pushed {
            Pushed::Dropped => None,
            Pushed::Kept => Some(cursor),
            Pushed::Pause => {
                if let Err(error) = self.consumer.pause(&one(&cursor, Offset::Invalid)) {
                    tracing::debug!(%error, "a partition could not be paused");
                }
                Some(cursor)
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Place(cursor, from, done) => {
                let placed = self.place(&cursor, from);
                // Whoever asked may have given up.
                let _ = done.send(placed);
            }
            Order::Resume(cursor) => {
                if let Err(error) = self.consumer.resume(&one(&cursor, Offset::Invalid)) {
                    tracing::debug!(%error, "a partition could not be resumed");
                }
            }
        }
    }

    fn place(&mut self, cursor: &Arc<Cursor>, from: u64) -> KafkaResult<()> {
        self.leave(cursor)?;
        let offset = Offset::Offset(i64::try_from(from).unwrap_or(i64::MAX));
        if self.consumer.incremental_assign(&one(cursor, offset)).is_err() {
            // An earlier failure may have left it assigned.
            let _ = self.consumer.incremental_unassign(&one(cursor, Offset::Invalid));
            self.consumer.incremental_assign(&one(cursor, offset))?;
        }
        self.shared.placed.fetch_add(1, Ordering::Relaxed);
        cursor.place(from);
        Ok(())
    }

    fn leave(&mut self, cursor: &Arc<Cursor>) -> KafkaResult<()> {
        if cursor.is_placed() {
            if cursor.clear() {
                // librdkafka remembers that a partition is paused, also while it does not read it.
                self.consumer.resume(&one(cursor, Offset::Invalid))?;
            }
            self.shared.placed.fetch_sub(1, Ordering::Relaxed);
            self.consumer.incremental_unassign(&one(cursor, Offset::Invalid))?;
        }
        Ok(())
    }

    fn leave_idle(&mut self) {
        let all: Vec<_> = self
            .shared
            .cursors
            .read()
            .values()
            .flatten()
            .flatten()
            .cloned()
            .collect();
        for cursor in all {
            let is_idle = |cursor: &Cursor| cursor.used().is_none_or(|used| used.elapsed() > IDLE);
            if cursor.is_placed()
                && is_idle(&cursor)
                && let Some(_used) = cursor.try_use()
                && let Err(error) = self.leave(&cursor)
            {
                tracing::debug!(%error, "a partition that nobody reads could not be left");
            }
        }
    }

    fn wake_all(&self) {
        for cursor in self.shared.cursors.read().values().flatten().flatten() {
            cursor.arrived.notify_one();
        }
    }
}

/// Whether librdkafka reads no further in some partition after the error; it recovers from all others by itself.
fn ends_reading(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::LogTruncation | RDKafkaErrorCode::OffsetOutOfRange
    )
}

fn one(cursor: &Cursor, offset: Offset) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(1);
    if list
        .add_partition_offset(&cursor.topic, cursor.partition, offset)
        .is_err()
    {
        // Offsets beyond what Kafka can say lead nowhere; the partition alone is named.
        list.add_partition(&cursor.topic, cursor.partition);
    }
    list
}
