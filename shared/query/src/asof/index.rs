//! The spine, indexed: distinct keys, and for each key its sorted distinct moments.

use datafusion::common::{Result, resources_datafusion_err};

use super::keys::{KeyEncoder, KeyTable, Keys, NO_KEY};

/// Spine rows without an answer: a null key, time or known-at.
pub(super) const NO_SLOT: u32 = u32::MAX;

/// Collects the spine's rows until [`SpineIndexBuilder::build`].
#[derive(Debug, Default)]
pub(super) struct SpineIndexBuilder {
    table: KeyTable,
    /// Per spine row, in order.
    keys: Vec<u32>,
    moments: Vec<Moment>,
}

/// What a spine row asks for its key: the newest row at `time` that was known at `known_at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Moment {
    time: i64,
    known_at: i64,
}

impl SpineIndexBuilder {
    /// Adds a batch's rows. `times` and `known_at` are microseconds; `None` matches nothing. Without
    /// a `known_at` column pass the same value for all rows.
    pub(super) fn push(
        &mut self,
        keys: &Keys,
        times: impl Iterator<Item = Option<i64>>,
        known_at: impl Iterator<Item = Option<i64>>,
    ) -> Result<()> {
        let first = self.keys.len();
        if first + keys.len() >= NO_SLOT as usize {
            return Err(resources_datafusion_err!(
                "The spine has more than {} rows; split it.",
                NO_SLOT - 1
            ));
        }
        self.table.intern(keys, &mut self.keys);
        self.moments.reserve(keys.len());
        for (row, (time, known_at)) in times.zip(known_at).enumerate() {
            let moment = match (time, known_at) {
                (Some(time), Some(known_at)) => Moment { time, known_at },
                _ => {
                    self.keys[first + row] = NO_KEY;
                    Moment { time: 0, known_at: 0 }
                }
            };
            self.moments.push(moment);
        }
        Ok(())
    }

    /// Bytes that [`Self::build`] will need at its peak, with what is held now.
    pub(super) fn memory_size(&self) -> usize {
        let rows = self.keys.len();
        // Sorting needs a moment and a row number per row; the index a slot, a time and a cell.
        self.table.memory_size() + rows * (size_of::<Moment>() * 2 + 4 * 3 + BYTES_PER_SLOT)
    }

    /// Sorts each key's moments. `known_at_differs`: rows of one time may have several known-at.
    pub(super) fn build(self, encoder: KeyEncoder, known_at_differs: bool) -> SpineIndex {
        let Self { table, keys, moments } = self;
        let mut starts = vec![0u32; table.len() + 1];
        for &key in keys.iter().filter(|&&key| key != NO_KEY) {
            starts[key as usize + 1] += 1;
        }
        for key in 0..table.len() {
            starts[key + 1] += starts[key];
        }
        // Counting sort by key, then each key's rows by moment.
        let mut next = starts.clone();
        let mut sorted = vec![(Moment { time: 0, known_at: 0 }, 0u32); starts[table.len()] as usize];
        for (row, (&key, &moment)) in keys.iter().zip(&moments).enumerate() {
            if key != NO_KEY {
                let place = &mut next[key as usize];
                sorted[*place as usize] = (moment, row as u32);
                *place += 1;
            }
        }
        drop(moments);
        let mut slot_of_row = vec![NO_SLOT; keys.len()];
        drop(keys);
        let mut slots = Vec::with_capacity(table.len() + 1);
        let mut times = Vec::with_capacity(sorted.len());
        let mut known = Vec::new();
        for key in 0..table.len() {
            slots.push(times.len() as u32);
            let rows = &mut sorted[starts[key] as usize..starts[key + 1] as usize];
            rows.sort_unstable();
            let mut previous = None;
            for &(moment, row) in rows.iter() {
                if previous != Some(moment) {
                    times.push(moment.time);
                    if known_at_differs {
                        known.push(moment.known_at);
                    }
                    previous = Some(moment);
                }
                slot_of_row[row as usize] = times.len() as u32 - 1;
            }
        }
        slots.push(times.len() as u32);
        let known = known_at_differs.then(|| KnownAtTree::build(&slots, known));
        SpineIndex {
            encoder,
            table,
            slots,
            times,
            slot_of_row,
            known,
        }
    }
}

/// Time, owner of a cell, its newest time, and a spine row's slot.
const BYTES_PER_SLOT: usize = 8 + 32 + 8 + 4;

/// The spine's distinct (key, moment) pairs, numbered key by key in the order of time: its *slots*.
#[derive(Debug)]
pub(super) struct SpineIndex {
    encoder: KeyEncoder,
    table: KeyTable,
    /// Where each key's slots begin; one more at the end.
    slots: Vec<u32>,
    /// Per slot, microseconds.
    times: Vec<i64>,
    /// Per spine row, or [`NO_SLOT`].
    slot_of_row: Vec<u32>,
    known: Option<KnownAtTree>,
}

impl SpineIndex {
    pub(super) fn encoder(&self) -> &KeyEncoder {
        &self.encoder
    }

    pub(super) fn into_encoder(self) -> KeyEncoder {
        self.encoder
    }

    pub(super) fn table(&self) -> &KeyTable {
        &self.table
    }

    pub(super) fn slot_of_row(&self) -> &[u32] {
        &self.slot_of_row
    }

    pub(super) fn slots_of_key(&self, key: u32) -> std::ops::Range<usize> {
        self.slots[key as usize] as usize..self.slots[key as usize + 1] as usize
    }

