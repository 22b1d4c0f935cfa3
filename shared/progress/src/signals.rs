use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use forebay_catalog::Catalog;
use forebay_model::Clock;
use forebay_storage::{Announcements, Channel, Heard};
use futures::StreamExt;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{Peers, Positions, SettledTimes, Signal};

/// At least so long lies between two announcements of a process.
const APART: Duration = Duration::from_millis(20);
/// Settled times that have moved are told after so long at the latest.
const SETTLED: Duration = Duration::from_millis(250);
/// Everything is said again after so long.
const AGAIN: Duration = Duration::from_secs(1);
/// Before a backend that failed is asked again.
const RETRY: Duration = Duration::from_millis(500);
/// An announcement that takes longer is given up: the next one says more.
const PATIENCE: Duration = Duration::from_secs(5);
/// Topics in one message, which keeps messages small.
const TOPICS: usize = 200;

/// Keeps a process's [`Positions`] and [`SettledTimes`] together with those of all others.
pub struct Signals {
    announcements: Arc<dyn Announcements>,
    clock: Arc<dyn Clock>,
    positions: Arc<Positions>,
    settled: Arc<SettledTimes>,
    peers: Arc<Peers>,
    works: bool,
}

impl Signals {
    /// For a process that asks only; `process` must be a new id at each start.
    #[must_use]
    pub fn new(
        announcements: Arc<dyn Announcements>,
        catalog: Arc<Catalog>,
        clock: Arc<dyn Clock>,
        process: Uuid,
    ) -> Self {
        let positions = Arc::new(Positions::default());
        let settled = SettledTimes::new(catalog, clock.clone(), positions.clone());
        Self {
            announcements,
            clock,
            settled: Arc::new(settled),
            positions,
            peers: Arc::new(Peers::new(process)),
            works: false,
        }
    }

    /// For a process that works on tables: the others count with it.
    #[must_use]
    pub fn working(mut self) -> Self {
        self.works = true;
        self
    }

    #[must_use]
    pub fn positions(&self) -> &Arc<Positions> {
        &self.positions
    }

    #[must_use]
    pub fn settled(&self) -> &Arc<SettledTimes> {
        &self.settled
    }

    #[must_use]
    pub fn peers(&self) -> &Arc<Peers> {
        &self.peers
    }

    /// Listens and announces until it is told to stop. Failures of the backend delay what others hear, and nothing else.
    pub async fn run(&self, stop: CancellationToken) {
        tokio::join!(self.listen(&stop), self.announce(&stop));
        if self.works {
            let farewell = Signal {
                leaves: true,
                ..self.empty()
            };
            self.send(&farewell).await;
        }
    }

    async fn listen(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let listening = tokio::select! {
                () = stop.cancelled() => return,
                listening = self.announcements.listen(Channel::Signals) => listening,
            };
            match listening {
                Ok(mut heard) => loop {
                    tokio::select! {
                        () = stop.cancelled() => return,
                        heard = heard.next() => match heard {
                            Some(Heard::Message(message)) => self.hear(&message),
                            // All of it is said again within a second.
                            Some(Heard::Missed) => {}
                            None => break,
                        },
                    }
                },
                Err(error) => {
                    tracing::warn!(%error, "signals of other processes cannot be heard; it is tried again");
                }
            }
            pause(stop, RETRY).await;
        }
    }

    fn hear(&self, message: &Bytes) {
        // What a newer version says that this one does not understand is not for it.
        let Ok(signal) = serde_json::from_slice::<Signal>(message) else {
            return;
        };
        if signal.from == self.peers.me() {
            return;
        }
        self.peers.hear(&signal, self.clock.now());
        for reached in &signal.reached {
            for (partition, next) in &reached.partitions {
                self.positions.hear(reached.store, reached.topic, *partition, *next);
            }
        }
        for (topic, time) in &signal.settled {
            self.settled.hear(*topic, *time);
        }
        let held = match signal.flush_wanted.is_empty() {
            true => Vec::new(),
            false => self.positions.held(),
        };
        for topic in signal.flush_wanted.iter().filter(|topic| held.contains(topic)) {
            self.positions.flush_wanted(*topic).notify_one();
        }
    }

    async fn announce(&self, stop: &CancellationToken) {
        let mut all_at = tokio::time::Instant::now();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.positions.has_news.notified() => {}
                () = tokio::time::sleep(SETTLED) => {}
                () = tokio::time::sleep_until(all_at) => {}
            }
            let all = tokio::time::Instant::now() >= all_at;
            if all {
                all_at = tokio::time::Instant::now() + AGAIN;
            }
            let mut signal = self.empty();
            signal.reached = self.positions.take_moved(all);
            signal.settled = self.settled.take_moved(all);
            signal.flush_wanted = self.positions.take_flush_wanted();
            let says = !signal.reached.is_empty() || !signal.settled.is_empty() || !signal.flush_wanted.is_empty();
            if says || (all && self.works) {
                for part in parts(signal) {
                    if !self.send(&part).await {
                        // What was not heard is said with the rest, soon.
                        all_at = tokio::time::Instant::now() + RETRY;
                        break;
                    }
                }
            }
            pause(stop, APART).await;
        }
    }

    fn empty(&self) -> Signal {
        Signal {
            from: self.peers.me(),
            works: self.works,
            leaves: false,
            clock: self.clock.now(),
            reached: Vec::new(),
            settled: Vec::new(),
            flush_wanted: Vec::new(),
        }
    }

    async fn send(&self, signal: &Signal) -> bool {
        let Ok(message) = serde_json::to_vec(signal) else {
            return false;
        };
        let sent = self.announcements.announce(Channel::Signals, message.into());
        match tokio::time::timeout(PATIENCE, sent).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::debug!(%error, "a signal could not be sent; it is said again");
                false
            }
            Err(_) => false,
        }
    }
}

