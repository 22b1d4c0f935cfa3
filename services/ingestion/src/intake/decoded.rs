use std::{collections::BTreeMap, sync::Arc};

use forebay_rows::{Layouts, Reject, RowBatch};

use super::{Refusal, budget::Reservation};

/// How many rejected rows an answer lists.
pub(crate) const LISTED: usize = 100;

/// What a body was decoded into.
#[derive(Debug)]
pub struct Decoded {
    pub layouts: Arc<Layouts>,
    pub parts: Vec<Part>,
    pub rejections: Rejections,
    /// Rows seen, good or not.
    pub rows: usize,
    max_rows: usize,
    pub reservation: Reservation,
}

/// Good rows, and of each its index in the request.
#[derive(Debug)]
pub struct Part {
    pub rows: RowBatch,
    pub indexes: Vec<u64>,
}

/// The rows that do not fit, counted, and the first of them.
#[derive(Debug, Default, Clone)]
pub struct Rejections {
    pub count: u64,
    pub listed: BTreeMap<u64, Reject>,
}

impl Rejections {
    pub fn push(&mut self, index: u64, reject: Reject) {
        self.count += 1;
        self.listed.insert(index, reject);
        if self.listed.len() > LISTED {
            self.listed.pop_last();
        }
    }
}

impl Part {
    /// Keeps the rows for which `reject` gives nothing, and moves the others to the rejections.
    pub fn sift(&mut self, rejections: &mut Rejections, reject: impl Fn(usize) -> Option<Reject>) {
        let mut keep = vec![true; self.rows.len()];
        for (row, keep) in keep.iter_mut().enumerate() {
            if let Some(reason) = reject(row) {
                rejections.push(self.indexes[row], reason);
                *keep = false;
            }
        }
        if keep.contains(&false) {
            self.rows.retain(|row| keep[row]);
            let mut row = 0;
            self.indexes.retain(|_| {
                row += 1;
                keep[row - 1]
            });
        }
    }
}

impl Decoded {
    pub fn new(layouts: Arc<Layouts>, max_rows: usize, reservation: Reservation) -> Self {
        Self {
            layouts,
            parts: Vec::new(),
            rejections: Rejections::default(),
            rows: 0,
            max_rows,
            reservation,
        }
    }

    /// Counts rows that were met, and tells the index of the first of them.
    ///
    /// # Errors
    /// [`Refusal::TooManyRows`].
    pub fn count(&mut self, rows: usize) -> Result<u64, Refusal> {
        let first = self.rows;
        self.rows = first.saturating_add(rows);
        if self.rows > self.max_rows {
            return Err(Refusal::TooManyRows(self.max_rows));
        }
        Ok(first as u64)
    }

    /// # Errors
    /// [`Refusal::Full`] when there is no memory for them.
    pub fn push(&mut self, part: Part) -> Result<(), Refusal> {
        if !part.rows.is_empty() {
            self.reservation.grow(part.rows.byte_size())?;
            self.parts.push(part);
        }
        Ok(())
    }

    /// Good rows.
    pub fn accepted(&self) -> u64 {
        self.parts.iter().map(|part| part.rows.len() as u64).sum()
    }
}
