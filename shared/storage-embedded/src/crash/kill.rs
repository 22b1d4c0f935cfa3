use std::{
    collections::{BTreeMap, HashMap},
    io::{BufRead, BufReader},
    path::Path,
    time::Duration,
};

use forebay_model::Timestamp;
use forebay_rows::RowHead;
use forebay_storage::{
    Claim, ClaimKey, ClaimOutcome, ClaimStore, RegistryStore, RowLog, RunStore, conformance::schemas,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

use super::{
    child,
    child::{APPENDERS, KEYS, batch, replay, row},
    full_disk::read,
    open,
};

const KILLS: usize = 40;

/// What the children told of, all of them together.
#[derive(Default)]
struct Acknowledged {
    /// By appender and number: the offset.
    appends: BTreeMap<(i64, i64), u64>,
    published: u64,
    runs: Vec<i64>,
    claims: Vec<i64>,
}

impl Acknowledged {
    fn take(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |index: usize| words[index].parse::<i64>().expect("a number");
        match words[0] {
            "append" => drop(self.appends.insert((number(1), number(2)), number(3) as u64)),
            "publish" => self.published = number(1) as u64,
            "run" => self.runs.push(number(1)),
            "claim" => self.claims.push(number(1)),
            other => panic!("a child did {other}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kills() {
    let directory = tempfile::tempdir().expect("a folder");
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let mut acknowledged = Acknowledged::default();
    for kill in 0..KILLS {
        // Numbers of one child do not meet those of another.
        let start = kill as i64 * 1_000_000;
        let wait = Duration::from_micros(random.random_range(500..150_000));
        let told = work_and_kill(directory.path(), start, wait);
        assert!(!told.is_empty(), "child {kill} did nothing");
        told.iter().for_each(|line| acknowledged.take(line));
        check(directory.path(), &acknowledged, kill).await;
    }
    assert!(
        acknowledged.appends.len() > KILLS && acknowledged.published > KILLS as u64,
        "there was work to lose"
    );
}

/// Starts a child, kills it so long after the first thing it did, and returns all that it did.
fn work_and_kill(directory: &Path, start: i64, wait: Duration) -> Vec<String> {
    let mut process = child("works_until_killed", directory)
        .env("FOREBAY_TEST_START", start.to_string())
        .spawn()
        .expect("a process");
    let mut lines = BufReader::new(process.stdout.take().expect("its output"))
        .lines()
        .map_while(Result::ok);
    let is_deed = |line: &String| line.starts_with("did ");
    let first = lines.by_ref().find(is_deed);
    let rest = std::thread::spawn(move || lines.filter(is_deed).collect::<Vec<_>>());
    std::thread::sleep(wait);
    process.kill().expect("killed");
    process.wait().expect("it ends");
    let rest = rest.join().expect("its output");
    // The last line may be cut: then nobody was told.
    let whole = first.into_iter().chain(rest);
    whole
        .map(|line| line.trim_start_matches("did ").to_owned())
        .filter(|line| is_whole(line))
        .collect()
}

fn is_whole(line: &str) -> bool {
    match line.split(' ').next() {
        Some("append") => line.split(' ').count() == 4,
        _ => line.split(' ').count() == 2,
    }
}

async fn check(directory: &Path, acknowledged: &Acknowledged, kill: usize) {
    let stores = open(directory);
    let schema = schemas::prices(0);
    // The log: what it holds is in one piece, and every acknowledged row that it still must hold is where it was said to be.
    let bounds = stores.row_log.bounds(&schema).await.expect("bounds");
    let (first, end) = bounds[0];
    let mut at = first;
    let mut by_batch = HashMap::new();
    while at < end {
        let fetched = stores
            .row_log
            .fetch(&schema, 0, at, 100_000, Duration::ZERO)
            .await
            .expect("the log is whole");
        for logged in fetched.rows {
            assert_eq!(logged.offset, at, "no offset is missing");
            at += 1;
            by_batch.insert(logged.batch, logged);
        }
    }
    for (&(appender, number), &offset) in &acknowledged.appends {
        assert!(
            offset < end,
            "offset {offset} was acknowledged, the log ends at {end} after kill {kill}"
        );
        if offset >= first {
            let logged = &by_batch[&batch(appender, number)];
            assert_eq!(
                (logged.offset, &logged.key),
                (offset, &row(appender, number).packed(&schema).key)
            );
        }
    }
    // Online, after the replay: of every key the newest acknowledged row, or a later one that nobody was told of.
    replay(&stores, 1_000_000).await;
    let mut newest: BTreeMap<i64, i64> = BTreeMap::new();
    for &(appender, number) in acknowledged.appends.keys() {
        let newest = newest.entry(appender * KEYS + number % KEYS).or_insert(number);
        *newest = number.max(*newest);
    }
    assert!(newest.len() as i64 <= APPENDERS * KEYS);
    for (key, number) in newest {
        let stored = read(&*stores.online, key).await.expect("an acknowledged key is there");
        let time = RowHead::read(&stored).expect("a row").event_time.micros();
        assert!(
            time >= number,
            "key {key}: {number} was acknowledged, {time} is there after kill {kill}"
        );
    }
    let head = stores.registry.head().await.expect("a head");
    assert!(
        head.registry_revision >= acknowledged.published,
        "a published head is there after kill {kill}"
    );
    assert_eq!(
        u64::from(head.manifest.next_group_id),
        head.registry_revision,
        "and whole"
    );
    let log = stores.registry.log(0, usize::MAX).await.expect("the log of heads");
    assert_eq!(log.len() as u64, head.registry_revision, "no head is missing");
    for &number in &acknowledged.runs {
        let run = stores.runs.get(Uuid::from_u128(number as u128)).await.expect("a run");
        assert_eq!(
            run.map(|run| run.content),
            Some(number.to_string()),
            "run {number} after kill {kill}"
        );
    }
    for &number in &acknowledged.claims {
        let key = ClaimKey {
            scope: "rows".to_owned(),
            key: number.to_string(),
        };
        let again = Claim {
            body_hash: 0,
            batch: batch(9, 9),
            ingest_time: Timestamp::from_micros(0),
        };
        let outcome = stores
            .claims
            .claim(&key, &again, Timestamp::from_micros(0))
            .await
            .expect("an answer");
        let ClaimOutcome::Pending(claim) = outcome else {
            panic!("claim {number} is lost after kill {kill}: {outcome:?}")
        };
        assert_eq!(claim.batch, batch(0, number));
    }
}
