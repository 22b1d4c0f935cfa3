//! When a call is repeated, and after how long.

use std::time::Duration;

use forebay_api::{Code, Problem};
use http::StatusCode;

/// How patient a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in all, at least one.
    pub attempts: u32,
    /// Pause before the second attempt; each further one doubles it.
    pub first_pause: Duration,
    /// Longest pause, also when the server asks for a longer one.
    pub longest_pause: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        let (first_pause, longest_pause) = (Duration::from_millis(100), Duration::from_secs(10));
        Retry {
            attempts: 8,
            first_pause,
            longest_pause,
        }
    }
}

/// Whether a call may take effect twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It reads, or carries an idempotency key: any failure may be repeated.
    Always,
    /// Only if the server has certainly not begun with it.
    IfRefused,
}

/// What an attempt ended with.
pub(crate) enum Failure<'a> {
    /// No answer; the request may have arrived.
    Lost,
    /// No connection; the request has not arrived.
    NotConnected,
    Answer(StatusCode, Option<&'a Problem>),
}

impl Repeat {
    /// Whether to try again.
    pub fn after(self, failure: &Failure<'_>) -> bool {
        match failure {
            Failure::NotConnected => true,
            Failure::Lost => self == Repeat::Always,
            Failure::Answer(StatusCode::TOO_MANY_REQUESTS, _) => true,
            Failure::Answer(StatusCode::SERVICE_UNAVAILABLE, problem) => {
                let refused = problem.and_then(|problem| problem.known_code()) == Some(Code::Overloaded);
                self == Repeat::Always || refused
            }
            Failure::Answer(..) => false,
        }
    }
}

impl Retry {
    /// The pause before attempt `next` (the second is 2). `jitter` is in [0, 1): callers that failed together do not
    /// come back together. The server's wish in seconds is a lower bound.
    pub(crate) fn pause(&self, next: u32, asked: Option<u64>, jitter: f64) -> Duration {
        let doubled = self.first_pause.saturating_mul(1 << next.saturating_sub(2).min(16));
        let spread = doubled.min(self.longest_pause).mul_f64(0.5 + jitter / 2.0);
        let asked = Duration::from_secs(asked.unwrap_or_default());
        spread.max(asked.mul_f64(1.0 + jitter / 4.0)).min(self.longest_pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_heed_the_server() {
        let retry = Retry::default();
        assert_eq!(retry.pause(2, None, 0.0), Duration::from_millis(50));
        assert_eq!(retry.pause(4, None, 0.999_999).as_millis(), 399);
        assert!(retry.pause(40, None, 0.9) <= retry.longest_pause);
        assert_eq!(retry.pause(2, Some(3), 0.0), Duration::from_secs(3));
        assert_eq!(retry.pause(2, Some(3000), 0.0), Duration::from_secs(10));
    }

    #[test]
    fn what_may_have_taken_effect_is_not_repeated_without_a_key() {
        let overloaded = Problem::new(Code::Overloaded, "");
        let down = Problem::new(Code::Unavailable, "");
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        assert!(Repeat::IfRefused.after(&Failure::Answer(unavailable, Some(&overloaded))));
        assert!(!Repeat::IfRefused.after(&Failure::Answer(unavailable, Some(&down))));
        assert!(Repeat::Always.after(&Failure::Answer(unavailable, None)));
        assert!(!Repeat::IfRefused.after(&Failure::Lost) && Repeat::IfRefused.after(&Failure::NotConnected));
        assert!(!Repeat::Always.after(&Failure::Answer(StatusCode::INTERNAL_SERVER_ERROR, None)));
    }
}
