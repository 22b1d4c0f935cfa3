//! The split suite under load while its processes are killed and paused and its backends go away: nothing acknowledged is lost, nothing is there twice, and
//! online is the point-in-time answer for every key. Ends with figures; `cargo xtask chaos` runs it.

mod backends;
mod commits;
mod kills;
mod replicas;
mod zombies;

use std::fmt::Display;
use std::time::{Duration, Instant};

use forebay_testbed::{Cassandra, CassandraOptions, CommitlogSync, Kafka, KafkaOptions, S3, S3Options};

use crate::http::Http;
use crate::load::ledger::Ledger;
use crate::load::shift::Shift;
use crate::load::{check, work};
use crate::stage::Stage;
use crate::suite::{Backends, Suite};

/// How long a caller waits for an answer before it asks again.
const CALLER_PATIENCE: Duration = Duration::from_secs(6);

/// After which a lease goes to another process.
const LEASE: Duration = Duration::from_secs(3);

/// After which rows that the brokers did not take are answered as unavailable.
const APPEND_TIMEOUT: Duration = Duration::from_secs(4);

/// How often things happen that otherwise happen now and then, and how soon processes give up on others.
const SETTINGS: [(&str, &str); 13] = [
    ("SINKS__FLUSH_INTERVAL_MS", "300"),
    ("SINKS__EARLY_FLUSH_INTERVAL_MS", "50"),
    ("SINKS__FOLLOW_INTERVAL_MS", "100"),
    ("SINKS__UPKEEP_INTERVAL_MS", "500"),
    ("SINKS__COMPACTION_MIN_FILES", "4"),
    ("SINKS__CHECKPOINT_EVERY", "10"),
    ("CASSANDRA__LEASE_MS", "3000"),
    ("CASSANDRA__REQUEST_TIMEOUT_MS", "3000"),
    ("KAFKA__APPEND_TIMEOUT_MS", "4000"),
    ("LAKE__S3__TIMEOUT", "3s"),
    ("LAKE__S3__RETRY_TIMEOUT", "5s"),
    ("COMPUTE__ATTEMPTS", "100"),
    ("ONLINE_SERVING__STORE_DEADLINE_MS", "1000"),
];

/// What everything happens to.
struct World {
    cassandra: Cassandra,
    kafka: Kafka,
    s3: S3,
    suite: Suite,
    ledger: Ledger,
    /// As a check sees it, which waits for its answers.
    stage: Stage,
    /// The same as a caller sees it, who asks again soon.
    callers: Stage,
    figures: Figures,
    start: Instant,
}

/// What was seen, to be printed in the end.
#[derive(Default)]
struct Figures(Vec<(String, String)>);

impl Figures {
    fn note(&mut self, what: &str, seen: impl Display) {
        eprintln!("    {what}: {seen}");
        self.0.push((what.to_owned(), seen.to_string()));
    }

    fn print(&self) {
        let width = self.0.iter().map(|(what, _)| what.len()).max().unwrap_or(0);
        println!("\n== chaos: what was seen");
        for (what, seen) in &self.0 {
            println!("{what:width$}  {seen}");
        }
    }
}

impl World {
    async fn start() -> Self {
        // A write that this only node has acknowledged must be there after it was killed.
        let group = CassandraOptions {
            commitlog_sync: CommitlogSync::Group,
            ..CassandraOptions::default()
        };
        let started = tokio::task::spawn_blocking(|| {
            let cassandra = Cassandra::start(group).expect("Cassandra starts");
            let kafka = Kafka::start(KafkaOptions::default()).expect("Kafka starts");
            let s3 = S3::start(S3Options::default()).expect("the S3 server starts");
            (cassandra, kafka, s3)
        });
        let (cassandra, kafka, s3) = started.await.expect("the servers start");
        let backends = Backends {
            cassandra: cassandra.address().to_string(),
            kafka: kafka.addresses(),
            s3: s3.address(),
        };
        let suite = Suite::start(&backends, 2, &SETTINGS).await;
        let stage = suite.stage();
        let mut callers = stage.clone();
        callers.http = Http::with_timeout(stage.http.base_url.clone(), CALLER_PATIENCE);
        World {
            cassandra,
            kafka,
            s3,
            suite,
            ledger: Ledger::default(),
            stage,
            callers,
            figures: Figures::default(),
            start: Instant::now(),
        }
    }

