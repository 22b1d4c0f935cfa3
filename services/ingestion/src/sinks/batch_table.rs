//! Batches in the order of their identities, and which of their rows there were: about as little memory as that takes.

use std::collections::BTreeMap;

use forebay_storage::BatchId;

use super::ordinals::Ordinals;

/// What a batch takes, the space that its map keeps free included.
const WHOLE_BYTES: usize = 64;
/// One with gaps, and each of its intervals.
const TORN_BYTES: usize = 192;
const INTERVAL_BYTES: usize = 16;

#[derive(Debug, Default)]
pub(crate) struct BatchTable {
    /// Of each batch how many rows there were, without a gap: nearly all are like this.
    whole: BTreeMap<BatchId, u32>,
    /// Those with gaps.
    torn: BTreeMap<BatchId, Ordinals>,
    intervals: usize,
}

impl BatchTable {
    pub(crate) fn contains(&self, batch: BatchId) -> bool {
        self.whole.contains_key(&batch) || self.torn.contains_key(&batch)
    }

    /// Adds an interval of rows, both ends included; tells whether any of it was not there.
    pub(crate) fn add(&mut self, batch: BatchId, first: u32, last: u32) -> bool {
        if let Some(torn) = self.torn.get_mut(&batch) {
            self.intervals -= torn.apart();
            let is_new = torn.add(first, last);
            self.intervals += torn.apart();
            if let Some(below) = torn.whole() {
                self.torn.remove(&batch);
                self.whole.insert(batch, below);
            }
            return is_new;
        }
        let below = self.whole.entry(batch).or_default();
        if last < *below {
            return false;
        }
        let mut ordinals = Ordinals::up_to(*below);
        ordinals.add(first, last);
        match ordinals.whole() {
            Some(more) => *below = more,
            None => {
                self.whole.remove(&batch);
                self.intervals += ordinals.apart();
                self.torn.insert(batch, ordinals);
            }
        }
        true
    }

    pub(crate) fn add_all(&mut self, batch: BatchId, ordinals: &Ordinals) {
        for (first, last) in ordinals.intervals() {
            self.add(batch, first, last);
        }
    }

    pub(crate) fn first(&self) -> Option<BatchId> {
        let firsts = [self.whole.keys().next(), self.torn.keys().next()];
        firsts.into_iter().flatten().min().copied()
    }

    pub(crate) fn remove(&mut self, batch: BatchId) {
        self.whole.remove(&batch);
        if let Some(torn) = self.torn.remove(&batch) {
            self.intervals -= torn.apart();
        }
    }

    /// Memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.whole.len() * WHOLE_BYTES + self.torn.len() * TORN_BYTES + self.intervals * INTERVAL_BYTES
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::{collection::vec, prelude::*};
    use uuid::Uuid;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_set_of_what_was_added(added in vec((0u128..4, 0u32..12, 0u32..4), 0..60), forgets in any::<bool>()) {
            let mut naive = BTreeSet::new();
            let mut table = BatchTable::default();
            for (batch, first, length) in added {
                let id = BatchId(Uuid::from_u128(batch));
                let new = (first..=first + length).filter(|ordinal| naive.insert((batch, *ordinal))).count() > 0;
                prop_assert_eq!(table.add(id, first, first + length), new);
                prop_assert!(table.contains(id) && table.bytes() > 0);
                if forgets && batch == 3 {
                    let first = table.first().expect("one");
                    table.remove(first);
                    naive.retain(|(batch, _)| BatchId(Uuid::from_u128(*batch)) != first);
                    prop_assert!(!table.contains(first));
                }
            }
            while let Some(first) = table.first() {
                table.remove(first);
            }
            prop_assert_eq!(table.bytes(), 0);
        }
    }
}
