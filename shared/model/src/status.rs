//! What a reader is told of every served value, the same on every path.

use serde::{Deserialize, Serialize};

use crate::{Duration, Timestamp};

/// The status of one served value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// A value.
    Present,
    /// The winning row holds null.
    NullValue,
    /// No row for the key, or the winning row is a delete.
    NotFound,
    /// The winning row is older than the group's ttl or the request's `max_age`; the value is withheld.
    OutsideMaxAge,
    /// The store could not answer for this group in time.
    Error,
}

impl Status {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Present => "PRESENT",
            Self::NullValue => "NULL_VALUE",
            Self::NotFound => "NOT_FOUND",
            Self::OutsideMaxAge => "OUTSIDE_MAX_AGE",
            Self::Error => "ERROR",
        }
    }
}

/// How old a row may be to be visible: the smaller of the group's ttl and the request's `max_age`. None: any age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Freshness(Option<Duration>);

impl Freshness {
    #[must_use]
    pub fn new(ttl: Option<Duration>, max_age: Option<Duration>) -> Self {
        Self([ttl, max_age].into_iter().flatten().min())
    }

    /// The greatest visible age, `None` for any.
    #[must_use]
    pub const fn limit(self) -> Option<Duration> {
        self.0
    }

    /// Whether a row of this event time is visible at `at`: `at - event_time <= limit`, inclusive to the microsecond.
    #[must_use]
    pub fn shows(self, event_time: Timestamp, at: Timestamp) -> bool {
        self.0
            .is_none_or(|limit| i128::from(at.micros()) - i128::from(event_time.micros()) <= i128::from(limit.micros()))
    }

    /// What the winning row of a key means for a reader at `at`, before its features are looked at: `Present` stands for "look at the value".
    #[must_use]
    pub fn status(self, winner: Option<(Timestamp, bool)>, at: Timestamp) -> Status {
        match winner {
            None | Some((_, true)) => Status::NotFound,
            Some((event_time, false)) if !self.shows(event_time, at) => Status::OutsideMaxAge,
            Some(_) => Status::Present,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_inclusive_to_the_microsecond() {
        let freshness = Freshness::new(Some(Duration::from_micros(10)), Some(Duration::from_micros(20)));
        let at = Timestamp::from_micros(0);
        assert_eq!(freshness.limit(), Some(Duration::from_micros(10)));
        assert!(freshness.shows(Timestamp::from_micros(-10), at));
        assert!(!freshness.shows(Timestamp::from_micros(-11), at));
        assert!(Freshness::default().shows(Timestamp::MIN, Timestamp::MAX));
    }

    #[test]
    fn a_delete_is_not_found_however_old() {
        let freshness = Freshness::new(Some(Duration::from_micros(10)), None);
        let at = Timestamp::from_micros(100);
        assert_eq!(freshness.status(None, at), Status::NotFound);
        assert_eq!(
            freshness.status(Some((Timestamp::from_micros(1), true)), at),
            Status::NotFound
        );
        assert_eq!(
            freshness.status(Some((Timestamp::from_micros(1), false)), at),
            Status::OutsideMaxAge
        );
        assert_eq!(
            freshness.status(Some((Timestamp::from_micros(90), false)), at),
            Status::Present
        );
    }
}
