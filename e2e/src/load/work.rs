//! The callers' work.

use std::time::Duration;

use serde_json::{Value, json};

use super::ledger::{Ledger, Row};
use super::shift::{Over, Shift};
use crate::http::Answer;
use crate::stage::Stage;
use crate::times;

pub const PUSHERS: i64 = 3;

/// Three objects that every bundle changes, so that it shows when some are of another bundle.
const BUNDLE: &str = "
kind: Domain
name: DOMAIN
description: bundle NUMBER
---
kind: Entity
name: DOMAIN_item
domain: DOMAIN
description: bundle NUMBER
keys: [{name: item_id, type: int64}]
---
kind: FeatureGroup
name: DOMAIN.facts
description: bundle NUMBER
entities: [DOMAIN_item]
features: [{name: price, type: float64}]
";

const COMPUTED: &str = "
kind: FeatureGroup
name: DOMAIN.double
entities: [DOMAIN_item]
features: [{name: price, type: float64}]
batch: {sql: 'SELECT item_id, event_time, price * 2 AS price FROM DOMAIN.facts'}
";

pub async fn define(stage: &Stage) {
    stage.apply(&BUNDLE.replace("NUMBER", "0")).await;
    stage.apply(COMPUTED).await;
}

/// Starts callers of all kinds.
pub fn start(stage: &Stage, ledger: &Ledger) -> Shift {
    let mut shift = Shift::default();
    for pusher in 0..PUSHERS {
        let (stage, ledger) = (stage.clone(), ledger.clone());
        shift.work(move |over| push(stage.clone(), ledger.clone(), pusher, over));
    }
    let (pages, books) = (stage.clone(), ledger.clone());
    shift.work(move |_| apply(pages.clone(), books.clone()));
    let (pages, books) = (stage.clone(), ledger.clone());
    shift.work(move |over| run(pages.clone(), books.clone(), over));
    let (pages, books) = (stage.clone(), ledger.clone());
    shift.work(move |_| read(pages.clone(), books.clone()));
    let (pages, books) = (stage.clone(), ledger.clone());
    shift.work(move |_| query(pages.clone(), books.clone()));
    shift
}

/// Sends the requests again that were not answered, as a caller does that needs an answer.
pub async fn repeat_what_was_not_answered(stage: &Stage, ledger: &Ledger) {
    let never = Over::default();
    for (key, rows) in ledger.unanswered() {
        let sent = send_rows(stage, ledger, &key, &rows, &never);
        tokio::time::timeout(Duration::from_secs(120), sent)
            .await
            .unwrap_or_else(|_| panic!("the request {key} is never answered"));
    }
}

/// Pushes the next rows, again and again until they are answered.
pub async fn push(stage: Stage, ledger: Ledger, pusher: i64, over: Over) -> bool {
    // Small requests and larger ones, whose rows the log holds in several pieces.
    let count = 1 + (ledger.count() as i64 * 31 + pusher * 17) % 60;
    let (key, rows) = ledger.send(pusher, count);
    send_rows(&stage, &ledger, &key, &rows, &over).await;
    true
}

