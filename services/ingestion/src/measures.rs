//! What the sinks, the follower and housekeeping tell about themselves in /metrics.
//!
//! Whoever works on a group holds its measures; at a scrape those that are held are told. So a group that is gone, or whose table another process works on,
//! is not told of here.

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
};

use forebay_catalog::Group;
use forebay_model::{GroupName, Timestamp};
use forebay_storage::OfflineStore;
use forebay_telemetry::Metric;
use metrics::{Counter, counter, gauge};
use parking_lot::{Mutex, RwLock};

use crate::{State, Store};

/// The metrics of ingestion.
pub const METRICS: &[Metric] = &[
    Metric::counter(
        "forebay_ingested_rows_total",
        &["group"],
        "Rows of requests that the row log has taken",
    ),
    Metric::counter(
        "forebay_rejected_rows_total",
        &["by", "group"],
        "Rows refused in requests, and records that a sink has set aside",
    ),
    Metric::counter(
        "forebay_failed_checks_total",
        &["feature", "group", "on_fail"],
        "Values of requests that failed a check of their feature",
    ),
    Metric::gauge(
        "forebay_ingestion_memory_bytes",
        &[],
        "Memory that bodies and rows of requests under way take",
    ),
    Metric::gauge(
        "forebay_ingestion_memory_limit_bytes",
        &[],
        "How much they may: `ingestion.memory_bytes`",
    ),
    Metric::gauge(
        "forebay_row_log_bytes",
        &[],
        "What the row log holds against its bound: rows on disk when it is embedded, rows that wait for their acknowledgement in Kafka",
    ),
    Metric::gauge(
        "forebay_row_log_limit_bytes",
        &[],
        "The bound, at which requests are answered 429: `storage.log_bytes` or `kafka.append_bytes`",
    ),
    Metric::counter(
        "forebay_sink_rows_total",
        &["group", "store"],
        "Rows brought into a store, from the row log or from commits",
    ),
    Metric::counter(
        "forebay_sink_errors_total",
        &["group", "store"],
        "Attempts to bring rows into a store that failed and were repeated",
    ),
    Metric::counter(
        "forebay_sink_recalls_total",
        &["group", "store"],
        "How often a sink looked up older requests than it remembers, since rows of one came again or late",
    ),
    Metric::gauge(
        "forebay_remembered_bytes",
        &[],
        "Memory of the sinks by which repeated requests are known",
    ),
    Metric::gauge(
        "forebay_remembered_limit_bytes",
        &[],
        "The bound, at which the oldest are forgotten and looked up when they are repeated: `sinks.remembered_bytes`",
    ),
    Metric::gauge(
        "forebay_sink_stopped",
        &["group", "store"],
        "Whether a sink of the row log cannot go on before somebody acts",
    ),
    Metric::gauge(
        "forebay_sink_lag_rows",
        &["group", "store"],
        "Rows of the log that are not in the store yet",
    ),
    Metric::gauge(
        "forebay_sink_lag_seconds",
        &["group", "store"],
        "For how long the oldest of them has waited at most; 0 when there is none",
    ),
    Metric::gauge(
        "forebay_freshness_seconds",
        &["group", "store"],
        "Now minus the newest event time in the store; absent as long as that is not known",
    ),
    Metric::gauge(
        "forebay_follower_version",
        &["group"],
        "Version of the group's table up to which commits are online",
    ),
    Metric::gauge(
        "forebay_follower_lag_versions",
        &["group"],
        "Versions of the table that are not online yet; no more than 64 are counted",
    ),
    Metric::gauge(
        "forebay_follower_stopped",
        &["group"],
        "Whether a commit that removed rows has stopped the follower until somebody acts",
    ),
    Metric::counter(
        "forebay_inadmissible_rows_total",
        &["group"],
        "Rows of commits that were left out, since they could not be true yet or have no key or time",
    ),
    Metric::counter(
        "forebay_online_rebuilds_total",
        &["group"],
        "How often all online rows of a group were brought in anew from its table",
    ),
    Metric::gauge(
        "forebay_tables_held",
        &[],
        "Groups whose table this process works on, holding its lease",
    ),
    Metric::gauge(
        "forebay_clock_behind_seconds",
        &[],
        "By how much the clock of this process is behind the fastest one among those that work on tables",
    ),
    Metric::counter(
        "forebay_compactions_total",
        &["group", "outcome"],
        "Compactions that merged files, or found the table moved",
    ),
    Metric::counter(
        "forebay_swept_rows_total",
        &["group"],
        "Online rows removed since they are older than twice their group's ttl",
    ),
];

