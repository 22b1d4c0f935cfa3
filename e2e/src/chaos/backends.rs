//! A backend is killed, then paused, each for a while and under load; what does not need it goes on, what needs it says so and recovers by itself.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{APPEND_TIMEOUT, World};
use crate::http::Http;
use crate::load::work;
use crate::stage::eventually;

/// How long a backend is away.
const AWAY: Duration = Duration::from_secs(12);

/// Callers whose rows have no key are one more than the others.
const WITHOUT_KEY: i64 = work::PUSHERS + 1;

/// What was seen while a backend was away.
#[derive(Default)]
struct Seen {
    /// Answers to requests with rows: how many were accepted, and how many refused with 503 and Retry-After.
    accepted: usize,
    refused: usize,
    slowest_refusal: Duration,
    /// Answers to online reads that had all values, and that said that the store cannot tell.
    read: usize,
    not_read: usize,
    /// What the last one of these answered.
    instead: String,
}

/// Ingestion says that it cannot take rows; reads go on.
pub(super) async fn kafka(world: &mut World) {
    for way in ["killed", "paused"] {
        let shift = world.load();
        tokio::time::sleep(Duration::from_secs(3)).await;
        if way == "killed" {
            world.kafka.kill()
        } else {
            world.kafka.pause()
        }
        let seen = look(world).await;
        if way == "killed" {
            tokio::task::block_in_place(|| world.kafka.restart()).expect("Kafka starts again");
        } else {
            world.kafka.resume();
        }
        note(world, &format!("Kafka {way}"), &seen).await;
        assert!(seen.refused > 0, "rows are refused while Kafka is {way}");
        assert!(
            seen.slowest_refusal < APPEND_TIMEOUT + Duration::from_secs(3),
            "a refusal took {:?}",
            seen.slowest_refusal
        );
        assert!(
            seen.not_read == 0 && seen.read > 10,
            "reads go on while Kafka is {way}: {}",
            seen.instead
        );
        shift.end().await;
        world.check().await;
    }
}

/// Reads say that the store cannot tell; rows without a key are taken.
pub(super) async fn cassandra(world: &mut World) {
    for way in ["killed", "paused"] {
        let shift = world.load();
        tokio::time::sleep(Duration::from_secs(3)).await;
        if way == "killed" {
            world.cassandra.kill()
        } else {
            world.cassandra.pause()
        }
        let seen = look(world).await;
        if way == "killed" {
            tokio::task::block_in_place(|| world.cassandra.restart()).expect("Cassandra starts again");
        } else {
            world.cassandra.resume();
        }
        note(world, &format!("Cassandra {way}"), &seen).await;
        assert!(
            seen.accepted > 0,
            "rows without a key are taken while Cassandra is {way}"
        );
        assert!(seen.not_read > 0, "reads say so while Cassandra is {way}");
        shift.end().await;
        world.check().await;
    }
}

/// The online path goes on.
pub(super) async fn s3(world: &mut World) {
    for way in ["killed", "paused"] {
        let shift = world.load();
        tokio::time::sleep(Duration::from_secs(3)).await;
        if way == "killed" {
            world.s3.kill()
        } else {
            world.s3.pause()
        }
        let seen = look(world).await;
        comes_online(world).await;
        if way == "killed" {
            tokio::task::block_in_place(|| world.s3.restart()).expect("the S3 server starts again");
        } else {
            world.s3.resume();
        }
        note(world, &format!("S3 {way}"), &seen).await;
        assert!(
            seen.refused == 0 && seen.accepted > 10,
            "rows are taken while S3 is {way}"
        );
        assert!(
            seen.not_read == 0 && seen.read > 10,
            "reads go on while S3 is {way}: {}",
            seen.instead
        );
        shift.end().await;
        world.check().await;
    }
}

/// All three are slow: each runs a third of the time.
pub(super) async fn slow(world: &mut World) {
    let shift = world.load();
    let begin = Instant::now();
    while begin.elapsed() < 2 * AWAY {
        world.kafka.pause();
        tokio::time::sleep(Duration::from_millis(200)).await;
        world.kafka.resume();
        world.cassandra.pause();
        tokio::time::sleep(Duration::from_millis(200)).await;
        world.cassandra.resume();
        world.s3.pause();
        tokio::time::sleep(Duration::from_millis(200)).await;
        world.s3.resume();
    }
    let recovery = world.recovered().await;
    world
        .figures
        .note("all backends slow: rows in both stores again after", shown(recovery));
    shift.end().await;
}

