use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use forebay_model::Timestamp;
use parking_lot::Mutex;
use uuid::Uuid;

use crate::Signal;

/// A process of which nothing was heard for so long is taken for dead.
const SILENCE: Duration = Duration::from_secs(5);
/// Clocks that differ by more make rows of slower processes rejected by faster ones' callers.
const SKEW_MICROS: i64 = 1_000_000;

/// The processes that work on tables.
pub struct Peers {
    me: Uuid,
    heard: Mutex<HashMap<Uuid, Peer>>,
}

struct Peer {
    at: Instant,
    /// Its clock less ours; a little too small by the time that the message took.
    ahead_micros: i64,
    warned: bool,
}

impl Peers {
    pub(crate) fn new(me: Uuid) -> Self {
        Self {
            me,
            heard: Mutex::default(),
        }
    }

    /// This process.
    #[must_use]
    pub fn me(&self) -> Uuid {
        self.me
    }

    /// The others that were heard of lately.
    #[must_use]
    pub fn others(&self) -> Vec<Uuid> {
        let heard = self.heard.lock();
        let alive = heard.iter().filter(|(_, peer)| peer.at.elapsed() < SILENCE);
        alive.map(|(process, _)| *process).collect()
    }

    pub(crate) fn hear(&self, signal: &Signal, now: Timestamp) {
        let mut heard = self.heard.lock();
        heard.retain(|_, peer| peer.at.elapsed() < SILENCE);
        if !signal.works || signal.leaves {
            heard.remove(&signal.from);
            return;
        }
        let ahead_micros = signal.clock.micros().saturating_sub(now.micros());
        let warned = heard.get(&signal.from).is_some_and(|peer| peer.warned);
        let skewed = ahead_micros > SKEW_MICROS;
        if skewed && !warned {
            tracing::warn!(
                process = %signal.from,
                ahead_ms = ahead_micros / 1_000,
                "the clock of this process is behind another's: rows with event times of that clock are refused here as lying ahead; synchronise the clocks"
            );
        }
        heard.insert(
            signal.from,
            Peer {
                at: Instant::now(),
                ahead_micros,
                warned: warned || skewed,
            },
        );
    }

    /// By how many microseconds the clock of this process is behind the fastest one's, as far as that is known.
    #[must_use]
    pub fn clock_behind_micros(&self) -> i64 {
        let heard = self.heard.lock();
        heard
            .values()
            .map(|peer| peer.ahead_micros)
            .max()
            .unwrap_or_default()
            .max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_works_and_speaks_is_alive_until_it_leaves() {
        let peers = Peers::new(Uuid::from_u128(1));
        let now = Timestamp::from_micros(0);
        let mut signal = Signal {
            from: Uuid::from_u128(2),
            works: true,
            leaves: false,
            clock: now,
            reached: Vec::new(),
            settled: Vec::new(),
            flush_wanted: Vec::new(),
        };
        peers.hear(&signal, now);
        assert_eq!(peers.others(), [Uuid::from_u128(2)]);
        signal.leaves = true;
        peers.hear(&signal, now);
        assert!(peers.others().is_empty());
        signal.leaves = false;
        signal.works = false;
        peers.hear(&signal, now);
        assert!(peers.others().is_empty());
    }
}