/// Commits that are looked at for the newest event time of a table.
const RECENT: u64 = 8;

/// All that is measured in this process.
#[derive(Default)]
pub(crate) struct Measures {
    sinks: Mutex<Vec<Weak<SinkMeasures>>>,
    followers: Mutex<Vec<Weak<FollowerMeasures>>>,
    tables_held: AtomicI64,
    intake: RwLock<HashMap<GroupName, Arc<IntakeMeasures>>>,
}

impl Measures {
    /// Those of a sink of the row log, told as long as they are held.
    pub(crate) fn sink(&self, group: &GroupName, store: Store) -> Arc<SinkMeasures> {
        let measures = Arc::new(SinkMeasures::new(group, store));
        let mut sinks = self.sinks.lock();
        sinks.retain(|sink| sink.strong_count() > 0);
        sinks.push(Arc::downgrade(&measures));
        measures
    }

    /// Those of a follower, told as long as they are held.
    pub(crate) fn follower(&self, group: &GroupName) -> Arc<FollowerMeasures> {
        let measures = Arc::new(FollowerMeasures::new(group));
        let mut followers = self.followers.lock();
        followers.retain(|follower| follower.strong_count() > 0);
        followers.push(Arc::downgrade(&measures));
        measures
    }

    /// A table is worked on until what is returned is dropped.
    pub(crate) fn hold_table(self: &Arc<Self>) -> TableHeld {
        self.tables_held.fetch_add(1, Ordering::Relaxed);
        TableHeld(self.clone())
    }

    /// What requests of a group count.
    pub(crate) fn intake(&self, group: &Group) -> Arc<IntakeMeasures> {
        if let Some(known) = self.intake.read().get(&group.name) {
            return known.clone();
        }
        let mut intake = self.intake.write();
        let measures = intake
            .entry(group.name.clone())
            .or_insert_with(|| Arc::new(IntakeMeasures::new(&group.name)));
        measures.clone()
    }
}

/// See [`Measures::hold_table`].
pub(crate) struct TableHeld(Arc<Measures>);

impl Drop for TableHeld {
    fn drop(&mut self) {
        self.0.tables_held.fetch_sub(1, Ordering::Relaxed);
    }
}

impl State {
    /// Tells the gauges.
    pub(crate) fn measure(&self) {
        let now = self.deps.clock.now();
        for sink in self.measures.sinks.lock().iter().filter_map(Weak::upgrade) {
            sink.tell(now);
        }
        for follower in self.measures.followers.lock().iter().filter_map(Weak::upgrade) {
            follower.tell(now);
        }
        let behind = self.signals.peers().clock_behind_micros();
        gauge!("forebay_clock_behind_seconds").set(behind as f64 / 1e6);
        gauge!("forebay_tables_held").set(self.measures.tables_held.load(Ordering::Relaxed) as f64);
        gauge!("forebay_ingestion_memory_bytes").set(self.budget.used() as f64);
        gauge!("forebay_ingestion_memory_limit_bytes").set(self.budget.limit() as f64);
        gauge!("forebay_remembered_bytes").set(self.remembered.used() as f64);
        gauge!("forebay_remembered_limit_bytes").set(self.remembered.limit() as f64);
        let (used, limit) = self.deps.row_log.fill();
        gauge!("forebay_row_log_bytes").set(used as f64);
        gauge!("forebay_row_log_limit_bytes").set(limit as f64);
    }
}

/// What requests of one group count.
pub(crate) struct IntakeMeasures {
    pub(crate) ingested: Counter,
    pub(crate) rejected: Counter,
}

impl IntakeMeasures {
    fn new(group: &GroupName) -> Self {
        let group = group.to_string();
        Self {
            ingested: counter!("forebay_ingested_rows_total", "group" => group.clone()),
            rejected: counter!("forebay_rejected_rows_total", "group" => group, "by" => "request"),
        }
    }
}