    /// Starts the callers.
    fn load(&self) -> Shift {
        work::start(&self.callers, &self.ledger)
    }

    /// Once the callers have stopped: everything that they were told is true.
    async fn check(&self) {
        let begin = Instant::now();
        // Some may have been killed a moment ago.
        self.suite.ready().await;
        work::repeat_what_was_not_answered(&self.stage, &self.ledger).await;
        check::another_bundle_is_applied(&self.stage, &self.ledger).await;
        check::runs_have_ended(&self.stage, &self.ledger).await;
        check::every_row_is_in_both_stores_once(&self.stage, &self.ledger).await;
        check::online_is_the_point_in_time_answer(&self.stage, &self.ledger).await;
        eprintln!(
            "    all is well after {:?}; {}; {:?}",
            begin.elapsed(),
            self.ledger.summary(),
            self.ledger.counts()
        );
    }

    fn heading(&self, text: &str) {
        eprintln!("[{:>4} s] {text}", self.start.elapsed().as_secs());
    }

    /// Waits until callers are served again as if nothing had been. Returns how long that took.
    async fn recovered(&self) -> Duration {
        let begin = Instant::now();
        let (key, rows) = self.ledger.send(work::PUSHERS, 1);
        let path = format!("/v1/rows/{}?wait=online,offline&timeout=5s", self.stage.group("facts"));
        let body = serde_json::json!({"rows": [rows[0].json()]});
        crate::stage::eventually(Duration::from_secs(180), "rows go to both stores again", async || {
            let headers = [("content-type", "application/json"), ("idempotency-key", key.as_str())];
            let sent = self
                .callers
                .http
                .try_send("POST", &path, &headers, body.to_string().into_bytes());
            match sent.await {
                Ok(answer) if answer.status == 200 => Ok(()),
                Ok(answer) => Err(format!("{} {}", answer.status, answer.text())),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
        self.ledger.acknowledge(&key, true);
        begin.elapsed()
    }
}

/// What happens, in this order; `FOREBAY_CHAOS` names some of it.
const PARTS: [&str; 8] = [
    "kills",
    "kafka",
    "cassandra",
    "s3",
    "slow",
    "zombies",
    "replicas",
    "commits",
];

/// Plays all of it, or the parts that are named.
///
/// # Panics
/// At the first thing that is not as it must be, with the logs of all processes beside the figures.
pub async fn plays(parts: &[String]) {
    let mut world = World::start().await;
    work::define(&world.stage).await;
    for part in PARTS {
        if !parts.is_empty() && !parts.iter().any(|asked| asked == part) {
            continue;
        }
        world.heading(part);
        match part {
            "kills" => kills::play(&mut world).await,
            "kafka" => backends::kafka(&mut world).await,
            "cassandra" => backends::cassandra(&mut world).await,
            "s3" => backends::s3(&mut world).await,
            "slow" => backends::slow(&mut world).await,
            "zombies" => zombies::play(&mut world).await,
            "replicas" => replicas::play(&mut world).await,
            _ => commits::play(&mut world).await,
        }
        world.check().await;
    }
    world.heading("in the end");
    check::computed_rows_are_there_once(&world.stage, &world.ledger).await;
    let keys = check::online_is_the_point_in_time_answer(&world.stage, &world.ledger).await;
    let compactions = check::compactions(&world.stage).await;
    let (lost, twice) = check::lost_and_twice(&world.stage, &world.ledger);
    let counts = world.ledger.counts();
    let ledger = &world.ledger;
    for (what, seen) in [
        ("rows acknowledged", ledger.count()),
        ("acknowledged rows lost", lost),
        ("rows there twice", twice),
        (
            "keys whose online answer is the point-in-time answer, all of them",
            keys,
        ),
        ("requests with rows that were sent again with their key", counts.repeats),
        ("answers to online readers", counts.reads),
        ("of them with all values", counts.reads_with_values),
        ("answers to historical queries", counts.queries),
        ("runs, all of them succeeded", ledger.runs().len()),
        ("bundles applied, each whole", counts.bundles),
        ("compactions of the table", compactions),
        ("seconds", world.start.elapsed().as_secs() as usize),
    ] {
        world.figures.note(what, seen);
    }
    world.figures.print();
}
