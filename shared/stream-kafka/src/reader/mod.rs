//! Reading rows: consumers on threads of their own, from which batches of records cross into async code.
//!
//! A consumer reads a partition at one place only, and the sinks of a group read it at two: so there are several consumers, *lanes*, and a fetch takes the one
//! that stands where it goes on. What was read ahead is bounded: a partition of which too much waits is paused.

pub(crate) mod chunk;
mod cursor;
pub(crate) mod gap;
mod lane;

use std::{sync::Arc, time::Duration};

use forebay_storage::{Result, StorageError};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep, timeout_at};

pub(crate) use self::{chunk::Chunk, cursor::InUse, lane::Lane};
use crate::{KafkaConfig, row_log::WHAT};

/// Lanes for the two sinks of each group.
const USUAL_LANES: usize = 2;
/// More are started when even those are all in use for one partition.
const MOST_LANES: usize = 4;

pub(crate) struct Reader {
    config: Arc<KafkaConfig>,
    lanes: Mutex<Vec<Arc<Lane>>>,
}

/// A place in a partition that one fetch reads from.
pub(crate) struct Place {
    pub(crate) lane: Arc<Lane>,
    pub(crate) cursor: InUse,
    /// Whether the consumer goes on from here without being moved.
    pub(crate) is_there: bool,
}

impl Reader {
    pub(crate) fn new(config: Arc<KafkaConfig>) -> Self {
        Self {
            config,
            lanes: Mutex::default(),
        }
    }

    /// A cursor of the partition that nobody else uses, if possible one that stands at `from`.
    pub(crate) async fn place(&self, topic: &Arc<str>, partition: u32, from: u64) -> Result<Place> {
        let deadline = Instant::now() + self.config.request_timeout();
        loop {
            if let Some(place) = self.find(topic, partition, from)? {
                return Ok(place);
            }
            if Instant::now() > deadline {
                return Err(StorageError::Full { what: WHAT });
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    fn find(&self, topic: &Arc<str>, partition: u32, from: u64) -> Result<Option<Place>> {
        let mut lanes = self.lanes.lock();
        let cursors: Vec<_> = lanes
            .iter()
            .map(|lane| (lane.clone(), lane.cursor(topic, partition)))
            .collect();
        let there = cursors.iter().filter(|(_, cursor)| cursor.stands_at(from));
        let never_used = cursors.iter().filter(|(_, cursor)| !cursor.is_placed());
        for ((lane, cursor), is_there) in there
            .map(|found| (found, true))
            .chain(never_used.map(|found| (found, false)))
        {
            if let Some(cursor) = cursor.try_use() {
                return Ok(Some(Place {
                    lane: lane.clone(),
                    cursor,
                    is_there,
                }));
            }
        }
        if lanes.len() < USUAL_LANES {
            return self.start(&mut lanes, topic, partition).map(Some);
        }
        let mut longest_unused = cursors;
        longest_unused.sort_by_key(|(_, cursor)| cursor.used());
        for (lane, cursor) in longest_unused {
            if let Some(cursor) = cursor.try_use() {
                return Ok(Some(Place {
                    lane,
                    cursor,
                    is_there: false,
                }));
            }
        }
        if lanes.len() < MOST_LANES {
            return self.start(&mut lanes, topic, partition).map(Some);
        }
        Ok(None)
    }

    fn start(&self, lanes: &mut Vec<Arc<Lane>>, topic: &Arc<str>, partition: u32) -> Result<Place> {
        let lane = Arc::new(Lane::start(&self.config, self.config.read_ahead_bytes / USUAL_LANES)?);
        lanes.push(lane.clone());
        let cursor = lane
            .cursor(topic, partition)
            .try_use()
            .ok_or(StorageError::Closed { what: WHAT })?;
        Ok(Place {
            lane,
            cursor,
            is_there: false,
        })
    }
}

impl Place {
    /// Makes the consumer read from `from` on.
    pub(crate) async fn go_to(&mut self, from: u64) -> Result<()> {
        self.lane.place(&self.cursor.0, from).await?;
        self.is_there = true;
        Ok(())
    }

    /// What was read ahead from `from` on, about `max_bytes` of it, waiting for the first until `deadline`. `None` when the consumer is to be placed anew: it
    /// does not stand there, or has lost its place somewhere.
    pub(crate) async fn read(&self, from: u64, max_bytes: usize, deadline: Instant) -> Option<Vec<Chunk>> {
        let cursor = &self.cursor.0;
        let troubles = self.lane.troubles();
        loop {
            let arrived = cursor.arrived.notified();
            let (chunks, resume) = cursor.take(from, max_bytes, self.lane.share())?;
            if resume {
                self.lane.resume(cursor);
            }
            if !chunks.is_empty() {
                return Some(chunks);
            }
            if troubles != self.lane.troubles() {
                return None;
            }
            if timeout_at(deadline, arrived).await.is_err() {
                return Some(Vec::new());
            }
        }
    }
}
