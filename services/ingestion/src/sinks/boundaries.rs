//! Where the commits of the offline sink begin and end, for the online sink: it may let rows go only up to such a boundary.
//!
//! After a restart the online sink must know which batches stand before its position. The notes of the commits tell that of all rows below a boundary, and
//! the log itself of the rows since; so the log must reach back to the last boundary before the position.

use std::collections::{BTreeSet, HashMap};

use parking_lot::Mutex;

/// The boundaries of one topic.
#[derive(Debug, Default)]
pub(crate) struct Boundaries(Mutex<HashMap<u32, BTreeSet<u64>>>);

impl Boundaries {
    pub(crate) fn add(&self, partition: u32, offset: u64) {
        self.0.lock().entry(partition).or_default().insert(offset);
    }

    /// The greatest boundary up to `position`, those before it are forgotten; 0 when there is none.
    pub(crate) fn floor(&self, partition: u32, position: u64) -> u64 {
        let mut partitions = self.0.lock();
        let boundaries = partitions.entry(partition).or_default();
        let Some(floor) = boundaries.range(..=position).next_back().copied() else {
            return 0;
        };
        *boundaries = boundaries.split_off(&floor);
        floor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_let_go_up_to_the_last_boundary() {
        let boundaries = Boundaries::default();
        assert_eq!(boundaries.floor(0, 9), 0);
        for offset in [4, 10, 20] {
            boundaries.add(0, offset);
        }
        assert_eq!(
            [3, 9, 10, 15, 99].map(|position| boundaries.floor(0, position)),
            [0, 4, 10, 10, 20]
        );
        assert_eq!(boundaries.floor(1, 9), 0);
    }
}
