//! What was heard before what it follows.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::Announced;

/// Change sets kept at most; more than that are fetched.
const KEPT: usize = 64;

/// Announcements that wait for the revisions before them.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    changes: BTreeMap<u64, Announced>,
    /// Of readiness, which may be heard at any revision: the newest message.
    readiness: Option<Announced>,
    newest: u64,
    since: Option<Instant>,
}

impl Ahead {
    pub fn keep(&mut self, announced: Announced) {
        self.newest = self.newest.max(announced.registry_revision());
        match announced {
            Announced::Readiness { .. } => self.readiness = Some(announced),
            Announced::Changes { ref changes, .. } => {
                if self.changes.len() < KEPT {
                    self.changes.insert(changes.revision, announced);
                }
            }
        }
        self.since.get_or_insert_with(Instant::now);
    }

    /// What can be applied at this revision, changes before readiness.
    pub fn next_after(&mut self, revision: u64) -> Option<Announced> {
        let first = self.changes.first_key_value().map(|(first, _)| *first);
        if first.is_some_and(|first| first <= revision + 1) {
            return self.changes.pop_first().map(|(_, announced)| announced);
        }
        if let Some(readiness) = self.readiness.take() {
            if readiness.registry_revision() <= revision {
                return Some(readiness);
            }
            self.readiness = Some(readiness);
        }
        if self.changes.is_empty() && self.readiness.is_none() {
            self.since = None;
        }
        None
    }

    /// The newest revision that was heard of.
    pub fn newest(&self) -> u64 {
        self.newest
    }

    /// Since when something has been waiting here.
    pub fn since(&self) -> Option<Instant> {
        self.since
    }
}
