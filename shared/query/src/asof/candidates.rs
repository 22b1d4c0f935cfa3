//! The best row found so far for each cell of the spine's index, shared by all history partitions.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::Mutex;

use super::index::SpineIndex;

/// Where a kept history row lies: the task that keeps it and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct RowRef(u64);

impl RowRef {
    pub(super) const NONE: Self = Self(u64::MAX);
    const NUMBER_BITS: u32 = 48;

    pub(super) fn new(task: u16, number: u64) -> Self {
        Self(u64::from(task) << Self::NUMBER_BITS | number)
    }

    pub(super) fn task(self) -> u16 {
        (self.0 >> Self::NUMBER_BITS) as u16
    }

    pub(super) fn number(self) -> u64 {
        self.0 & ((1 << Self::NUMBER_BITS) - 1)
    }
}

/// What decides between rows of one key, greatest first (the winning rule of `model`).
///
/// `hash` is 0 while rows are gathered: the few rows that are still equal are decided afterwards,
/// so that no row's hash is computed without need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Version {
    pub(super) event_time: i64,
    pub(super) sequence: i64,
    pub(super) hash: u64,
}

#[derive(Debug, Clone, Copy)]
struct Cell {
    version: Version,
    row: RowRef,
}

const EMPTY: Cell = Cell {
    version: Version {
        event_time: i64::MIN,
        sequence: i64::MIN,
        hash: 0,
    },
    row: RowRef::NONE,
};

/// Two kept rows of one cell that the version does not decide.
#[derive(Debug, Clone, Copy)]
struct Tie {
    cell: u32,
    version: Version,
    row: RowRef,
}

#[derive(Debug)]
struct Shard {
    cells: Box<[Cell]>,
    ties: Vec<Tie>,
}

const SHARD_BITS: u32 = 10;

/// The cells, in shards with a lock each.
#[derive(Debug)]
pub(super) struct Candidates {
    shards: Vec<Mutex<Shard>>,
    /// Per cell, the event time of its best row. It only grows, so that a row older than what is
    /// read here has lost, whatever other tasks do meanwhile: most rows never take a lock.
    newest: Box<[AtomicI64]>,
}

impl Candidates {
    pub(super) fn new(cells: usize) -> Self {
        let shard = 1usize << SHARD_BITS;
        let shards = (0..cells.div_ceil(shard))
            .map(|number| {
                let len = shard.min(cells - number * shard);
                Mutex::new(Shard {
                    cells: vec![EMPTY; len].into_boxed_slice(),
                    ties: Vec::new(),
                })
            })
            .collect();
        let newest = std::iter::repeat_n(i64::MIN, cells)
            // The cell of rows that serve no slot; nothing wins there.
            .chain([i64::MAX])
            .map(AtomicI64::new)
            .collect();
        Self { shards, newest }
    }

    /// Bytes for this many cells.
    pub(super) fn memory_size(cells: usize) -> usize {
        cells * (size_of::<Cell>() + size_of::<AtomicI64>())
    }

    /// False if a row of this event time has certainly lost in this cell. The cell behind the last one is that of rows which serve no slot: there, all but
    /// those at the end of time have lost.
    pub(super) fn could_win(&self, cell: usize, event_time: i64) -> bool {
        self.newest[cell].load(Ordering::Relaxed) <= event_time
    }

