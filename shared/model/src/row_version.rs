//! Which row wins: of all rows of a key the greatest event time, then the greatest sequence; should both be equal, the greatest canonical hash.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::{Generation, Timestamp};

/// The order in which a group's rows of one key were taken in. Never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sequence(i64);

/// Bits of a sequence that hold the offset; the generation of the topic stands above them.
const OFFSET_BITS: u32 = 48;

impl Sequence {
    /// The sequence of the row at `offset` of its partition; `None` when the offset does not fit in 48 bits or the generation in 15.
    #[must_use]
    pub fn of_position(generation: Generation, offset: u64) -> Option<Self> {
        let offset = i64::try_from(offset).ok().filter(|o| *o < 1 << OFFSET_BITS)?;
        (generation.0 <= i16::MAX.cast_unsigned()).then(|| Self(i64::from(generation.0) << OFFSET_BITS | offset))
    }

    /// The sequence of a row that came as a commit: what its writer set, else its ingest time. `None` when that is negative.
    #[must_use]
    pub fn of_commit(sequence: Option<i64>, ingest_time: Timestamp) -> Option<Self> {
        Self::from_raw(sequence.unwrap_or(ingest_time.micros()))
    }

    /// `None` when `raw` is negative.
    #[must_use]
    pub const fn from_raw(raw: i64) -> Option<Self> {
        if raw < 0 { None } else { Some(Self(raw)) }
    }

    #[must_use]
    pub const fn raw(self) -> i64 {
        self.0
    }
}

/// What decides between two rows of one key. The derived order is the rule: event time first, then sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowVersion {
    pub event_time: Timestamp,
    pub sequence: Sequence,
}

impl RowVersion {
    /// Whether a row of version `self` replaces one of version `current`. The hashes of the two canonical rows are asked for only when the versions are equal;
    /// a row does not replace its own repetition.
    pub fn replaces(
        self,
        current: Self,
        hash_of_self: impl FnOnce() -> u64,
        hash_of_current: impl FnOnce() -> u64,
    ) -> bool {
        match self.cmp(&current) {
            Ordering::Greater => true,
            Ordering::Less => false,
            Ordering::Equal => hash_of_self() > hash_of_current(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(event_time: i64, sequence: i64) -> RowVersion {
        RowVersion {
            event_time: Timestamp::from_micros(event_time),
            sequence: Sequence::from_raw(sequence).expect("not negative"),
        }
    }

    #[test]
    fn event_time_then_sequence_then_hash() {
        let replaces = |new, current, hashes: (u64, u64)| RowVersion::replaces(new, current, || hashes.0, || hashes.1);
        assert!(replaces(version(2, 0), version(1, 9), (0, 9)));
        assert!(!replaces(version(1, 9), version(2, 0), (9, 0)));
        assert!(replaces(version(-1, 2), version(-1, 1), (0, 9)));
        assert!(replaces(version(1, 1), version(1, 1), (2, 1)));
        assert!(
            !replaces(version(1, 1), version(1, 1), (1, 1)),
            "a repetition changes nothing"
        );
    }

    #[test]
    fn a_later_generation_comes_after_every_offset() {
        let last = Sequence::of_position(Generation(0), (1 << 48) - 1).expect("fits");
        assert!(Sequence::of_position(Generation(1), 0).expect("fits") > last);
        assert_eq!(Sequence::of_position(Generation(0), 1 << 48), None);
        assert_eq!(Sequence::of_position(Generation(1 << 15), 0), None);
    }

    #[test]
    fn a_commit_falls_back_to_its_ingest_time() {
        let ingest = Timestamp::from_micros(7);
        assert_eq!(Sequence::of_commit(None, ingest).map(Sequence::raw), Some(7));
        assert_eq!(Sequence::of_commit(Some(3), ingest).map(Sequence::raw), Some(3));
        assert_eq!(Sequence::of_commit(None, Timestamp::from_micros(-1)), None);
    }
}
