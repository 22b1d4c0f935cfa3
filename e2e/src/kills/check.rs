use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::ledger::{Ledger, Row};
use crate::python;
use crate::stage::{Stage, column, eventually};

/// How long the sinks may take to catch up with what was acknowledged.
const PATIENCE: Duration = Duration::from_secs(60);

/// The three objects of a bundle are of the same one: of the last that was answered, or of one that was sent after it.
pub async fn bundles_are_whole(stage: &Stage, ledger: &Ledger) {
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
    assert!(
        seen.iter().all(|number| *number == seen[0]),
        "a bundle is applied by half: {seen:?}"
    );
    let possible = ledger.bundles();
    assert!(
        possible.contains(&seen[0]),
        "bundle {} is there, {possible:?} were answered and sent",
        seen[0]
    );
}

/// Of some items the online answer is the acknowledged row that wins.
pub async fn some_rows_are_online(stage: &Stage, ledger: &Ledger) {
    let winners = ledger.winners();
    are_online(stage, "facts", &winners.into_iter().step_by(7).collect(), 1.0).await;
}

/// Every acknowledged row is in the table once and nothing else is, and the winners are online.
pub async fn every_row_is_in_both_stores_once(stage: &Stage, ledger: &Ledger) {
    let expected = ledger.rows();
    are_online(stage, "facts", &ledger.winners(), 1.0).await;
    in_table_once(stage, "facts", &expected, 1.0).await;
    let history = json!({"features": [stage.group("facts.price")], "period": {}});
    let answer = stage.http.post("/v1/historical-features", &history).await.expect(200);
    assert_eq!(
        column(&answer, "item_id").len(),
        expected.len(),
        "and a historical query sees each once"
    );
}

/// Every run that was accepted comes to its end.
pub async fn runs_have_ended(stage: &Stage, ledger: &Ledger) {
    for id in ledger.runs() {
        let run = stage.finished(&id).await;
        assert_eq!(run["state"], "succeeded", "{run}");
    }
}

/// There were compactions to be hit: the log of the table has commits that only rewrite files.
pub fn tables_were_compacted(stage: &Stage) {
    let rewrites = ["facts", "double"].map(|group| {
        let log = stage.table(group).join("_delta_log").read_dir().expect("a table");
        let commits = log
            .map(|file| file.expect("a file").path())
            .filter(|path| path.extension().is_some_and(|end| end == "json"));
        commits
            .filter(|path| {
                let text = std::fs::read_to_string(path).expect("a commit");
                text.contains("\"remove\"") && text.contains("\"dataChange\":false")
            })
            .count()
    });
    assert!(rewrites[0] > 5, "compactions of the two tables: {rewrites:?}");
}

/// After one more run the computed group has one row for each row of the other, in both stores.
pub async fn computed_rows_are_there_once(stage: &Stage, ledger: &Ledger) {
    runs_have_ended(stage, ledger).await;
    every_row_is_in_both_stores_once(stage, ledger).await;
    let run = stage.run(&json!({"groups": [stage.group("double")]})).await;
    assert_eq!(run["state"], "succeeded", "{run}");
    are_online(stage, "double", &ledger.winners(), 2.0).await;
    in_table_once(stage, "double", &ledger.rows(), 2.0).await;
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

/// Reads the table as another project does, so that nothing of ours hides a row that is there twice.
async fn in_table_once(stage: &Stage, group: &str, expected: &[Row], factor: f64) {
    let expected: Vec<_> = expected
        .iter()
        .map(|row| (row.item, row.event_time, (row.number as f64 * factor) as i64))
        .collect();
    eventually(PATIENCE, "every row is in the table, once", async || {
        let table = stage.table(group).display().to_string();
        let text = python::run("rows_of.py", &[&table, "item_id", "event_time", "price"]);
        let mut found: Vec<(i64, i64, i64)> = text
            .lines()
            .map(|line| {
                let row: Value = serde_json::from_str(line).expect("a row");
                let whole = |index: usize| row[index].as_i64().expect("a number");
                (whole(0), whole(1), row[2].as_f64().expect("a price") as i64)
            })
            .collect();
        found.sort_unstable();
        if let Some(twice) = found.windows(2).find(|pair| pair[0] == pair[1]) {
            panic!("{group} holds a row twice: {twice:?}");
        }
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