async fn send_rows(stage: &Stage, ledger: &Ledger, key: &str, rows: &[Row], over: &Over) {
    // Some callers wait for both stores, which makes the offline sink write early.
    let wait = if rows.len().is_multiple_of(5) {
        "?wait=online,offline&timeout=2s"
    } else {
        ""
    };
    let path = format!("/v1/rows/{}{wait}", stage.group("facts"));
    let rows: Vec<_> = rows.iter().map(|row| row.json()).collect();
    while !over.is_it() {
        if let Some(answer) = post(stage, &path, &[("idempotency-key", key)], &json!({"rows": rows})).await {
            match answer.status {
                200 | 202 => {
                    ledger.acknowledge(key, answer.status == 200 && !wait.is_empty());
                    return;
                }
                // Full, not ready, behind a proxy that lost it, or still under way in another process: a caller comes back.
                409 if answer.json()["code"] == "idempotency_key_in_use" => {}
                429 | 502 | 503 | 504 => {}
                _ => panic!("rows are answered {} {}", answer.status, answer.text()),
            }
        }
        ledger.count_up(|counts| counts.repeats += 1);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Pushes rows without a key, once. Returns whether they were accepted.
pub async fn push_without_key(stage: &Stage, ledger: &Ledger, pusher: i64) -> bool {
    let rows = ledger.rows_of(pusher, 2);
    let path = format!("/v1/rows/{}", stage.group("facts"));
    let json: Vec<_> = rows.iter().map(|row| row.json()).collect();
    let answer = post(stage, &path, &[], &json!({"rows": json})).await;
    let accepted = answer.is_some_and(|answer| matches!(answer.status, 200 | 202));
    if accepted {
        ledger.accept(&rows);
    } else {
        ledger.doubt(&rows);
    }
    accepted
}

/// Applies the next bundle.
pub async fn apply(stage: Stage, ledger: Ledger) -> bool {
    let number = ledger.next_bundle();
    let applied = apply_bundle(&stage, number).await;
    if applied {
        ledger.bundle_was_applied(number);
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    applied
}

pub async fn apply_bundle(stage: &Stage, number: u64) -> bool {
    let bundle = BUNDLE
        .replace("DOMAIN", &stage.domain)
        .replace("NUMBER", &number.to_string());
    let headers = [("content-type", "application/yaml")];
    let sent = stage
        .http
        .try_send("POST", "/v1/apply", &headers, bundle.into_bytes())
        .await;
    match sent {
        Ok(answer) => match answer.status {
            200 => true,
            // The objects moved while it was planned, by a bundle of before that comes late.
            409 | 412 | 429 | 502 | 503 | 504 => false,
            _ => panic!("a bundle is answered {} {}", answer.status, answer.text()),
        },
        Err(_) => false,
    }
}

/// Starts a run and waits for its end.
pub async fn run(stage: Stage, ledger: Ledger, over: Over) -> bool {
    let body = json!({"groups": [stage.group("double")]});
    let Some(answer) = post(&stage, "/v1/runs", &[], &body).await else {
        return false;
    };
    if matches!(answer.status, 429 | 502 | 503 | 504) {
        return false;
    }
    let accepted = answer.expect(202);
    let id = accepted["id"].as_str().expect("a run has an id");
    ledger.run_was_accepted(id);
    let path = format!("/v1/runs/{id}");
    while !over.is_it() {
        match stage.http.try_send("GET", &path, &[], Vec::new()).await {
            Ok(answer) if answer.status == 200 => match answer.json()["state"].as_str() {
                Some("queued" | "running") => {}
                _ => return true,
            },
            Ok(answer) => assert!(
                matches!(answer.status, 429 | 502 | 503 | 504),
                "the run {id} is answered {} {}",
                answer.status,
                answer.text()
            ),
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}

/// Reads what callers were told is visible: it is, or the answer says that the store could not tell.
pub async fn read(stage: Stage, ledger: Ledger) -> bool {
    let visible = ledger.visible();
    if visible.is_empty() {
        return false;
    }
    let items: Vec<_> = visible.keys().collect();
    let body = json!({"features": [stage.group("facts.price")], "entities": {"item_id": items}});
    let Some(answer) = post(&stage, "/v1/online-features", &[], &body).await else {
        return false;
    };
    ledger.count_up(|counts| counts.reads += 1);
    if matches!(answer.status, 429 | 502 | 503 | 504) {
        return false;
    }
    let answer = answer.expect(200);
    let told = &answer["results"][1];
    for (place, (item, event_time)) in visible.iter().enumerate() {
        match told["statuses"][place].as_str() {
            Some("PRESENT") => {}
            Some("ERROR") => return false,
            status => panic!("item {item} was visible and is {status:?}: {answer}"),
        }
        let seen = told["event_timestamps"][place].as_str().unwrap_or_default();
        let least = times::text(*event_time);
        assert!(
            micros_text(seen) >= least,
            "item {item} was visible as of {least} and is seen as of {seen}"
        );
    }
    ledger.count_up(|counts| counts.reads_with_values += 1);
    tokio::time::sleep(Duration::from_millis(10)).await;
    true
}

/// A moment of an answer with all six digits, so that texts compare as times do.
fn micros_text(text: &str) -> String {
    let (seconds, fraction) = text
        .trim_end_matches('Z')
        .split_once('.')
        .unwrap_or((text.trim_end_matches('Z'), ""));
    format!("{seconds}.{fraction:0<6}Z")
}

/// Asks for the whole history: no row is there twice, and those that a caller was told are offline are among them.
pub async fn query(stage: Stage, ledger: Ledger) -> bool {
    let least = ledger.offline();
    let body = json!({"features": [stage.group("facts.price")], "period": {}});
    let Some(answer) = post(&stage, "/v1/historical-features", &[], &body).await else {
        return false;
    };
    if answer.status != 200 {
        assert!(
            matches!(answer.status, 429 | 502 | 503 | 504),
            "a query is answered {} {}",
            answer.status,
            answer.text()
        );
        return false;
    }
    // Cut off in the middle: the caller sees that it is no JSON.
    let Ok(told) = serde_json::from_slice::<Value>(&answer.body) else {
        return false;
    };
    let found = crate::stage::column(&told, "item_id").len();
    assert!(found >= least, "{least} rows were offline, {found} are found");
    ledger.count_up(|counts| counts.queries += 1);
    tokio::time::sleep(Duration::from_millis(300)).await;
    true
}

async fn post(stage: &Stage, path: &str, headers: &[(&str, &str)], body: &Value) -> Option<Answer> {
    let json = ("content-type", "application/json");
    let headers: Vec<_> = headers.iter().copied().chain([json]).collect();
    stage
        .http
        .try_send("POST", path, &headers, body.to_string().into_bytes())
        .await
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_compare_as_texts() {
        assert_eq!(micros_text("2026-01-02T03:04:05Z"), "2026-01-02T03:04:05.000000Z");
        assert_eq!(micros_text("2026-01-02T03:04:05.5Z"), "2026-01-02T03:04:05.500000Z");
    }
}
