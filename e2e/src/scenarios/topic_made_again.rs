//! A group's topic that somebody deletes and makes again, over the services apart: what both stores hold stays, what cannot come is not acknowledged, other groups
//! go on, and the way back is the one that the log names.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use serde_json::{Value, json};

use crate::http::Http;
use crate::stage::{Stage, column, eventually};
use crate::suite::Suite;
use crate::times;

const BUNDLE: &str = "
kind: Domain
name: DOMAIN
---
kind: Entity
name: DOMAIN_item
domain: DOMAIN
keys: [{name: item_id, type: int64}]
---
kind: FeatureGroup
name: DOMAIN.facts
entities: [DOMAIN_item]
features: [{name: score, type: float64}]
---
kind: FeatureGroup
name: DOMAIN.others
entities: [DOMAIN_item]
features: [{name: score, type: float64}]
";

/// Rows through each copy: enough for every partition.
const EACH: i64 = 30;

/// How long until everybody knows.
const WITHIN: Duration = Duration::from_secs(60);

/// `brokers` are those of the suite.
pub async fn plays(suite: &Suite, brokers: &str) {
    let stage = suite.stage();
    stage.apply(BUNDLE).await;
    let rows_of = |ids: std::ops::Range<i64>| -> Vec<Value> {
        ids.map(|id| json!({"item_id": id, "event_time": times::text(id), "score": id}))
            .collect()
    };
    // Through every copy, so that each knows the topic.
    let copies = suite.copies_of("ingestion");
    let count = copies.len() as i64 * EACH;
    for (copy, process) in (0..).zip(&copies) {
        let direct = Stage {
            http: Http::new(process.http.base_url.clone()),
            ..stage.clone()
        };
        direct.push("facts", &rows_of(copy * EACH..(copy + 1) * EACH)).await;
    }
    make_again(brokers, &format!("-rows-{}-facts", stage.domain)).await;

    // No copy acknowledges rows that no store will hold.
    let path = format!("/v1/rows/{}", stage.group("facts"));
    let late = json!({"rows": rows_of(count..count + 1)});
    let mut receipts = Vec::new();
    for process in &copies {
        eventually(WITHIN, "the copy knows that its topic is gone", async || {
            let http = Http::new(process.http.base_url.clone());
            let answer = http.post(&path, &late).await;
            if answer.status == 202 {
                receipts.push(answer.json()["receipt"].as_str().expect("a receipt").to_owned());
            }
            let is_told = answer.status == 503 && answer.text().contains("made again");
            if is_told { Ok(()) } else { Err(answer.text()) }
        })
        .await;
    }
    eventually(WITHIN, "the sinks say what to do", async || {
        let told = suite.logs().contains("remove the group with ?purge=true");
        told.then_some(()).ok_or_else(|| "nothing in the logs".to_owned())
    })
    .await;
    // What slipped through before a copy knew is in no store, and its receipt says so.
    for receipt in receipts {
        let told = stage.http.get(&format!("/v1/receipts/{receipt}")).await.expect(200);
        assert_eq!(
            (&told["online"], &told["offline"]),
            (&json!(false), &json!(false)),
            "{told}"
        );
    }

    // Nor does a copy that starts now, which never saw the topic as it was.
    suite.restart("ingestion", 0).await;
    let started = Http::new(suite.copies_of("ingestion")[0].http.base_url.clone());
    let answer = started.post(&path, &late).await;
    assert!(
        answer.status == 503 && answer.text().contains("made again"),
        "{}: {}",
        answer.status,
        answer.text()
    );

    // What both stores hold is there.
    let scores: Vec<Value> = (0..count).map(|id| json!(id as f64)).collect();
    let ids: Vec<i64> = (0..count).collect();
    let feature = stage.group("facts.score");
    let online = stage
        .online(std::slice::from_ref(&feature), json!({"item_id": ids}))
        .await;
    assert_eq!(online["results"][1]["values"], json!(scores));
    let times: Vec<String> = ids.iter().map(|id| times::text(*id)).collect();
    let spine = json!({"features": [feature], "spine": {"columns": {"item_id": ids, "event_time": times}}});
    let offline = stage.http.post("/v1/historical-features", &spine).await.expect(200);
    assert_eq!(column(&offline, &feature), &scores);

    // Nobody else is held up.
    stage.push("others", &rows_of(0..10)).await;

    // The way back: the group is removed with all it has, and registered anew.
    let group = format!("/v1/groups/{}", stage.group("facts"));
    let etag = stage.http.get(&group).await.header("etag").to_owned();
    let removed = stage
        .http
        .send(
            "DELETE",
            &format!("{group}?purge=true"),
            &[("if-match", &etag)],
            Vec::new(),
        )
        .await;
    assert!((200..300).contains(&removed.status), "{}", removed.text());
    stage.apply(BUNDLE).await;
    eventually(WITHIN, "rows are taken again", async || {
        let taken = stage
            .http
            .post(&format!("{path}?wait=online,offline&timeout=30s"), &late)
            .await;
        if taken.status == 200 { Ok(()) } else { Err(taken.text()) }
    })
    .await;
    let online = stage.online(&[feature], json!({"item_id": [0, count]})).await;
    assert_eq!(online["results"][1]["values"], json!([null, count as f64]));
}

/// Deletes the one topic whose name ends so, and makes it again with the settings that rows need.
async fn make_again(brokers: &str, end: &str) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .create()
        .expect("a client");
    let metadata = admin.inner().fetch_metadata(None, WITHIN).expect("topics");
    let topic = metadata
        .topics()
        .iter()
        .find(|topic| topic.name().ends_with(end))
        .expect("the group's topic");
    let (name, partitions) = (topic.name(), topic.partitions().len());
    let options = AdminOptions::new().operation_timeout(Some(WITHIN));
    let deleted = admin.delete_topics(&[name], &options).await.expect("an answer");
    deleted[0].as_ref().expect("deleted");
    let partitions = i32::try_from(partitions).expect("few");
    let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(-1))
        .set("message.timestamp.type", "LogAppendTime")
        .set("max.message.bytes", "18874368");
    // The name is free a moment after the topic is gone.
    eventually(WITHIN, "the topic is made again", async || {
        let made = admin.create_topics([&topic], &options).await.expect("an answer");
        made[0].as_ref().map(drop).map_err(|(_, code)| code.to_string())
    })
    .await;
}
