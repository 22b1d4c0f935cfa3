//! A group's topic as this process knows it.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use forebay_model::{Generation, GroupSchema, LayoutNumber, Timestamp};
use forebay_rows::Layouts;
use forebay_storage::StorageError;
use parking_lot::Mutex;

use super::{WHAT, flight::Flight};
use crate::describe::Described;

/// The ends of a partition are looked at for so long after it was read.
const WATCHED: Duration = Duration::from_secs(10);

pub(crate) struct RowTopic {
    name: Arc<str>,
    pub(crate) generation: Generation,
    pub(crate) described: Described,
    partitions: Box<[Partition]>,
    /// Held while the records of one append are queued, so that they stand next to each other.
    pub(crate) turn: Mutex<()>,
    layouts: Mutex<Arc<Layouts>>,
    /// Layouts that the registry has said it does not have.
    refused: Mutex<BTreeSet<LayoutNumber>>,
    is_gone: AtomicBool,
    look_again: AtomicBool,
    began: Instant,
}

#[derive(Default)]
struct Partition {
    flight: Flight,
    /// Behind the last record of this process that the brokers acknowledged.
    acknowledged: AtomicU64,
    end: Mutex<Option<End>>,
    /// An offset at which nothing came although the partition goes on behind it, and since when.
    quiet: Mutex<Option<(u64, Instant)>>,
    /// Microseconds after the topic's `began` at which somebody read it; 0: never.
    read: AtomicU64,
    /// The same, of the first of the readings that follow each other closely enough to be watched.
    read_since: AtomicU64,
}

/// The end of a partition at some moment, behind all that was appended, whether readers see it or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) offset: u64,
    /// Before the brokers were asked.
    pub(crate) asked: Timestamp,
    pub(crate) at: Instant,
}

impl RowTopic {
    pub(crate) fn new(name: String, schema: &Arc<GroupSchema>, described: Described) -> Self {
        Self {
            name: name.into(),
            generation: schema.generation,
            described,
            partitions: (0..described.partitions).map(|_| Partition::default()).collect(),
            turn: Mutex::default(),
            layouts: Mutex::new(Layouts::new(schema.clone())),
            refused: Mutex::default(),
            is_gone: AtomicBool::new(false),
            look_again: AtomicBool::new(false),
            began: Instant::now(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn shared_name(&self) -> Arc<str> {
        self.name.clone()
    }

    pub(crate) fn partitions(&self) -> u32 {
        self.described.partitions
    }

    /// # Panics
    /// For a partition that the topic does not have.
    pub(crate) fn flight(&self, partition: u32) -> &Flight {
        &self.partitions[partition as usize].flight
    }

    /// Notes where the brokers say that a record of this process stands. Not when it stands before one that was appended earlier: then another topic has the
    /// name, and positions of the one that was mean nothing in it.
    ///
    /// # Panics
    /// For a partition that the topic does not have.
    pub(crate) fn takes(&self, partition: u32, offset: u64) -> bool {
        let acknowledged = &self.partitions[partition as usize].acknowledged;
        let is_behind = acknowledged.fetch_max(offset.saturating_add(1), Ordering::AcqRel) <= offset;
        if !is_behind {
            self.look_again();
        }
        is_behind
    }

    /// Layouts of the schema, made once for each revision of it.
    pub(crate) fn layouts(&self, schema: &Arc<GroupSchema>) -> Arc<Layouts> {
        let mut layouts = self.layouts.lock();
        if !Arc::ptr_eq(layouts.schema(), schema) && **layouts.schema() != **schema {
            *layouts = Layouts::new(schema.clone());
        }
        layouts.clone()
    }

    pub(crate) fn refuse(&self, layout: LayoutNumber) {
        self.refused.lock().insert(layout);
    }

    pub(crate) fn is_refused(&self, layout: LayoutNumber) -> bool {
        self.refused.lock().contains(&layout)
    }

    /// The topic was deleted, or another one has its name.
    pub(crate) fn mark_gone(&self) {
        self.is_gone.store(true, Ordering::Release);
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Acquire)
    }

    pub(crate) fn gone(&self) -> StorageError {
        StorageError::Gone {
            what: WHAT,
            detail: format!(
                "topic {} as it was (it was deleted, perhaps made again, or its partitions changed, so that positions in it mean nothing any more)",
                self.name
            ),
        }
    }

    /// Asks for another look at whether the topic is still the same.
    pub(crate) fn look_again(&self) {
        self.look_again.store(true, Ordering::Release);
    }

    pub(crate) fn take_look_again(&self) -> bool {
        self.look_again.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn read_now(&self, partition: u32) {
        let now = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let partition = &self.partitions[partition as usize];
        let before = partition.read.swap(now.max(1), Ordering::Relaxed);
        if before == 0 || u128::from(now.saturating_sub(before)) > WATCHED.as_micros() {
            partition.read_since.store(now, Ordering::Relaxed);
        }
    }

    /// How long ago the brokers told of the partition, or somebody began to read it.
    pub(crate) fn heard_of(&self, partition: u32) -> Duration {
        let since = self.partitions[partition as usize].read_since.load(Ordering::Relaxed);
        let read_for = self.began.elapsed().saturating_sub(Duration::from_micros(since));
        self.end(partition)
            .map_or(read_for, |end| end.at.elapsed().min(read_for))
    }

    /// Partitions that somebody reads.
    pub(crate) fn watched(&self) -> Vec<u32> {
        let now = self.began.elapsed();
        (0..)
            .zip(&self.partitions)
            .filter(|(_, partition)| {
                let read = partition.read.load(Ordering::Relaxed);
                read > 0 && now.saturating_sub(Duration::from_micros(read)) <= WATCHED
            })
            .map(|(number, _)| number)
            .collect()
    }

    /// Remembers that nothing came at an offset; tells for how long already.
    pub(crate) fn quiet_at(&self, partition: u32, offset: u64) -> Duration {
        let mut quiet = self.partitions[partition as usize].quiet.lock();
        match *quiet {
            Some((at, since)) if at == offset => since.elapsed(),
            _ => {
                *quiet = Some((offset, Instant::now()));
                Duration::ZERO
            }
        }
    }

    pub(crate) fn end(&self, partition: u32) -> Option<End> {
        *self.partitions[partition as usize].end.lock()
    }

    pub(crate) fn set_end(&self, partition: u32, end: End) {
        *self.partitions[partition as usize].end.lock() = Some(end);
    }
}
