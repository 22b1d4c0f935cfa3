//! One request with its key through two copies of ingestion: the first is paused in the midst of it, the second answers, the first wakes.

use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use super::World;
use crate::http::Http;
use crate::load::work;
use crate::stage::eventually;

const ROUNDS: usize = 40;

/// Rows of a request: enough that it takes a few milliseconds.
const ROWS: i64 = 200;

pub(super) async fn play(world: &mut World) {
    let mut random = ChaCha8Rng::seed_from_u64(6);
    let shift = world.load();
    let mut answered_by_both = 0;
    for round in 0..ROUNDS {
        let copies = world.suite.copies_of("ingestion");
        let (first, second) = (copies[round % 2].clone(), copies[(round + 1) % 2].clone());
        let (key, rows) = world.ledger.send(work::PUSHERS + 2, ROWS);
        let path = format!("/v1/rows/{}", world.stage.group("facts"));
        let body = json!({"rows": rows.iter().map(|row| row.json()).collect::<Vec<_>>()});
        let send = |http: Http| {
            let (path, key, body) = (path.clone(), key.clone(), body.to_string());
            async move {
                let headers = [("content-type", "application/json"), ("idempotency-key", key.as_str())];
                http.try_send("POST", &path, &headers, body.into_bytes()).await
            }
        };
        let patient = Http::new(first.http.base_url.clone());
        let asleep = tokio::spawn(send(patient));
        tokio::time::sleep(Duration::from_micros(random.random_range(0..40_000))).await;
        first.pause();
        let awake = Http::with_timeout(second.http.base_url.clone(), Duration::from_secs(20));
        // While the first holds the claim the second says so; then it takes over.
        let answered = eventually(Duration::from_secs(60), "the second copy answers", async || {
            match send(awake.clone()).await {
                Ok(answer) if matches!(answer.status, 200 | 202) => Ok(Some(answer.json())),
                // Claimed by the first for as long as that may still be at work: it wakes before.
                Ok(answer) if answer.status == 409 => Ok(None),
                Ok(answer) => Err(format!("{} {}", answer.status, answer.text())),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
        first.resume();
        let woken = asleep.await.expect("a request").expect("an answer");
        assert!(
            matches!(woken.status, 200 | 202 | 409 | 503),
            "the one that woke answers {} {}",
            woken.status,
            woken.text()
        );
        let mut receipts: Vec<_> = answered.iter().map(|answer| answer["receipt"].clone()).collect();
        if matches!(woken.status, 200 | 202) {
            receipts.push(woken.json()["receipt"].clone());
        }
        if receipts.len() == 2 {
            answered_by_both += 1;
            let again = send(awake).await.expect("an answer").ok();
            receipts.push(again["receipt"].clone());
            assert!(
                receipts.iter().all(|receipt| *receipt == receipts[0]),
                "one answer for all: {receipts:?}"
            );
        }
        if answered.is_some() || matches!(woken.status, 200 | 202) {
            world.ledger.acknowledge(&key, false);
        }
    }
    shift.end().await;
    world.figures.note(
        "requests with one key through two copies, the first paused in between",
        ROUNDS,
    );
    world.figures.note("of them answered by both", answered_by_both);
}
