//! Request ids: the caller's, or one of the process's own.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderMap;

pub(super) const HEADER: http::HeaderName = http::HeaderName::from_static("x-request-id");

/// Longest id of a caller's that is kept, in characters.
const MAX_LENGTH: usize = 128;

/// Ids that no other process gives: a random word of this one and a number.
pub(super) struct RequestIds {
    process: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub fn new() -> Self {
        RequestIds {
            process: RandomState::new().hash_one("request ids"),
            next: AtomicU64::new(1),
        }
    }

    /// The caller's own id if it is a short visible word, so that it cannot forge a line of the log.
    pub fn of(&self, headers: &HeaderMap) -> Arc<str> {
        let sent = headers.get(&HEADER).and_then(|value| value.to_str().ok());
        match sent.filter(|id| (1..=MAX_LENGTH).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())) {
            Some(id) => Arc::from(id),
            None => {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                Arc::from(format!("{:016x}-{number:x}", self.process))
            }
        }
    }
}
