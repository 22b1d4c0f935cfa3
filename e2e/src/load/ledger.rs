//! What callers sent, and what they were told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// The moment of event number 0, in microseconds.
const FIRST: i64 = 1_735_689_600_000_000;

/// Events are spread over so many seconds; a prime, so that no two numbers below it have one event time.
const SECONDS: i64 = 1_000_003;

/// Items that each pusher has.
const ITEMS: i64 = 60;

/// A row of the pushed group, made from its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub item: i64,
    pub event_time: i64,
    pub number: i64,
}

impl Row {
    /// Row `number` of a pusher. Event times go up and down: half of the rows are late.
    pub fn of(pusher: i64, number: i64) -> Self {
        Self {
            item: pusher * ITEMS + number % ITEMS,
            event_time: FIRST + (number * 7_919 % SECONDS) * 1_000_000 + pusher,
            number,
        }
    }

    pub fn json(self) -> Value {
        json!({"item_id": self.item, "event_time": crate::times::text(self.event_time), "price": self.number as f64})
    }
}

/// The book of all callers.
#[derive(Clone, Default)]
pub struct Ledger(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    /// By idempotency key, what was sent and not answered yet.
    unanswered: BTreeMap<String, Vec<Row>>,
    acknowledged: Vec<Row>,
    /// Rows sent without a key and without an answer: they may be there, once, or not.
    uncertain: BTreeSet<Row>,
    /// By item, the latest event time that a caller was told readers see.
    visible: BTreeMap<i64, i64>,
    /// How many rows a caller was told are offline.
    offline: usize,
    /// By pusher, the number of the next row.
    next: BTreeMap<i64, i64>,
    /// The last bundle that was sent, and the last that was answered.
    sent: u64,
    applied: u64,
    runs: Vec<String>,
    counts: Counts,
}

/// How often what happened to callers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Requests with rows that were sent again with their key.
    pub repeats: usize,
    /// Answers to readers, and how many of them had the values.
    pub reads: usize,
    pub reads_with_values: usize,
    /// Historical queries that were answered.
    pub queries: usize,
    /// Bundles whose application was answered.
    pub bundles: usize,
}

impl Ledger {
    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.0.lock().expect("no worker panicked"))
    }

    /// The next rows of a pusher.
    pub fn rows_of(&self, pusher: i64, count: i64) -> Vec<Row> {
        self.with(|inner| {
            let next = inner.next.entry(pusher).or_default();
            let rows = (*next..*next + count).map(|number| Row::of(pusher, number)).collect();
            *next += count;
            rows
        })
    }

    /// Notes the next request of a pusher before it is sent: its key and its rows.
    pub fn send(&self, pusher: i64, count: i64) -> (String, Vec<Row>) {
        let rows = self.rows_of(pusher, count);
        let key = format!("{pusher}-{}", rows[0].number);
        self.with(|inner| inner.unanswered.insert(key.clone(), rows.clone()));
        (key, rows)
    }

    /// A request was answered as accepted; with `visible`, also that both stores hold its rows.
    pub fn acknowledge(&self, key: &str, visible: bool) {
        self.with(|inner| {
            // Another attempt may have been answered before.
            let Some(rows) = inner.unanswered.remove(key) else {
                return;
            };
            if visible {
                inner.offline += rows.len();
                for row in &rows {
                    let latest = inner.visible.entry(row.item).or_insert(row.event_time);
                    *latest = row.event_time.max(*latest);
                }
            }
            inner.acknowledged.extend(rows);
        });
    }

    /// Rows without a key were answered as accepted.
    pub fn accept(&self, rows: &[Row]) {
        self.with(|inner| inner.acknowledged.extend_from_slice(rows));
    }

    /// Rows without a key were not answered, and are not sent again.
    pub fn doubt(&self, rows: &[Row]) {
        self.with(|inner| inner.uncertain.extend(rows.iter().copied()));
    }

    pub fn uncertain(&self) -> BTreeSet<Row> {
        self.with(|inner| inner.uncertain.clone())
    }

    pub fn unanswered(&self) -> BTreeMap<String, Vec<Row>> {
        self.with(|inner| inner.unanswered.clone())
    }

    /// By item, the latest event time that readers see at least.
    pub fn visible(&self) -> BTreeMap<i64, i64> {
        self.with(|inner| inner.visible.clone())
    }

    /// How many rows historical queries see at least.
    pub fn offline(&self) -> usize {
        self.with(|inner| inner.offline)
    }

    /// All acknowledged rows, in order.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = self.with(|inner| inner.acknowledged.clone());
        rows.sort();
        rows
    }

    /// How many rows are acknowledged.
    pub fn count(&self) -> usize {
        self.with(|inner| inner.acknowledged.len())
    }

    /// By item, the acknowledged row that wins.
    pub fn winners(&self) -> BTreeMap<i64, Row> {
        let mut winners = BTreeMap::new();
        for row in self.rows() {
            // In order of event time within an item.
            winners.insert(row.item, row);
        }
        winners
    }

    /// The number of the next bundle.
    pub fn next_bundle(&self) -> u64 {
        self.with(|inner| {
            inner.sent += 1;
            inner.sent
        })
    }

    pub fn bundle_was_applied(&self, number: u64) {
        self.with(|inner| {
            inner.applied = number;
            inner.counts.bundles += 1;
        });
    }

    /// The bundles whose number may be seen: the last that was answered up to the last that was sent.
    pub fn bundles(&self) -> std::ops::RangeInclusive<u64> {
        self.with(|inner| inner.applied..=inner.sent)
    }

    pub fn applied(&self) -> u64 {
        self.with(|inner| inner.applied)
    }

    pub fn run_was_accepted(&self, id: &str) {
        self.with(|inner| inner.runs.push(id.to_owned()));
    }

    pub fn runs(&self) -> Vec<String> {
        self.with(|inner| inner.runs.clone())
    }

    pub fn counts(&self) -> Counts {
        self.with(|inner| inner.counts)
    }

    pub fn count_up(&self, count: impl FnOnce(&mut Counts)) {
        self.with(|inner| count(&mut inner.counts));
    }

    pub fn summary(&self) -> String {
        self.with(|inner| {
            format!(
                "{} rows acknowledged, {} requests unanswered, {} of {} bundles, {} runs",
                inner.acknowledged.len(),
                inner.unanswered.len(),
                inner.applied,
                inner.sent,
                inner.runs.len()
            )
        })
    }
}
