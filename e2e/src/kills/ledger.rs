use std::collections::BTreeMap;
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

/// What callers know: what they sent, and what they were told.
#[derive(Clone, Default)]
pub struct Ledger(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    /// By idempotency key, what was sent and not answered yet.
    unanswered: BTreeMap<String, Vec<Row>>,
    acknowledged: Vec<Row>,
    /// By pusher, the number of the next row.
    next: BTreeMap<i64, i64>,
    /// The last bundle that was sent, and the last that was answered.
    sent: u64,
    applied: u64,
    runs: Vec<String>,
}

impl Ledger {
    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.0.lock().expect("no worker panicked"))
    }

    /// Notes the next request of a pusher before it is sent: its key and its rows.
    pub fn send(&self, pusher: i64, count: i64) -> (String, Vec<Row>) {
        self.with(|inner| {
            let next = inner.next.entry(pusher).or_default();
            let rows: Vec<_> = (*next..*next + count).map(|number| Row::of(pusher, number)).collect();
            let key = format!("{pusher}-{next}");
            *next += count;
            inner.unanswered.insert(key.clone(), rows.clone());
            (key, rows)
        })
    }

    pub fn acknowledge(&self, key: &str) {
        self.with(|inner| {
            let rows = inner.unanswered.remove(key).expect("it was sent");
            inner.acknowledged.extend(rows);
        });
    }

    pub fn unanswered(&self) -> BTreeMap<String, Vec<Row>> {
        self.with(|inner| inner.unanswered.clone())
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
        self.with(|inner| inner.applied = number);
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