    /// The first and the last moment that any row asks for.
    pub(super) fn time_range(&self) -> Option<(i64, i64)> {
        let first = self.times.iter().min()?;
        let last = self.times.iter().max()?;
        Some((*first, *last))
    }

    pub(super) fn known(&self) -> Option<&KnownAtTree> {
        self.known.as_ref()
    }

    /// How many cells hold candidates: one per slot, more if known-at differs by row.
    pub(super) fn cells(&self) -> usize {
        match &self.known {
            Some(tree) => tree.known.len(),
            None => self.times.len(),
        }
    }

    pub(super) fn slots_len(&self) -> usize {
        self.times.len()
    }

    /// Whose cell it is.
    pub(super) fn key_of_cell(&self, cell: usize) -> u32 {
        let slot = match &self.known {
            Some(tree) => tree.starts.partition_point(|&start| start as usize <= cell) - 1,
            None => cell,
        };
        self.slots.partition_point(|&first| first as usize <= slot) as u32 - 1
    }

    pub(super) fn memory_size(&self) -> usize {
        self.table.memory_size()
            + self.slots.len() * 4
            + self.times.len() * 8
            + self.slot_of_row.len() * 4
            + self
                .known
                .as_ref()
                .map_or(0, |tree| tree.known.len() * 8 + tree.starts.len() * 4)
    }

    /// The first slot of the key at or after the event time, relative to the key's first slot.
    fn first_slot(&self, key: u32, event_time: i64) -> (std::ops::Range<usize>, usize) {
        let range = self.slots_of_key(key);
        let times = &self.times[range.clone()];
        // Most keys have few moments, and most of those fit one cache line.
        let first = if times.len() <= 8 {
            times.iter().take_while(|&&time| time < event_time).count()
        } else {
            times.partition_point(|&time| time < event_time)
        };
        (range, first)
    }

    /// The one cell in which a row competes while all spine rows know the same; [`Self::cells`] if it serves no slot.
    pub(super) fn only_cell(&self, key: u32, event_time: i64) -> usize {
        let (range, first) = self.first_slot(key, event_time);
        if first == range.len() {
            self.cells()
        } else {
            range.start + first
        }
    }

    /// Calls `visit` with each cell in which a row of this key, event time and ingest time competes.
    ///
    /// A row serves every later moment of its key, but competes only for the first of them: what
    /// wins there is carried on to the later ones at the end (`Candidates::finish`). So a row costs
    /// a search, not a walk. With a known-at per row the cells are those of a [`KnownAtTree`].
    pub(super) fn for_each_cell(&self, key: u32, event_time: i64, ingest_time: i64, mut visit: impl FnMut(usize)) {
        let (range, first) = self.first_slot(key, event_time);
        if first == range.len() {
            return;
        }
        match &self.known {
            None => visit(range.start + first),
            Some(tree) => tree.for_each_cell(range, first, ingest_time, visit),
        }
    }
}

/// Cells for spines whose rows differ in what they may know.
///
/// A row with event time e and ingest time i serves the slots with `time >= e` and
/// `known_at >= i`. Per key this is a Fenwick tree over the slots by time, whose nodes hold the
/// sorted known-at of the slots that read them: O(log² n) per history row, O(n log n) cells.
#[derive(Debug)]
pub(super) struct KnownAtTree {
    /// Per slot, taken as the Fenwick node of that rank: where its cells begin; one more at the end.
    starts: Vec<u32>,
    /// Per cell: the known-at it stands for, sorted and distinct within a node.
    known: Vec<i64>,
    /// Per slot, its own known-at.
    of_slot: Vec<i64>,
}

impl KnownAtTree {
    fn build(slots: &[u32], of_slot: Vec<i64>) -> Self {
        let mut starts = Vec::with_capacity(of_slot.len() + 1);
        let mut known: Vec<i64> = Vec::with_capacity(of_slot.len() * 2);
        for key in slots.windows(2) {
            let (first, len) = (key[0] as usize, (key[1] - key[0]) as usize);
            for rank in 1..=len {
                starts.push(known.len() as u32);
                // The slots whose walk down the tree passes this node.
                let last = len.min(rank + lowest_bit(rank) - 1);
                let mut node = of_slot[first + rank - 1..first + last].to_vec();
                node.sort_unstable();
                node.dedup();
                known.extend(node);
            }
        }
        starts.push(known.len() as u32);
        Self { starts, known, of_slot }
    }

    /// The cells of a node.
    pub(super) fn node(&self, slot: usize) -> std::ops::Range<usize> {
        self.starts[slot] as usize..self.starts[slot + 1] as usize
    }

    fn for_each_cell(&self, key: std::ops::Range<usize>, first: usize, ingest_time: i64, mut visit: impl FnMut(usize)) {
        let mut rank = first + 1;
        while rank <= key.len() {
            let node = self.node(key.start + rank - 1);
            let known = &self.known[node.clone()];
            let at = known.partition_point(|&known_at| known_at < ingest_time);
            if at < known.len() {
                visit(node.start + at);
            }
            rank += lowest_bit(rank);
        }
    }

    /// The cells that a slot reads, once every node's cells carry the best of those before them.
    pub(super) fn cells_of_slot(&self, key: &std::ops::Range<usize>, slot: usize, mut visit: impl FnMut(usize)) {
        let known_at = self.of_slot[slot];
        let mut rank = slot - key.start + 1;
        while rank > 0 {
            let node = self.node(key.start + rank - 1);
            let at = self.known[node.clone()].partition_point(|&known| known < known_at);
            visit(node.start + at);
            rank -= lowest_bit(rank);
        }
    }
}

fn lowest_bit(rank: usize) -> usize {
    rank & rank.wrapping_neg()
}