/// The figures of one sink of one group, over all partitions.
pub(crate) struct SinkMeasures {
    labels: [(&'static str, String); 2],
    rows: Counter,
    rejected: Counter,
    errors: Counter,
    recalls: Counter,
    stopped: AtomicBool,
    newest: AtomicI64,
    lag: Mutex<Option<Lag>>,
}

/// How far a sink of the row log is behind.
#[derive(Debug, Default)]
struct Lag {
    partitions: Vec<PartitionLag>,
}

#[derive(Clone, Copy, Debug, Default)]
struct PartitionLag {
    rows: u64,
    /// Rows taken in until then are in the store.
    reached: Option<Timestamp>,
}

impl Lag {
    fn of(&mut self, partition: u32) -> &mut PartitionLag {
        let partition = partition as usize;
        if self.partitions.len() <= partition {
            self.partitions.resize(partition + 1, PartitionLag::default());
        }
        &mut self.partitions[partition]
    }

    fn rows(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.rows).sum()
    }

    fn seconds(&self, now: Timestamp) -> f64 {
        let behind = self.partitions.iter().filter(|partition| partition.rows > 0);
        let oldest = behind.filter_map(|partition| partition.reached).min();
        oldest.map_or(0.0, |oldest| seconds(oldest, now))
    }
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.micros().saturating_sub(from.micros()).max(0) as f64 / 1e6
}

impl SinkMeasures {
    fn new(group: &GroupName, store: Store) -> Self {
        let labels = [("group", group.to_string()), ("store", store.as_str().to_owned())];
        Self {
            rows: counter!("forebay_sink_rows_total", &labels),
            rejected: counter!("forebay_rejected_rows_total", "group" => group.to_string(), "by" => "sink"),
            errors: counter!("forebay_sink_errors_total", &labels),
            recalls: counter!("forebay_sink_recalls_total", &labels),
            stopped: AtomicBool::new(false),
            newest: AtomicI64::new(i64::MIN),
            lag: Mutex::default(),
            labels,
        }
    }

    /// So many rows are in the store.
    pub(crate) fn took(&self, rows: usize) {
        self.rows.increment(rows as u64);
    }

    /// So many records of the log were no rows and are set aside.
    pub(crate) fn set_aside(&self, records: usize) {
        self.rejected.increment(records as u64);
    }

    pub(crate) fn failed(&self) {
        self.errors.increment(1);
    }

    /// Requests that are not remembered were looked up.
    pub(crate) fn recalled(&self) {
        self.recalls.increment(1);
    }

    /// The sink cannot go on before somebody acts.
    pub(crate) fn stopped(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// So many rows of a partition are not in the store yet.
    pub(crate) fn lags(&self, partition: u32, rows: u64, now: Timestamp) {
        let mut lag = self.lag.lock();
        let of = lag.get_or_insert_default().of(partition);
        of.rows = rows;
        match rows {
            0 => of.reached = of.reached.max(Some(now)),
            // Whatever waits when the sink begins has waited since then at least.
            _ => of.reached = of.reached.or(Some(now)),
        }
    }

    /// All rows of a partition that were taken in until then are in the store.
    pub(crate) fn reached(&self, partition: u32, ingest_time: Timestamp) {
        self.lag.lock().get_or_insert_default().of(partition).reached = Some(ingest_time);
    }

    /// A row with this event time is in the store.
    pub(crate) fn saw(&self, event_time: Timestamp) {
        self.newest.fetch_max(event_time.micros(), Ordering::Relaxed);
    }

    fn tell(&self, now: Timestamp) {
        if let Some(lag) = &*self.lag.lock() {
            gauge!("forebay_sink_lag_rows", &self.labels).set(lag.rows() as f64);
            gauge!("forebay_sink_lag_seconds", &self.labels).set(lag.seconds(now));
        }
        let stopped = self.stopped.load(Ordering::Relaxed);
        gauge!("forebay_sink_stopped", &self.labels).set(f64::from(u8::from(stopped)));
        self.tell_freshness(now);
    }

    fn tell_freshness(&self, now: Timestamp) {
        let newest = self.newest.load(Ordering::Relaxed);
        if newest != i64::MIN {
            let age = now.micros().saturating_sub(newest) as f64 / 1e6;
            gauge!("forebay_freshness_seconds", &self.labels).set(age);
        }
    }
}

/// How far the follower of one group has come.
pub(crate) struct FollowerMeasures {
    group: String,
    pub(crate) sink: SinkMeasures,
    version: AtomicU64,
    behind: AtomicU64,
    stopped: AtomicBool,
    pub(crate) inadmissible: Counter,
    pub(crate) rebuilds: Counter,
}

/// For a version that is not known yet.
const UNKNOWN: u64 = u64::MAX;

impl FollowerMeasures {
    fn new(group: &GroupName) -> Self {
        let labels = [("group", group.to_string())];
        Self {
            group: group.to_string(),
            sink: SinkMeasures::new(group, Store::Online),
            version: AtomicU64::new(UNKNOWN),
            behind: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            inadmissible: counter!("forebay_inadmissible_rows_total", &labels),
            rebuilds: counter!("forebay_online_rebuilds_total", &labels),
        }
    }