/// Sends rows and reads, side by side, for as long as the backend is away.
async fn look(world: &World) -> Seen {
    let begin = Instant::now();
    let writes = async {
        let (mut accepted, mut refused, mut slowest) = (0, 0, Duration::ZERO);
        while begin.elapsed() < AWAY {
            let sent = Instant::now();
            let (done, was_refused) = push(world).await;
            accepted += usize::from(done);
            if was_refused {
                refused += 1;
                slowest = slowest.max(sent.elapsed());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        (accepted, refused, slowest)
    };
    let reads = async {
        let (mut read, mut not_read, mut instead) = (0, 0, String::new());
        // What is under way when the backend goes may fail with it.
        tokio::time::sleep(Duration::from_secs(1)).await;
        while begin.elapsed() < AWAY {
            match read_all(world).await {
                Ok(()) => read += 1,
                Err(answer) => {
                    not_read += 1;
                    instead = answer;
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        (read, not_read, instead)
    };
    let ((accepted, refused, slowest_refusal), (read, not_read, instead)) = tokio::join!(writes, reads);
    Seen {
        accepted,
        refused,
        slowest_refusal,
        read,
        not_read,
        instead,
    }
}

/// Rows without a key. Returns whether they were accepted, and whether they were refused as one who comes back later should be.
async fn push(world: &World) -> (bool, bool) {
    let rows = world.ledger.rows_of(WITHOUT_KEY, 2);
    let path = format!("/v1/rows/{}", world.stage.group("facts"));
    let body = json!({"rows": rows.iter().map(|row| row.json()).collect::<Vec<_>>()}).to_string();
    // Patient: a refusal that comes late is to be seen as such.
    let http = Http::with_timeout(world.stage.http.base_url.clone(), Duration::from_secs(40));
    let sent = http.try_send(
        "POST",
        &path,
        &[("content-type", "application/json")],
        body.into_bytes(),
    );
    match sent.await {
        Ok(answer) if answer.status == 202 => {
            world.ledger.accept(&rows);
            (true, false)
        }
        Ok(answer) => {
            world.ledger.doubt(&rows);
            let told_when = !answer.header("retry-after").is_empty();
            assert!(
                matches!(answer.status, 429 | 503) && told_when,
                "rows are answered {} {:?} {}",
                answer.status,
                answer.headers,
                answer.text()
            );
            (false, true)
        }
        Err(error) => panic!("rows are not answered: {error}"),
    }
}

/// An online read of all values, or what was answered instead. Anything but values, `ERROR`, 503 and 504 is wrong.
async fn read_all(world: &World) -> Result<(), String> {
    let begin = Instant::now();
    let items: Vec<_> = world.ledger.visible().into_keys().collect();
    let body = json!({"features": [world.stage.group("facts.price")], "entities": {"item_id": items}});
    let answer = world.stage.http.post("/v1/online-features", &body).await;
    if matches!(answer.status, 503 | 504) {
        return Err(format!(
            "{} after {:?}: {}",
            answer.status,
            begin.elapsed(),
            answer.text()
        ));
    }
    let statuses = answer.expect(200)["results"][1]["statuses"].clone();
    let statuses = statuses.as_array().expect("statuses");
    assert!(
        statuses.iter().all(|status| status == "PRESENT" || status == "ERROR"),
        "{statuses:?}"
    );
    match statuses.iter().filter(|status| *status == "ERROR").count() {
        0 => Ok(()),
        errors => Err(format!(
            "ERROR for {errors} of {} keys after {:?}",
            statuses.len(),
            begin.elapsed()
        )),
    }
}

/// A row comes online while nothing goes offline.
async fn comes_online(world: &World) {
    let (key, rows) = world.ledger.send(work::PUSHERS, 1);
    let path = format!("/v1/rows/{}?wait=online&timeout=5s", world.stage.group("facts"));
    let body = json!({"rows": [rows[0].json()]});
    eventually(Duration::from_secs(30), "a row comes online", async || {
        let answer = world
            .stage
            .http
            .post_with(&path, &[("idempotency-key", &key)], &body)
            .await;
        match answer.status {
            200 => Ok(()),
            _ => Err(format!("{} {}", answer.status, answer.text())),
        }
    })
    .await;
    world.ledger.acknowledge(&key, false);
}

async fn note(world: &mut World, what: &str, seen: &Seen) {
    let recovery = world.recovered().await;
    world.figures.note(
        &format!(
            "{what} for {} s: rows accepted, refused with Retry-After",
            AWAY.as_secs()
        ),
        format!(
            "{}, {} (slowest {})",
            seen.accepted,
            seen.refused,
            shown(seen.slowest_refusal)
        ),
    );
    world.figures.note(
        &format!("{what}: online reads with values, without"),
        format!("{}, {}", seen.read, seen.not_read),
    );
    world
        .figures
        .note(&format!("{what}: rows in both stores again after"), shown(recovery));
}

fn shown(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
