//! A set of numbers that is nearly always one interval from 0 on.

use serde_json::Value as Json;

/// Intervals, both ends included, in order and apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ordinals {
    /// Everything below this.
    below: u32,
    /// Intervals above it; none, as a rule.
    more: Vec<(u32, u32)>,
}

impl Ordinals {
    /// Adds an interval, both ends included; tells whether any of it was not there.
    pub(crate) fn add(&mut self, first: u32, last: u32) -> bool {
        if last < self.below || self.more.iter().any(|(from, to)| *from <= first && last <= *to) {
            return false;
        }
        let (mut first, mut last) = (first, last);
        self.more.retain(|(from, to)| {
            let touches = *from <= last.saturating_add(1) && first <= to.saturating_add(1);
            if touches {
                first = first.min(*from);
                last = last.max(*to);
            }
            !touches
        });
        if first <= self.below {
            self.below = last.saturating_add(1);
        } else {
            let at = self.more.partition_point(|(from, _)| *from < first);
            self.more.insert(at, (first, last));
        }
        true
    }

    pub(crate) fn add_all(&mut self, other: &Self) {
        for (first, last) in other.intervals() {
            self.add(first, last);
        }
    }

    /// Everything below a number.
    pub(crate) fn up_to(below: u32) -> Self {
        Self {
            below,
            more: Vec::new(),
        }
    }

    /// The number below which everything is, when there is nothing above it.
    pub(crate) fn whole(&self) -> Option<u32> {
        self.more.is_empty().then_some(self.below)
    }

    /// How many intervals there are that do not begin with 0.
    pub(crate) fn apart(&self) -> usize {
        self.more.len()
    }

    /// All intervals in order, both ends included.
    pub(crate) fn intervals(&self) -> impl Iterator<Item = (u32, u32)> {
        let first = self.below.checked_sub(1).map(|last| (0, last));
        first.into_iter().chain(self.more.iter().copied())
    }

    /// The last number of an interval from 0 on, or a list of intervals.
    pub(crate) fn of_json(json: &Json) -> Option<Self> {
        let mut ordinals = Self::default();
        if let Some(last) = json.as_u64() {
            ordinals.add(0, u32::try_from(last).ok()?);
        } else {
            let intervals: Vec<(u32, u32)> = serde_json::from_value(json.clone()).ok()?;
            for (first, last) in intervals.into_iter().filter(|(first, last)| first <= last) {
                ordinals.add(first, last);
            }
        }
        Some(ordinals)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::{collection::vec, prelude::*};
    use serde_json::json;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_set_of_what_was_added(intervals in vec((0u32..30, 0u32..6), 0..20)) {
            let mut naive = BTreeSet::new();
            let mut ordinals = Ordinals::default();
            for (first, length) in intervals {
                let new = (first..=first + length).any(|number| !naive.contains(&number));
                naive.extend(first..=first + length);
                prop_assert_eq!(ordinals.add(first, first + length), new);
                prop_assert!(ordinals.more.iter().all(|(from, _)| *from > ordinals.below));
                prop_assert!(ordinals.more.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
                let intervals: Vec<(u32, u32)> = ordinals.intervals().collect();
                let mut read = Ordinals::of_json(&json!(intervals)).expect("JSON");
                prop_assert_eq!(&read, &ordinals);
                prop_assert!((0..40).all(|number| naive.contains(&number) != read.clone().add(number, number)));
                read.add_all(&ordinals);
                prop_assert_eq!(&read, &ordinals);
            }
        }
    }
}
