//! What must be true of what callers were told.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::ledger::{Ledger, Row};
use super::work;
use crate::python;
use crate::stage::{Stage, column, eventually};
use crate::times;

/// How long sinks and replicas may take to catch up with what was acknowledged.
const PATIENCE: Duration = Duration::from_secs(120);

/// The three objects of a bundle are of the same one.
pub async fn bundles_are_whole(stage: &Stage, ledger: &Ledger) {
    let possible = 0..=*ledger.bundles().end();
    // Another registry than the one that applied the last bundle may have heard of it between two of the questions.
    eventually(Duration::from_secs(20), "no bundle is applied by half", async || {
        let seen = bundle_of_each_object(stage).await;
        match seen
            .iter()
            .all(|number| *number == seen[0] && possible.contains(number))
        {
            true => Ok(()),
            false => Err(format!("{seen:?} of {possible:?}")),
        }
    })
    .await;
}

/// The last bundle that was answered is there, or one that was sent after it: nobody applies an older one over it any more.
pub async fn the_last_bundle_is_there(stage: &Stage, ledger: &Ledger) {
    let possible = ledger.bundles();
    eventually(Duration::from_secs(20), "the last bundle is there", async || {
        let seen = bundle_of_each_object(stage).await;
        match seen
            .iter()
            .all(|number| *number == seen[0] && possible.contains(number))
        {
            true => Ok(()),
            false => Err(format!(
                "bundles {seen:?} are there, {possible:?} were answered and sent"
            )),
        }
    })
    .await;
}

/// Whatever bundles come late, the next one is applied.
pub async fn another_bundle_is_applied(stage: &Stage, ledger: &Ledger) {
    let number = ledger.next_bundle();
    eventually(PATIENCE, "a bundle is applied", async || {
        match work::apply_bundle(stage, number).await {
            true => Ok(()),
            false => Err("not now".to_owned()),
        }
    })
    .await;
    ledger.bundle_was_applied(number);
    the_last_bundle_is_there(stage, ledger).await;
}

async fn bundle_of_each_object(stage: &Stage) -> Vec<u64> {
    let mut seen = Vec::new();
    for path in [
        format!("/v1/domains/{}", stage.domain),
        format!("/v1/entities/{}_item", stage.domain),
        format!("/v1/groups/{}", stage.group("facts")),
    ] {
        let answer = stage.http.get(&path).await;
        let text = answer.expect(200).to_string();
        let number = text
            .split("bundle ")
            .nth(1)
            .map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>())
            .and_then(|number| number.parse::<u64>().ok())
            .unwrap_or_else(|| panic!("no bundle in {text}"));
        seen.push(number);
    }
    seen
}

/// Of some items the online answer is the acknowledged row that wins.
pub async fn some_rows_are_online(stage: &Stage, ledger: &Ledger) {
    let winners = ledger.winners();
    are_online(stage, "facts", &winners.into_iter().step_by(7).collect(), 1.0).await;
}

/// Every acknowledged row is in the table once and nothing else is, and the winners are online.
pub async fn every_row_is_in_both_stores_once(stage: &Stage, ledger: &Ledger) {
    let rows = settle_doubts(stage, ledger).await;
    in_table_once(stage, "facts", &rows, 1.0).await;
    let mut winners = BTreeMap::new();
    for row in &rows {
        winners.insert(row.item, *row);
    }
    are_online(stage, "facts", &winners, 1.0).await;
    let history = json!({"features": [stage.group("facts.price")], "period": {}});
    let answer = stage.http.post("/v1/historical-features", &history).await.expect(200);
    assert_eq!(
        column(&answer, "item_id").len(),
        rows.len(),
        "and a historical query sees each once"
    );
}

/// The acknowledged rows and those of the uncertain ones that turn out to be there.
async fn settle_doubts(stage: &Stage, ledger: &Ledger) -> Vec<Row> {
    let (mut rows, uncertain) = (ledger.rows(), ledger.uncertain());
    if !uncertain.is_empty() {
        // The acknowledged rows came after them, so what is not there with these will not come.
        eventually(PATIENCE, "every acknowledged row is in the table", async || {
            let found = rows_in_table(stage, "facts");
            let missing = rows
                .iter()
                .filter(|row| found.binary_search(&key_of(row, 1.0)).is_err())
                .count();
            match missing {
                0 => Ok(()),
                _ => Err(format!("{missing} of {} are missing", rows.len())),
            }
        })
        .await;
        let found = rows_in_table(stage, "facts");
        rows.extend(
            uncertain
                .iter()
                .filter(|row| found.binary_search(&key_of(row, 1.0)).is_ok()),
        );
        rows.sort_unstable();
    }
    rows
}

/// Every run that was accepted comes to its end. Returns how many there were.
pub async fn runs_have_ended(stage: &Stage, ledger: &Ledger) -> usize {
    let runs = ledger.runs();
    for id in &runs {
        let run = stage.finished(id).await;
        assert_eq!(run["state"], "succeeded", "{run}");
    }
    runs.len()
}

/// How often the table was compacted: commits in its log that only rewrite files.
pub async fn compactions(stage: &Stage) -> usize {
    let commits = stage.lake.commits(&stage.table("facts")).await;
    commits
        .iter()
        .filter(|commit| commit.contains("\"remove\"") && commit.contains("\"dataChange\":false"))
        .count()
}

/// There were compactions to be hit.
pub async fn tables_were_compacted(stage: &Stage) {
    let compactions = compactions(stage).await;
    assert!(compactions > 5, "the table was compacted {compactions} times only");
}

