//! Where one reader of a partition stands, and what was read ahead for it.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::chunk::{Chunk, OpenChunk};
use crate::row_log::origin::Origin;

pub(crate) struct Cursor {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    /// One fetch at a time uses it.
    busy: AtomicBool,
    state: Mutex<State>,
    /// Something came, or will not come.
    pub(crate) arrived: Notify,
}

#[derive(Default)]
struct State {
    /// Whether the consumer reads the partition.
    placed: bool,
    /// The next offset that a fetch takes.
    next: u64,
    /// Offsets below this have come already.
    arriving: u64,
    chunks: VecDeque<Chunk>,
    open: OpenChunk,
    bytes: usize,
    paused: bool,
    used: Option<Instant>,
}

/// What the poll thread does after a record has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// The record had come before, or nobody wants it.
    Dropped,
    Kept,
    /// So much was read ahead that the partition is to be paused.
    Pause,
}

impl Cursor {
    pub(crate) fn new(topic: Arc<str>, partition: i32) -> Self {
        Self {
            topic,
            partition,
            busy: AtomicBool::new(false),
            state: Mutex::default(),
            arrived: Notify::new(),
        }
    }

    /// Takes it into use, unless somebody else uses it.
    pub(crate) fn try_use(self: &Arc<Self>) -> Option<InUse> {
        let free = !self.busy.swap(true, Ordering::AcqRel);
        free.then(|| {
            self.state.lock().used = Some(Instant::now());
            InUse(self.clone())
        })
    }

    /// Whether a fetch from `from` finds what it wants here without moving the consumer.
    pub(crate) fn stands_at(&self, from: u64) -> bool {
        let state = self.state.lock();
        state.placed && (state.next..=state.arriving).contains(&from)
    }

    pub(crate) fn is_placed(&self) -> bool {
        self.state.lock().placed
    }

    pub(crate) fn used(&self) -> Option<Instant> {
        self.state.lock().used
    }

    /// The consumer does not read the partition any more; what was read ahead goes. Tells whether it was paused.
    pub(crate) fn clear(&self) -> bool {
        let mut state = self.state.lock();
        let paused = state.paused;
        *state = State {
            used: state.used,
            ..State::default()
        };
        paused
    }

    /// The consumer reads from `from` on.
    pub(crate) fn place(&self, from: u64) {
        let mut state = self.state.lock();
        *state = State {
            placed: true,
            next: from,
            arriving: from,
            used: state.used,
            ..State::default()
        };
    }

    /// For the poll thread: a record has come. `share` is what may be read ahead here.
    pub(crate) fn push(
        &self,
        offset: u64,
        appended_ms: Option<i64>,
        key: Option<&[u8]>,
        value: &[u8],
        origin: Origin,
        share: usize,
    ) -> Pushed {
        let mut state = self.state.lock();
        if !state.placed || offset < state.arriving {
            return Pushed::Dropped;
        }
        state.arriving = offset + 1;
        let bytes = state.open.push(offset, appended_ms, key, value, origin);
        state.bytes += bytes;
        if state.open.is_full() {
            let chunk = state.open.close();
            state.chunks.push_back(chunk);
        }
        if state.bytes > share && !state.paused {
            state.paused = true;
            return Pushed::Pause;
        }
        Pushed::Kept
    }

    /// Takes what was read ahead from `from` on, about `max_bytes` of it; tells whether the partition is to be resumed. `None` when the cursor does not stand
    /// there: the order of a fetch that was given up may come late and move it.
    pub(crate) fn take(&self, from: u64, max_bytes: usize, share: usize) -> Option<(Vec<Chunk>, bool)> {
        let mut state = self.state.lock();
        if !state.placed || !(state.next..=state.arriving).contains(&from) {
            return None;
        }
        if !state.open.is_empty() {
            let chunk = state.open.close();
            state.chunks.push_back(chunk);
        }
        let mut taken = Vec::new();
        let mut room = max_bytes;
        while let Some(chunk) = state.chunks.front_mut() {
            let skipped = chunk.skip_to(from);
            let mut bytes = skipped;
            let mut is_full = false;
            if !chunk.is_empty() && (taken.is_empty() || room > 0) {
                let piece = chunk.take(room);
                bytes += piece.bytes();
                room = room.saturating_sub(piece.bytes());
                is_full = !chunk.is_empty();
                taken.push(piece);
            } else if !chunk.is_empty() {
                is_full = true;
            }
            state.bytes -= bytes;
            if is_full {
                break;
            }
            state.chunks.pop_front();
        }
        if let Some(last) = taken.last().and_then(|chunk| chunk.records().last()) {
            state.next = last.offset + 1;
        } else {
            state.next = from;
        }
        let resume = state.paused && state.bytes <= share / 2;
        if resume {
            state.paused = false;
        }
        Some((taken, resume))
    }
}

/// A cursor that one fetch uses; it is free again when this goes.
pub(crate) struct InUse(pub(crate) Arc<Cursor>);

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(cursor: &Cursor, offset: u64) -> Pushed {
        cursor.push(offset, Some(0), None, &[0; 100], Origin::default(), 1_000)
    }

    fn offsets(chunks: &[Chunk]) -> Vec<u64> {
        chunks
            .iter()
            .flat_map(|chunk| chunk.records())
            .map(|record| record.offset)
            .collect()
    }

    #[test]
    fn takes_in_order_and_once() {
        let cursor = Cursor::new("t".into(), 0);
        assert_eq!(push(&cursor, 5), Pushed::Dropped);
        cursor.place(5);
        assert_eq!(push(&cursor, 5), Pushed::Kept);
        assert_eq!(push(&cursor, 5), Pushed::Dropped);
        assert_eq!(push(&cursor, 7), Pushed::Kept);
        assert!(cursor.stands_at(5) && cursor.stands_at(8) && !cursor.stands_at(4) && !cursor.stands_at(9));
        let take = |from, max_bytes| cursor.take(from, max_bytes, 1_000).map(|(taken, _)| offsets(&taken));
        assert_eq!(take(5, 1), Some(vec![5]));
        push(&cursor, 8);
        assert_eq!(take(6, usize::MAX), Some(vec![7, 8]));
        assert!(cursor.stands_at(9) && !cursor.stands_at(8));
        assert_eq!(take(9, 1), Some(Vec::new()));
        cursor.place(20);
        push(&cursor, 20);
        assert_eq!(take(9, 1), None, "it was moved away");
        cursor.clear();
        assert_eq!(take(20, 1), None);
    }

    #[test]
    fn is_paused_at_its_share_and_resumed_when_half_is_gone() {
        let cursor = Cursor::new("t".into(), 0);
        cursor.place(0);
        let pushed: Vec<_> = (0..20).map(|offset| push(&cursor, offset)).collect();
        assert_eq!(pushed.iter().filter(|pushed| **pushed == Pushed::Pause).count(), 1);
        let take = |from, max_bytes| cursor.take(from, max_bytes, 1_000).expect("it stands there");
        let (taken, resume) = take(0, 1);
        assert_eq!((offsets(&taken), resume), (vec![0], false));
        let (taken, resume) = take(1, usize::MAX);
        assert_eq!((taken.len(), resume), (1, true));
        assert!(!take(20, 1).1, "once");
    }

    #[test]
    fn one_uses_it_at_a_time() {
        let cursor = Arc::new(Cursor::new("t".into(), 0));
        let used = cursor.try_use().expect("free");
        assert!(cursor.try_use().is_none());
        drop(used);
        assert!(cursor.try_use().is_some());
    }
}