    /// Lets a row compete. True if it must be kept: it is the best so far, or as good as the best.
    pub(super) fn offer(&self, cell: usize, version: Version, row: RowRef) -> bool {
        let mut shard = self.shards[cell >> SHARD_BITS].lock();
        let place = cell & ((1 << SHARD_BITS) - 1);
        let best = &mut shard.cells[place];
        match version.cmp(&best.version) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Greater => {
                *best = Cell { version, row };
                self.newest[cell].store(version.event_time, Ordering::Relaxed);
                true
            }
            std::cmp::Ordering::Equal => {
                shard.ties.push(Tie {
                    cell: cell as u32,
                    version,
                    row,
                });
                true
            }
        }
    }

    /// Visits every kept row that may still be an answer, and forgets ties that a better row settled.
    pub(super) fn for_each_row(&self, mut visit: impl FnMut(&mut RowRef)) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            let Shard { cells, ties } = &mut *shard;
            ties.retain(|tie| cells[tie.cell as usize & ((1 << SHARD_BITS) - 1)].version == tie.version);
            cells
                .iter_mut()
                .map(|cell| &mut cell.row)
                .chain(ties.iter_mut().map(|tie| &mut tie.row))
                .filter(|row| **row != RowRef::NONE)
                .for_each(&mut visit);
        }
    }

    /// Decides each slot's winner, once nothing is offered any more.
    pub(super) fn finish(&self, index: &SpineIndex) -> Winners {
        let mut cells = Vec::with_capacity(index.cells());
        let mut ties = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.lock();
            cells.extend_from_slice(&std::mem::take(&mut shard.cells));
            ties.append(&mut shard.ties);
        }
        let mut undecided = Vec::new();
        for tie in ties {
            let cell = cells[tie.cell as usize];
            if cell.version == tie.version {
                let key = index.key_of_cell(tie.cell as usize);
                undecided.push(Undecided::new(key, cell.version, cell.row, tie.row));
            }
        }
        match index.known() {
            None => carry_on(index, &mut cells),
            Some(_) => cells = read_trees(index, cells, &mut undecided),
        }
        Winners {
            rows: cells.iter().map(|cell| cell.row).collect(),
            versions: cells.iter().map(|cell| cell.version).collect(),
            undecided,
        }
    }
}

/// A slot that no row reached by itself has the winner of the key's slot before it.
fn carry_on(index: &SpineIndex, cells: &mut [Cell]) {
    for key in 0..index.table().len() as u32 {
        let mut last = EMPTY;
        for cell in &mut cells[index.slots_of_key(key)] {
            if cell.row == RowRef::NONE {
                *cell = last;
            }
            last = *cell;
        }
    }
}

/// The same with a known-at per row: one cell per slot from the nodes of its tree.
fn read_trees(index: &SpineIndex, mut cells: Vec<Cell>, undecided: &mut Vec<Undecided>) -> Vec<Cell> {
    let Some(tree) = index.known() else {
        return cells;
    };
    let mut slots = Vec::with_capacity(index.slots_len());
    for key in 0..index.table().len() as u32 {
        let range = index.slots_of_key(key);
        for slot in range.clone() {
            // What was known earlier is known later.
            let node = tree.node(slot);
            for at in node.start + 1..node.end {
                let (before, here) = (cells[at - 1], cells[at]);
                if before.row == RowRef::NONE {
                    continue;
                }
                if before.version == here.version {
                    undecided.push(Undecided::new(key, here.version, before.row, here.row));
                } else if before.version > here.version {
                    cells[at] = before;
                }
            }
        }
        for slot in range.clone() {
            let mut best = EMPTY;
            // Nodes hold disjoint ranges of event times: they cannot tie.
            tree.cells_of_slot(&range, slot, |cell| {
                if cells[cell].version > best.version {
                    best = cells[cell];
                }
            });
            slots.push(best);
        }
    }
    slots
}

/// Two rows of one key with equal versions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Undecided {
    pub(super) tied: TiedVersion,
    pub(super) rows: [RowRef; 2],
}

/// A key and the version that several of its rows have.
pub(super) type TiedVersion = (u32, i64, i64);

impl Undecided {
    fn new(key: u32, version: Version, first: RowRef, second: RowRef) -> Self {
        Self {
            tied: (key, version.event_time, version.sequence),
            rows: [first, second],
        }
    }
}

/// Each slot's winning row, or [`RowRef::NONE`].
#[derive(Debug)]
pub(super) struct Winners {
    pub(super) rows: Vec<RowRef>,
    versions: Vec<Version>,
    /// Pairs that only the rows themselves can decide.
    pub(super) undecided: Vec<Undecided>,
}

impl Winners {
    /// The winning row's event time; meaningless where there is none.
    pub(super) fn event_time(&self, slot: usize) -> i64 {
        self.versions[slot].event_time
    }

    /// Takes the winners of tied versions from a second round that compared hashes.
    pub(super) fn settle(&mut self, index: &SpineIndex, tied: &HashSet<TiedVersion>, second: &Winners) {
        for key in 0..index.table().len() as u32 {
            for slot in index.slots_of_key(key) {
                let version = self.versions[slot];
                if self.rows[slot] != RowRef::NONE
                    && second.rows[slot] != RowRef::NONE
                    && tied.contains(&(key, version.event_time, version.sequence))
                {
                    self.rows[slot] = second.rows[slot];
                }
            }
        }
    }
}