/// After one more run the computed group has one row for each row of the other, in both stores.
pub async fn computed_rows_are_there_once(stage: &Stage, ledger: &Ledger) {
    runs_have_ended(stage, ledger).await;
    every_row_is_in_both_stores_once(stage, ledger).await;
    let rows = settle_doubts(stage, ledger).await;
    let run = stage.run(&json!({"groups": [stage.group("double")]})).await;
    assert_eq!(run["state"], "succeeded", "{run}");
    in_table_once(stage, "double", &rows, 2.0).await;
    let winners = rows.iter().map(|row| (row.item, *row)).collect();
    are_online(stage, "double", &winners, 2.0).await;
}

/// For every key the online answer is the point-in-time answer of that moment, value, status and event time. Returns how many keys there were.
pub async fn online_is_the_point_in_time_answer(stage: &Stage, ledger: &Ledger) -> usize {
    let items: Vec<_> = ledger.winners().into_keys().collect();
    let features = [stage.group("facts.price"), stage.group("double.price")];
    eventually(PATIENCE, "online and point in time are one answer", async || {
        let online = stage.online(&features, json!({"item_id": items})).await;
        let moment = times::text(times::now());
        let body = json!({
            "features": features,
            "spine": {"columns": {"item_id": items, "event_time": vec![moment; items.len()]}},
            "include": ["values", "statuses", "event_timestamps"],
        });
        let offline = stage.http.post("/v1/historical-features", &body).await.expect(200);
        for (place, feature) in features.iter().enumerate() {
            let told = &online["results"][place + 1];
            for (suffix, part) in [
                ("", "values"),
                ("__status", "statuses"),
                ("__event_timestamp", "event_timestamps"),
            ] {
                let then = json!(column(&offline, &format!("{feature}{suffix}")));
                if then != told[part] {
                    return Err(format!("{part} of {feature}: online {}, offline {then}", told[part]));
                }
            }
        }
        Ok(())
    })
    .await;
    items.len()
}

async fn are_online(stage: &Stage, group: &str, winners: &BTreeMap<i64, Row>, factor: f64) {
    if winners.is_empty() {
        return;
    }
    let items: Vec<_> = winners.keys().collect();
    let expected: Vec<_> = winners.values().map(|row| json!(row.number as f64 * factor)).collect();
    let feature = stage.group(&format!("{group}.price"));
    eventually(PATIENCE, "the winners are online", async || {
        let answer = stage
            .online(std::slice::from_ref(&feature), json!({"item_id": items}))
            .await;
        let found: Vec<_> = answer["results"][1]["values"].as_array().expect("values").clone();
        let wrong: Vec<_> = winners
            .values()
            .zip(found.iter().zip(&expected))
            .filter(|(_, (a, b))| a != b)
            .collect();
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(format!(
                "{group}: {} of {} items, such as {:?}",
                wrong.len(),
                expected.len(),
                wrong[0]
            ))
        }
    })
    .await;
}

/// A row as the table holds it: key, event time, price.
type Found = (i64, i64, i64);

fn key_of(row: &Row, factor: f64) -> Found {
    (row.item, row.event_time, (row.number as f64 * factor) as i64)
}

/// All rows of a table, in order, read as another project does, so that nothing of ours hides a row that is there twice.
fn read_table(stage: &Stage, group: &str) -> Vec<Found> {
    let table = stage.lake.location(&stage.table(group));
    let text = python::run_on(&stage.lake, "rows_of.py", &[&table, "item_id", "event_time", "price"]);
    let mut found: Vec<Found> = text
        .lines()
        .map(|line| {
            let row: Value = serde_json::from_str(line).expect("a row");
            let whole = |index: usize| row[index].as_i64().expect("a number");
            (whole(0), whole(1), row[2].as_f64().expect("a price") as i64)
        })
        .collect();
    found.sort_unstable();
    found
}

/// The same where none is there twice.
fn rows_in_table(stage: &Stage, group: &str) -> Vec<Found> {
    let found = read_table(stage, group);
    if let Some(twice) = found.windows(2).find(|pair| pair[0] == pair[1]) {
        panic!("{group} holds a row twice: {twice:?}");
    }
    found
}

/// How many acknowledged rows the table lacks, and how many rows it holds a second time.
pub fn lost_and_twice(stage: &Stage, ledger: &Ledger) -> (usize, usize) {
    let found = read_table(stage, "facts");
    let rows = ledger.rows();
    let lost = rows
        .iter()
        .filter(|row| found.binary_search(&key_of(row, 1.0)).is_err())
        .count();
    let twice = found.windows(2).filter(|pair| pair[0] == pair[1]).count();
    (lost, twice)
}

/// The table holds these rows and no others. They are in order.
async fn in_table_once(stage: &Stage, group: &str, expected: &[Row], factor: f64) {
    let expected: Vec<_> = expected.iter().map(|row| key_of(row, factor)).collect();
    eventually(PATIENCE, "every row is in the table, once", async || {
        let found = rows_in_table(stage, group);
        if let Some(foreign) = found.iter().find(|row| expected.binary_search(row).is_err()) {
            panic!("{group} holds a row that nobody was told of: {foreign:?}");
        }
        let missing = expected.len() - found.len();
        if missing == 0 {
            Ok(())
        } else {
            Err(format!("{group}: {missing} of {} rows are missing", expected.len()))
        }
    })
    .await;
}