    /// All versions up to this one are online.
    pub(crate) fn follows(&self, version: u64) {
        self.version.store(version, Ordering::Relaxed);
        self.stopped.store(false, Ordering::Relaxed);
    }

    /// So many versions are there that are not online yet.
    pub(crate) fn is_behind(&self, versions: usize) {
        self.behind.store(versions as u64, Ordering::Relaxed);
    }

    pub(crate) fn stopped(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    fn tell(&self, now: Timestamp) {
        let group = || self.group.clone();
        let version = self.version.load(Ordering::Relaxed);
        if version != UNKNOWN {
            gauge!("forebay_follower_version", "group" => group()).set(version as f64);
        }
        gauge!("forebay_follower_lag_versions", "group" => group()).set(self.behind.load(Ordering::Relaxed) as f64);
        let stopped = self.stopped.load(Ordering::Relaxed);
        gauge!("forebay_follower_stopped", "group" => group()).set(f64::from(u8::from(stopped)));
        self.sink.tell_freshness(now);
    }
}

/// The newest event time of a table, as far as its newest commits tell: what freshness begins with after a start.
pub(crate) async fn newest_event_time(offline: &dyn OfflineStore, group: &Group) -> Option<Timestamp> {
    if !group.has_history() {
        return None;
    }
    let version = offline.version(&group.schema).await.ok()?;
    let since = version.checked_sub(RECENT);
    match offline.changes(&group.schema, since, RECENT as usize + 1).await.ok()? {
        forebay_storage::Changes::Listed(changes) => {
            changes.iter().filter_map(|change| Some(change.event_times?.1)).max()
        }
        forebay_storage::Changes::Gone { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_lag_is_as_old_as_what_waits_longest() {
        let mut lag = Lag::default();
        lag.of(1).rows = 5;
        lag.of(1).reached = Some(at(10));
        lag.of(3).rows = 1;
        lag.of(3).reached = Some(at(4));
        lag.of(2).reached = Some(at(1));
        assert_eq!((lag.rows(), lag.seconds(at(12))), (6, 8.0));
        lag.of(3).rows = 0;
        assert_eq!(lag.seconds(at(12)), 2.0);
        lag.of(1).rows = 0;
        assert_eq!((lag.rows(), lag.seconds(at(12))), (0, 0.0));
    }

    #[test]
    fn what_waits_at_the_start_has_waited_since_then() {
        let measures = Measures::default();
        let sink = measures.sink(&"a.b".parse().expect("a name"), Store::Online);
        sink.lags(0, 3, at(5));
        sink.lags(0, 3, at(9));
        let seconds = |now| sink.lag.lock().as_ref().map(|lag| lag.seconds(at(now)));
        assert_eq!(seconds(10), Some(5.0));
        sink.reached(0, at(2));
        assert_eq!(
            seconds(10),
            Some(8.0),
            "the rows that come were taken in before the sink began"
        );
        sink.lags(0, 0, at(10));
        sink.lags(0, 1, at(11));
        assert_eq!(seconds(11), Some(1.0));
    }
}
