//! A topic: its segments, the leader that appends, and what its consumers have released.

use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use forebay_model::Generation;
use forebay_storage::{Appended, Fetched, Result, StorageError, Traced};
use forebay_telemetry::TraceContext;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{oneshot, watch};

use super::{
    RowLogOptions, WHAT,
    entry::Entry,
    segment::{self, Segment},
};
use crate::{failure, group_commit::GroupCommit};

/// Holds what each consumer had released when it was first seen: an old value only keeps more.
const RELEASED: &str = "released.json";

/// The embedded log has one partition per topic.
pub(super) const PARTITION: u32 = 0;

/// Entries that wait to be appended, and who waits for them.
pub(super) struct Append {
    pub(super) entries: Vec<Entry>,
    /// Of a sampled request.
    pub(super) trace: Option<TraceContext>,
    pub(super) answer: oneshot::Sender<Result<Appended>>,
}

/// Bytes on disk of all topics together.
#[derive(Debug, Default)]
pub(super) struct DiskUse(AtomicU64);

impl DiskUse {
    pub(super) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    fn subtract(&self, bytes: u64) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

pub(super) struct TopicLog {
    folder: PathBuf,
    generation: Generation,
    options: RowLogOptions,
    disk: Arc<DiskUse>,
    /// Ascending, never empty; the last one is written to.
    segments: RwLock<Vec<Arc<Segment>>>,
    /// The offset after the last durable row. Written by the leader alone.
    end: watch::Sender<u64>,
    pub(super) appends: Arc<GroupCommit<Append>>,
    released: Mutex<BTreeMap<String, u64>>,
    /// The newest sampled appends. They are not on disk: after a restart their rows are brought in without spans.
    traces: Mutex<VecDeque<Traced>>,
}

/// Sampled appends that are remembered for the sinks.
const TRACES: usize = 1024;

impl TopicLog {
    /// Opens the topic in `folder`, making it if it is not there. Reads the last segment.
    pub(super) fn open(
        folder: PathBuf,
        generation: Generation,
        options: RowLogOptions,
        disk: Arc<DiskUse>,
    ) -> Result<Self> {
        let io = |error| failure::io(WHAT, error);
        if !folder.exists() {
            fs::create_dir_all(&folder).map_err(io)?;
            if let Some(parent) = folder.parent() {
                segment::sync_folder(parent).map_err(io)?;
            }
        }
        let mut offsets = segment::list(&folder).map_err(io)?;
        if offsets.is_empty() {
            offsets.push(0);
        }
        let segments = offsets
            .iter()
            .map(|&first| Segment::open(&folder, first).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()
            .map_err(io)?;
        let mut end = 0;
        if let Some(last) = segments.last() {
            let recovered = last.recover()?;
            end = recovered.next;
            if recovered.torn > 0 {
                tracing::warn!(
                    topic = %folder.display(),
                    bytes = recovered.torn,
                    "cut off an append that was not finished when the process ended; nobody had been answered"
                );
            }
        }
        disk.add(segments.iter().map(|segment| segment.durable()).sum());
        Ok(Self {
            released: Mutex::new(read_released(&folder)?),
            traces: Mutex::default(),
            appends: Arc::new(GroupCommit::new(WHAT, options.pending_bytes)),
            segments: RwLock::new(segments),
            end: watch::Sender::new(end),
            folder,
            generation,
            options,
            disk,
        })
    }

    /// The first offset held and the one after the last.
    pub(super) fn bounds(&self) -> (u64, u64) {
        let first = self.segments.read().first().map_or(0, |segment| segment.first);
        (first, *self.end.borrow())
    }

    /// Appends what waits with one write and one sync, and answers. For the leader, on a thread for blocking work.
    pub(super) fn commit(&self, appends: Vec<Append>) {
        let first = *self.end.borrow();
        match self.write(first, appends) {
            Ok((end, answers)) => {
                self.end.send_replace(end);
                for (answer, appended) in answers {
                    // Whoever asked may have gone; the rows stay.
                    let _ = answer.send(Ok(appended));
                }
            }
            Err((error, answers)) => {
                for answer in answers {
                    let _ = answer.send(Err(error.clone()));
                }
            }
        }
    }

    #[allow(clippy::type_complexity)]
    fn write(
        &self,
        first: u64,
        appends: Vec<Append>,
    ) -> Result<
        (u64, Vec<(oneshot::Sender<Result<Appended>>, Appended)>),
        (StorageError, Vec<oneshot::Sender<Result<Appended>>>),
    > {
        let segment = match self.writable(first) {
            Ok(segment) => segment,
            Err(error) => return Err((error, appends.into_iter().map(|append| append.answer).collect())),
        };
        let durable = segment.durable();
        let mut next = first;
        let mut bytes = Vec::with_capacity(appends.iter().flat_map(|append| &append.entries).map(Entry::len).sum());
        let mut marks = Vec::new();
        let mut answers = Vec::with_capacity(appends.len());
        for mut append in appends {
            let appended_from = next;
            for entry in &mut append.entries {
                marks.push((next, durable + bytes.len() as u64));
                bytes.extend_from_slice(entry.place(next, durable));
                next += entry.rows();
            }
            let appended = Appended {
                partition: PARTITION,
                first: appended_from,
                count: next - appended_from,
            };
            if let Some(context) = append.trace.take()
                && next > appended_from
            {
                let mut traces = self.traces.lock();
                if traces.len() >= TRACES {
                    traces.pop_front();
                }
                traces.push_back(Traced {
                    first: appended_from,
                    last: next - 1,
                    context,
                });
            }
            answers.push((append.answer, appended));
        }
        if let Err(error) = segment.append(&bytes, &marks) {
            // What cannot be cut off now would be taken for rows after a restart, at worst: rows that nobody was told of, as after any error.
            let discarded = segment.discard_unfinished();
            self.traces.lock().retain(|traced| traced.last < first);
            tracing::error!(%error, discarded = discarded.is_ok(), "the row log cannot be written");
            let answers = answers.into_iter().map(|(answer, _)| answer).collect();
            return Err((failure::io(WHAT, error), answers));
        }
        self.disk.add(bytes.len() as u64);
        Ok((next, answers))
    }

    /// The last segment, or one begun because that is long enough.
    fn writable(&self, next: u64) -> Result<Arc<Segment>> {
        let last = self.segments.read().last().cloned();
        match last {
            Some(last) if last.durable() < self.options.segment_bytes || last.first == next => Ok(last),
            _ => {
                let segment = Segment::open(&self.folder, next).map_err(|error| failure::io(WHAT, error))?;
                let segment = Arc::new(segment);
                self.segments.write().push(segment.clone());
                Ok(segment)
            }
        }
    }

    /// Rows from `from` on; see [`forebay_storage::RowLog::fetch`].
    pub(super) async fn fetch(self: &Arc<Self>, from: u64, max_bytes: usize, wait: Duration) -> Result<Fetched> {
        let mut end = self.end.subscribe();
        let mut now = *end.borrow_and_update();
        if from > now {
            return Err(StorageError::corrupt(
                WHAT,
                format!(
                    "{}: a consumer asks for offset {from}, the log ends at {now}; it was replaced or lost, so restore it or rebuild the consumer",
                    self.folder.display()
                ),
            ));
        }
        if from == now && !wait.is_zero() {
            match tokio::time::timeout(wait, end.wait_for(|&end| end > from)).await {
                Ok(Ok(later)) => now = *later,
                Ok(Err(_)) => return Err(StorageError::Closed { what: WHAT }),
                Err(_) => {}
            }
        }
        if from == now {
            return Ok(Fetched {
                next: from,
                ..Fetched::default()
            });
        }
        let topic = self.clone();
        tokio::task::spawn_blocking(move || topic.read(from, max_bytes))
            .await
            .map_err(|_| StorageError::Closed { what: WHAT })?
    }

    fn read(&self, from: u64, max_bytes: usize) -> Result<Fetched> {
        let (first, end) = self.bounds();
        let mut from = from.max(first);
        while from < end {
            let (segment, next) = {
                let segments = self.segments.read();
                let after = segments.partition_point(|segment| segment.first <= from);
                let next = segments.get(after).map(|segment| segment.first);
                match after.checked_sub(1) {
                    Some(index) => (segments[index].clone(), next),
                    // Everything up to the next segment was released while this was looking.
                    None => (segments[0].clone(), next),
                }
            };
            let rows = segment.read(self.generation, from, max_bytes)?;
            if let Some(last) = rows.last() {
                let last = last.offset;
                let traces = self.traces.lock();
                let traces = traces.iter().filter_map(|traced| traced.within(from, last));
                return Ok(Fetched {
                    next: last + 1,
                    traces: traces.collect(),
                    rows,
                    ..Fetched::default()
                });
            }
            match next {
                Some(next) if next > from => from = next,
                _ => {
                    return Err(StorageError::corrupt(
                        WHAT,
                        format!("{}: the rows from offset {from} on are missing", segment.path.display()),
                    ));
                }
            }
        }
        Ok(Fetched {
            next: from,
            ..Fetched::default()
        })
    }

    /// Remembers what a consumer needs no more and removes the segments that none needs. On a thread for blocking work.
    pub(super) fn release(&self, consumer: &str, next: u64) -> Result<()> {
        let io = |error| failure::io(WHAT, error);
        let needed = {
            let mut released = self.released.lock();
            match released.get_mut(consumer) {
                Some(known) => *known = next.max(*known),
                None => {
                    released.insert(consumer.to_owned(), next);
                    write_released(&self.folder, &released).map_err(io)?;
                }
            }
            released.values().copied().min().unwrap_or(0)
        };
        let unneeded = {
            let mut segments = self.segments.write();
            let keep = segments
                .partition_point(|segment| segment.first <= needed)
                .saturating_sub(1);
            segments.drain(..keep).collect::<Vec<_>>()
        };
        for segment in unneeded {
            fs::remove_file(&segment.path).map_err(io)?;
            self.disk.subtract(segment.durable());
        }
        Ok(())
    }

    /// Removes the topic from the disk. Nothing may be appended any more.
    pub(super) fn remove(&self) -> Result<()> {
        let bytes = self.segments.read().iter().map(|segment| segment.durable()).sum();
        fs::remove_dir_all(&self.folder).map_err(|error| failure::io(WHAT, error))?;
        self.disk.subtract(bytes);
        Ok(())
    }
}

fn read_released(folder: &Path) -> Result<BTreeMap<String, u64>> {
    match fs::read(folder.join(RELEASED)) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| StorageError::corrupt(WHAT, format!("{}: {error}", folder.join(RELEASED).display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(failure::io(WHAT, error)),
    }
}

fn write_released(folder: &Path, released: &BTreeMap<String, u64>) -> std::io::Result<()> {
    let temporary = folder.join("released.tmp");
    let mut file = fs::File::create(&temporary)?;
    file.write_all(&serde_json::to_vec(released)?)?;
    file.sync_all()?;
    fs::rename(&temporary, folder.join(RELEASED))?;
    segment::sync_folder(folder)
}
