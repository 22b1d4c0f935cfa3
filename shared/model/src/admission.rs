//! Which rows may be taken in. It depends on the row alone, so that every sink and every reader decides alike.

use crate::{Duration, Timestamp};

/// What to do with a row that arrives at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may be taken in; its ingest time is the moment of arrival.
    Admit,
    /// It is slightly ahead: hold it until its event time has come.
    WaitUntil(Timestamp),
}

/// Why a row may not be taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Inadmissible {
    #[error("a key is null")]
    NullKey,
    #[error("event_time is null")]
    NullEventTime,
    #[error("ingest_time is null")]
    NullIngestTime,
    #[error("event_time lies {} ms ahead of the time of ingestion; a row from the future would hide its key's newer rows", ahead_micros / 1_000)]
    Future { ahead_micros: i64 },
    #[error("the sequence or ingest time is negative")]
    NegativeSequence,
    #[error("event_time lies outside the years 0000 to 9999")]
    OutOfRange,
}

/// How far ahead of the clock an event time may lie, by default, for the row to be held rather than rejected.
pub const DEFAULT_TOLERANCE: Duration = Duration::from_micros(1_000_000);

/// Decides on a row that arrives `now`.
///
/// # Errors
/// [`Inadmissible`] when it can never be taken in.
pub fn on_arrival(event_time: Timestamp, now: Timestamp, tolerance: Duration) -> Result<Admission, Inadmissible> {
    if !event_time.is_writable() {
        return Err(Inadmissible::OutOfRange);
    }
    if event_time <= now {
        return Ok(Admission::Admit);
    }
    if event_time <= now.saturating_add(tolerance) {
        return Ok(Admission::WaitUntil(event_time));
    }
    Err(Inadmissible::Future {
        ahead_micros: event_time.micros().saturating_sub(now.micros()),
    })
}

/// Decides on a row that somebody has stored: `sequence` is its effective one.
///
/// # Errors
/// [`Inadmissible`] when every reader must leave it out.
pub fn of_stored(
    event_time: Option<Timestamp>,
    ingest_time: Option<Timestamp>,
    sequence: Option<i64>,
) -> Result<(), Inadmissible> {
    let event_time = event_time.ok_or(Inadmissible::NullEventTime)?;
    let ingest_time = ingest_time.ok_or(Inadmissible::NullIngestTime)?;
    if !event_time.is_writable() || !ingest_time.is_writable() {
        return Err(Inadmissible::OutOfRange);
    }
    if event_time > ingest_time {
        return Err(Inadmissible::Future {
            ahead_micros: event_time.micros().saturating_sub(ingest_time.micros()),
        });
    }
    if ingest_time.micros() < 0 || sequence.is_some_and(|s| s < 0) {
        return Err(Inadmissible::NegativeSequence);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(10_000_000);

    #[test]
    fn a_row_slightly_ahead_waits_and_one_further_ahead_is_rejected() {
        let decide = |micros| on_arrival(Timestamp::from_micros(micros), NOW, DEFAULT_TOLERANCE);
        assert_eq!(decide(10_000_000), Ok(Admission::Admit));
        assert_eq!(
            decide(11_000_000),
            Ok(Admission::WaitUntil(Timestamp::from_micros(11_000_000)))
        );
        assert_eq!(
            decide(11_000_001),
            Err(Inadmissible::Future {
                ahead_micros: 1_000_001
            })
        );
        assert_eq!(decide(i64::MIN), Err(Inadmissible::OutOfRange));
    }

    #[test]
    fn a_stored_row_is_judged_by_its_own_times() {
        let judge = |event: Option<i64>, ingest: Option<i64>, sequence| {
            of_stored(
                event.map(Timestamp::from_micros),
                ingest.map(Timestamp::from_micros),
                sequence,
            )
        };
        assert_eq!(judge(Some(5), Some(5), None), Ok(()));
        assert_eq!(judge(Some(-5), Some(0), Some(0)), Ok(()));
        assert_eq!(judge(None, Some(5), None), Err(Inadmissible::NullEventTime));
        assert_eq!(judge(Some(5), None, None), Err(Inadmissible::NullIngestTime));
        assert_eq!(
            judge(Some(6), Some(5), None),
            Err(Inadmissible::Future { ahead_micros: 1 })
        );
        assert_eq!(judge(Some(-6), Some(-5), None), Err(Inadmissible::NegativeSequence));
        assert_eq!(judge(Some(5), Some(5), Some(-1)), Err(Inadmissible::NegativeSequence));
    }
}