/// A signal in messages that stay small.
fn parts(mut signal: Signal) -> Vec<Signal> {
    let mut parts = Vec::new();
    loop {
        let reached = signal.reached.split_off(signal.reached.len().min(TOPICS));
        let settled = signal.settled.split_off(signal.settled.len().min(TOPICS));
        let done = reached.is_empty() && settled.is_empty();
        let rest = Signal {
            reached,
            settled,
            flush_wanted: Vec::new(),
            ..signal.clone()
        };
        parts.push(signal);
        if done {
            return parts;
        }
        signal = rest;
    }
}

async fn pause(stop: &CancellationToken, pause: Duration) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(pause) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use forebay_model::{Generation, GroupId, SystemClock, Timestamp};
    use forebay_storage::{Appended, ProcessAnnouncements, Topic};

    use super::*;
    use crate::Store;

    fn topic(group: u32) -> Topic {
        Topic {
            group: GroupId(group),
            generation: Generation(0),
        }
    }

    fn process(announcements: &Arc<ProcessAnnouncements>, id: u128, stop: &CancellationToken) -> Arc<Signals> {
        let signals = Signals::new(
            announcements.clone(),
            Arc::new(Catalog::default()),
            Arc::new(SystemClock),
            Uuid::from_u128(id),
        );
        let signals = Arc::new(signals.working());
        let (running, stop) = (signals.clone(), stop.clone());
        tokio::spawn(async move { running.run(stop).await });
        signals
    }

    #[tokio::test]
    async fn a_process_knows_what_sinks_of_another_have_done() {
        let announcements = Arc::new(ProcessAnnouncements::default());
        let stop = CancellationToken::new();
        let sink = process(&announcements, 1, &stop);
        sink.positions().hold(topic(1), true);
        sink.positions().advance(Store::Offline, topic(1), 0, 5);
        sink.settled().publish(topic(1), Timestamp::from_micros(77));
        let waiter = process(&announcements, 2, &stop);
        let rows = [Appended {
            partition: 0,
            first: 3,
            count: 2,
        }];
        let soon = Instant::now() + Duration::from_secs(10);
        assert!(
            waiter.positions().wait(Store::Offline, topic(1), &rows, soon).await,
            "one that came later hears it within a second"
        );
        assert!(!waiter.settled().hear(topic(1), Timestamp::from_micros(77)));
        let begun = Instant::now();
        let wanted = sink.positions().flush_wanted(topic(1));
        waiter.positions().want_flush(topic(1));
        tokio::time::timeout(Duration::from_secs(10), wanted.notified())
            .await
            .expect("the sink hears that somebody waits");
        sink.positions().advance(Store::Offline, topic(1), 0, 6);
        let rows = [Appended {
            partition: 0,
            first: 5,
            count: 1,
        }];
        assert!(waiter.positions().wait(Store::Offline, topic(1), &rows, soon).await);
        assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
        assert_eq!(waiter.peers().others(), [Uuid::from_u128(1)]);
        stop.cancel();
    }

    #[test]
    fn many_topics_are_told_in_parts() {
        let signals = Signals::new(
            Arc::new(ProcessAnnouncements::default()),
            Arc::new(Catalog::default()),
            Arc::new(SystemClock),
            Uuid::from_u128(1),
        );
        let mut signal = signals.empty();
        signal.settled = (0..450)
            .map(|group| (topic(group), Timestamp::from_micros(1)))
            .collect();
        signal.flush_wanted = vec![topic(9)];
        let parts = parts(signal);
        let lengths: Vec<_> = parts.iter().map(|part| part.settled.len()).collect();
        assert_eq!(lengths, [200, 200, 50]);
        assert_eq!(parts.iter().map(|part| part.flush_wanted.len()).sum::<usize>(), 1);
    }
}
