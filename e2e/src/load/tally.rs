//! How callers' requests ended.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::http::Answer;

/// Failures that are kept word by word.
const SHOWN: usize = 12;

/// A count that all callers share. A request has failed when its caller got no whole answer in time, or one of 500 and above. One that was answered 429 has
/// not, since its caller is to come back; those are counted apart.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    /// In microseconds, of those that were answered.
    times: Vec<u64>,
    failed: usize,
    told_to_wait: usize,
    shown: Vec<String>,
}

impl Tally {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how a request ended.
    pub fn note(&self, asked: &str, took: Duration, answer: &reqwest::Result<Answer>) {
        let told_to_wait = answer.as_ref().is_ok_and(|answer| answer.status == 429);
        let failure = match answer {
            Ok(answer) if answer.status < 500 => None,
            Ok(answer) => Some(format!("{} {}", answer.status, answer.text())),
            Err(error) => Some(format!("{error:?}")),
        };
        let mut inner = self.inner();
        inner.times.push(took.as_micros() as u64);
        inner.told_to_wait += usize::from(told_to_wait);
        if let Some(failure) = failure {
            inner.failed += 1;
            if inner.shown.len() < SHOWN {
                inner.shown.push(format!("{asked} after {took:?}: {failure}"));
            }
        }
    }

    /// What was noted since the last time.
    pub fn take(&self) -> Summary {
        let Inner {
            mut times,
            failed,
            told_to_wait,
            shown,
        } = std::mem::take(&mut *self.inner());
        times.sort_unstable();
        Summary {
            times,
            failed,
            told_to_wait,
            shown,
        }
    }
}

/// How the requests of some time ended.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// In order.
    times: Vec<u64>,
    pub failed: usize,
    /// Answered 429.
    pub told_to_wait: usize,
    /// Some of the failures.
    pub shown: Vec<String>,
}

impl Summary {
    pub fn requests(&self) -> usize {
        self.times.len()
    }

    /// Within which so many of a thousand requests ended.
    fn within(&self, per_mille: usize) -> Duration {
        let last = self.times.len().saturating_sub(1);
        let place = (self.times.len() * per_mille / 1000).min(last);
        Duration::from_micros(self.times.get(place).copied().unwrap_or(0))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        write!(
            f,
            "{} requests, {} failed, {} answered 429; half within {:.1} ms, 99 % within {:.0} ms, the slowest {:.0} ms",
            self.requests(),
            self.failed,
            self.told_to_wait,
            ms(self.within(500)),
            ms(self.within(990)),
            ms(self.within(1000)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_what_was_noted() {
        let summary = Summary {
            times: (1..=1000).collect(),
            ..Summary::default()
        };
        assert_eq!(summary.within(500), Duration::from_micros(501));
        assert_eq!(summary.within(1000), Duration::from_micros(1000));
        assert_eq!(Summary::default().within(990), Duration::ZERO);
    }
}
