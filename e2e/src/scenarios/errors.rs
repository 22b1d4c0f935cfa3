//! Every error code, each from the request that a caller would get it by.

use std::collections::BTreeSet;

use forebay_api::Code;
use serde_json::{Value, json};

use crate::http::Answer;
use crate::stage::Stage;

const BUNDLE: &str = "
kind: Domain
name: DOMAIN
---
kind: Entity
name: DOMAIN_item
domain: DOMAIN
keys: [{name: item_id, type: int64}]
---
kind: Entity
name: DOMAIN_user
domain: DOMAIN
keys: [{name: user_id, type: string}]
---
kind: FeatureGroup
name: DOMAIN.facts
entities: [DOMAIN_item]
features: [{name: price, type: float64, checks: {min: 0}}, {name: stock, type: int64}]
---
kind: FeatureGroup
name: DOMAIN.profile
entities: [DOMAIN_user]
features: [{name: city, type: string}, {name: taste, type: 'vector<float32, 2>'}]
---
kind: FeatureGroup
name: DOMAIN.computed
entities: [DOMAIN_item]
features: [{name: double, type: float64}]
batch: {sql: 'SELECT item_id, event_time, price * 2 AS double FROM DOMAIN.facts'}
---
kind: FeatureGroup
name: DOMAIN.now_only
entities: [DOMAIN_item]
stores: [online]
features: [{name: seen, type: bool}]
---
kind: FeatureGroup
name: DOMAIN.past_only
entities: [DOMAIN_item]
stores: [offline]
features: [{name: seen, type: bool}]
---
kind: Source
name: DOMAIN_stream
domain: DOMAIN
kafka: {topic: t, format: json}
event_time: ts
schema: [{name: item_id, type: int64}, {name: ts, type: timestamp}]
---
kind: FeatureView
name: DOMAIN_model
domain: DOMAIN
features: [{feature: DOMAIN.facts.price, as: price}]
request: [{name: offer, type: float64}]
expressions: [{name: ratio, type: float64, sql: offer / price}]
";

/// The codes that have been answered.
#[derive(Debug, Default)]
pub struct Seen(pub BTreeSet<&'static str>);

impl Seen {
    /// Notes the code of an answer that must be this problem. Returns the problem.
    #[track_caller]
    pub fn note(&mut self, answer: &Answer, code: Code) -> Value {
        self.0.insert(code.as_str());
        answer.problem(code)
    }

    /// Notes a code that must be among those of single places: `errors` of a bundle, `rejected` of rows.
    #[track_caller]
    pub fn note_within(&mut self, answer: &Answer, code: Code) {
        assert!((400..500).contains(&answer.status), "{}", answer.text());
        let problem = answer.json();
        let mut codes = ["errors", "rejected"]
            .into_iter()
            .filter_map(|list| problem[list].as_array())
            .flatten()
            .map(|place| &place["code"]);
        assert!(
            problem["code"] == code.as_str() || codes.any(|found| found == code.as_str()),
            "not {code}: {}",
            answer.text()
        );
        self.0.insert(code.as_str());
    }
}

/// All codes that an installation with the default settings answers.
pub async fn plays(stage: &Stage) -> Seen {
    stage.apply(BUNDLE).await;
    let mut seen = Seen::default();
    requests(stage, &mut seen).await;
    queries(stage, &mut seen).await;
    definitions(stage, &mut seen).await;
    sql(stage, &mut seen).await;
    changes(stage, &mut seen).await;
    rows(stage, &mut seen).await;
    seen
}

async fn requests(stage: &Stage, seen: &mut Seen) {
    let online = "/v1/online-features";
    let json = [("content-type", "application/json")];
    let raw = async |body: &[u8]| stage.http.send("POST", online, &json, body.to_vec()).await;
    seen.note(&raw(b"{").await, Code::NotParseable);
    seen.note(&raw(br#"{"entities": {}, "entities": {}}"#).await, Code::DuplicateKey);
    seen.note(&raw(b"{\"features\": [\"\xff\"]}").await, Code::InvalidUtf8);
    seen.note(
        &raw(format!("{{\"features\": {}{}}}", "[".repeat(5000), "]".repeat(5000)).as_bytes()).await,
        Code::TooDeep,
    );
    seen.note(&stage.http.get("/v1/groups/no.such_group").await, Code::NotFound);
    stage.http.get("/v1/info/nowhere").await.problem(Code::NotFound);
    seen.note(
        &stage.http.send("DELETE", online, &[], Vec::new()).await,
        Code::MethodNotAllowed,
    );
    seen.note(
        &stage
            .http
            .send("POST", online, &[("content-type", "image/png")], b"x".to_vec())
            .await,
        Code::UnsupportedMediaType,
    );

    let price = stage.group("facts.price");
    let good = json!({"features": [price], "entities": {"item_id": [1]}});
    let accept = [("content-type", "application/json"), ("accept", "image/png")];
    seen.note(
        &stage
            .http
            .send("POST", online, &accept, good.to_string().into_bytes())
            .await,
        Code::NotAcceptable,
    );

    let ask = async |body: Value| stage.http.post(online, &body).await;
    seen.note(
        &ask(json!({"features": [price], "entities": {"item_id": [1]}, "colour": 1})).await,
        Code::UnknownField,
    );
    seen.note(&ask(json!({"features": [price]})).await, Code::MissingField);
    seen.note(
        &ask(json!({"features": 5, "entities": {"item_id": [1]}})).await,
        Code::WrongType,
    );
    seen.note(
        &ask(json!({"features": [price], "entities": {"item_id": [1]}, "max_age": "5 weeks"})).await,
        Code::InvalidValue,
    );
    seen.note(
        &ask(json!({"features": [price], "view": "x", "entities": {"item_id": [1]}})).await,
        Code::InvalidCombination,
    );
    seen.note(
        &ask(json!({"features": [price], "entities": {"item_id": vec![1; 100_001]}})).await,
        Code::OverLimit,
    );
    let problem = ask(json!({"features": [stage.group("facts.prise")], "entities": {"item_id": [1]}})).await;
    let problem = seen.note(&problem, Code::UnknownFeature);
    assert!(
        problem["detail"].as_str().is_some_and(|detail| detail.contains(&price)),
        "the nearest name: {problem}"
    );
    assert_eq!(problem["errors"][0]["pointer"], "/features/0", "{problem}");
    seen.note(
        &ask(json!({"view": "no_such_view", "entities": {}})).await,
        Code::UnknownView,
    );
    seen.note(
        &ask(json!({"features": [stage.group("past_only.seen")], "entities": {"item_id": [1]}})).await,
        Code::NotOnline,
    );
    let problem = ask(json!({"features": [price], "entities": {"item_id": [1, "one"]}}))
        .await
        .problem(Code::WrongType);
    assert_eq!(problem["errors"][0]["pointer"], "/entities/item_id/1", "{problem}");

    seen.note(&stage.http.get("/v1/groups?colour=red").await, Code::UnknownParameter);
    seen.note(&stage.http.get("/v1/groups?page_size=x").await, Code::InvalidParameter);
    seen.note(&stage.http.get("/v1/groups?page_token=x").await, Code::InvalidPageToken);
    seen.note(
        &stage.http.post("/v1/runs", &json!({"groups": ["no.such_group"]})).await,
        Code::UnknownGroup,
    );
}

async fn queries(stage: &Stage, seen: &mut Seen) {
    let ask = async |body: Value| stage.http.post("/v1/historical-features", &body).await;
    let (price, city) = (stage.group("facts.price"), stage.group("profile.city"));
    seen.note(
        &ask(json!({"features": [price, city], "period": {}})).await,
        Code::MixedKeys,
    );
    seen.note(
        &ask(json!({"features": [stage.group("now_only.seen")], "at": "2026-01-01T00:00:00Z"})).await,
        Code::NoHistory,
    );
    seen.note(
        &ask(json!({"features": [price], "spine": {"uri": "/etc/passwd"}})).await,
        Code::LocationNotAllowed,
    );
}

/// Applies documents that must be refused with this code.
async fn refused(stage: &Stage, seen: &mut Seen, code: Code, yaml: &str) {
    let answer = stage
        .http
        .post_yaml("/v1/apply", &[], &yaml.replace("DOMAIN", &stage.domain))
        .await;
    seen.note_within(&answer, code);
}

async fn definitions(stage: &Stage, seen: &mut Seen) {
    let group = |rest: &str| format!("kind: FeatureGroup\nname: DOMAIN.new\nentities: [DOMAIN_item]\n{rest}\n");
    let with = |feature: &str| group(&format!("features: [{feature}]"));
    let cases = [
        (Code::InvalidName, with("{name: Price, type: int64}")),
        (Code::ReservedName, with("{name: event_time, type: int64}")),
        (Code::FeatureNamedLikeKey, with("{name: item_id, type: int64}")),
        (Code::InvalidType, with("{name: x, type: number}")),
        (Code::Duplicate, with("{name: x, type: int64}, {name: x, type: int64}")),
        (Code::UnknownField, with("{name: x, type: int64, colour: red}")),
        (Code::MissingField, with("{name: x}")),
        (Code::UnknownEntity, "kind: FeatureGroup\nname: DOMAIN.new\nentities: [no_such_entity]\nfeatures: [{name: x, type: int64}]\n".into()),
        (Code::UnknownDomain, "kind: Entity\nname: DOMAIN_new\ndomain: no_such_domain\nkeys: [{name: x, type: int64}]\n".into()),
        (Code::UnknownKey, "kind: FeatureGroup\nname: DOMAIN.new\nentities: [{entity: DOMAIN_item, keys: {no_such_key: y}}]\nfeatures: [{name: x, type: int64}]\n".into()),
        (Code::UnknownSource, group("features: [{name: x, type: int64, aggregate: {function: count, window: 10m}}]\nstreaming: {source: no_such_source}")),
        (Code::NotAStream, group("features: [{name: x, type: int64, aggregate: {function: count, window: 10m}}]\nstreaming: {source: DOMAIN.computed}")),
        (Code::NotATable, group("features: [{name: x, type: int64}]\nbatch: {sql: 'SELECT item_id, ts AS event_time, 1 AS x FROM DOMAIN_stream'}")),
        (Code::AmbiguousInput, group("features: [{name: x, type: float64}]\nbatch: {inputs: {DOMAIN_stream: {features: [{feature: DOMAIN.facts.price, as: p}]}}, sql: 'SELECT item_id, event_time, p AS x FROM DOMAIN_stream'}")),
        (Code::SourceNotFound, "kind: Source\nname: DOMAIN_gone\ndomain: DOMAIN\ndelta: {uri: no/such/table}\nevent_time: ts\n".into()),
        (Code::LocationNotAllowed, "kind: Source\nname: DOMAIN_out\ndomain: DOMAIN\ndelta: {uri: 'file:///etc'}\nevent_time: ts\n".into()),
        (Code::InvalidCombination, "kind: Source\nname: DOMAIN_both\ndomain: DOMAIN\ndelta: {uri: a}\nkafka: {topic: t, format: json}\n".into()),
        (Code::NotSupported, "kind: FeatureView\nname: DOMAIN_new\ndomain: DOMAIN\nfeatures: [{feature: DOMAIN.now_only.seen, history: current}]\n".into()),
        (
            Code::KeyTypeConflict,
            "kind: FeatureView\nname: DOMAIN_new\ndomain: DOMAIN\nfeatures: [{feature: DOMAIN.facts.price, keys: {item_id: id}}, {feature: DOMAIN.profile.city, keys: {user_id: id}}]\n".into(),
        ),
        (
            Code::Cycle,
            "kind: FeatureGroup\nname: DOMAIN.hen\nentities: [DOMAIN_item]\nfeatures: [{name: x, type: int64}]\nbatch: {sql: 'SELECT item_id, event_time, x FROM DOMAIN.egg'}\n---\nkind: FeatureGroup\nname: DOMAIN.egg\nentities: [DOMAIN_item]\nfeatures: [{name: x, type: int64}]\nbatch: {sql: 'SELECT item_id, event_time, x FROM DOMAIN.hen'}\n".into(),
        ),
    ];
    for (code, yaml) in cases {
        refused(stage, seen, code, &yaml).await;
    }
    let two = with("{name: x, type: number}, {name: event_time, type: int64}").replace("DOMAIN", &stage.domain);
    seen.note(&stage.http.post_yaml("/v1/apply", &[], &two).await, Code::Invalid);
}

async fn sql(stage: &Stage, seen: &mut Seen) {
    let cases = [
        (Code::SqlSyntax, "SELEC item_id FROM DOMAIN.facts"),
        (Code::SqlNotAQuery, "DROP TABLE DOMAIN.facts"),
        (
            Code::SqlNotDeterministic,
            "SELECT item_id, event_time, random() AS x FROM DOMAIN.facts",
        ),
        (
            Code::UnknownTable,
            "SELECT item_id, event_time, price AS x FROM DOMAIN.no_such_group",
        ),
        (
            Code::UnknownColumn,
            "SELECT item_id, event_time, prise AS x FROM DOMAIN.facts",
        ),
        (
            Code::AmbiguousColumn,
            "SELECT item_id, event_time, price AS x FROM DOMAIN.facts a JOIN DOMAIN.facts b ON a.item_id = b.item_id",
        ),
        (
            Code::UnknownFunction,
            "SELECT item_id, event_time, no_such_function(price) AS x FROM DOMAIN.facts",
        ),
        (Code::MissingColumn, "SELECT item_id, event_time FROM DOMAIN.facts"),
        (
            Code::ExtraColumn,
            "SELECT item_id, event_time, price AS x, price AS y FROM DOMAIN.facts",
        ),
        (
            Code::DuplicateColumn,
            "SELECT a.item_id, a.event_time, a.price AS x, b.item_id FROM DOMAIN.facts a JOIN DOMAIN.facts b ON a.item_id = b.item_id",
        ),
        (
            Code::WrongType,
            "SELECT item_id, event_time, ''text'' AS x FROM DOMAIN.facts",
        ),
        (
            Code::SqlNotSupported,
            "WITH RECURSIVE r AS (SELECT * FROM DOMAIN.facts) SELECT item_id, event_time, price AS x FROM r",
        ),
        (
            Code::InvalidSql,
            "SELECT item_id, event_time, max(price) AS x FROM DOMAIN.facts",
        ),
    ];
    for (code, query) in cases {
        let yaml = format!(
            "kind: FeatureGroup\nname: DOMAIN.new\nentities: [DOMAIN_item]\nfeatures: [{{name: x, type: float64}}]\nbatch: {{sql: '{query}'}}\n"
        );
        refused(stage, seen, code, &yaml).await;
    }
}

async fn changes(stage: &Stage, seen: &mut Seen) {
    let apply = async |headers: &[(&str, &str)], yaml: &str| {
        stage
            .http
            .post_yaml("/v1/apply", headers, &yaml.replace("DOMAIN", &stage.domain))
            .await
    };
    let facts = "kind: FeatureGroup\nname: DOMAIN.facts\nentities: [DOMAIN_item]\n";
    seen.note(
        &apply(&[], &format!("{facts}features: [{{name: stock, type: int64}}]\n")).await,
        Code::BreakingChange,
    );
    let retyped = format!(
        "{facts}features: [{{name: price, type: float64, checks: {{min: 0}}}}, {{name: stock, type: string}}]\n"
    );
    seen.note(&apply(&[], &retyped).await, Code::NeedsNewGeneration);
    seen.note(
        &apply(
            &[("if-match", "\"0\"")],
            "kind: Domain\nname: DOMAIN\ndescription: new\n",
        )
        .await,
        Code::StaleRevision,
    );
    let run = stage.run(&json!({"groups": [stage.group("computed")]})).await;
    let id = run["id"].as_str().expect("an id");
    seen.note(
        &stage.http.post(&format!("/v1/runs/{id}/cancel"), &json!({})).await,
        Code::Conflict,
    );
}

async fn rows(stage: &Stage, seen: &mut Seen) {
    let at = "2026-01-02T00:00:00Z";
    let path = |group: &str| format!("/v1/rows/{}", stage.group(group));
    let row = json!({"item_id": 1, "event_time": at, "price": 1.0, "stock": 1});
    seen.note(
        &stage.http.post(&path("computed"), &json!({"rows": [row]})).await,
        Code::ComputedGroup,
    );
    let with = |field: &str, value: Value| {
        let mut row = row.clone();
        row[field] = value;
        row
    };
    let without = |field: &str| {
        let mut row = row.clone();
        row.as_object_mut().expect("an object").remove(field);
        row
    };
    let cases = [
        (Code::MissingFeature, without("price")),
        (Code::MissingKey, without("item_id")),
        (Code::MissingEventTime, without("event_time")),
        (Code::EventTimeAhead, with("event_time", json!("2199-01-01T00:00:00Z"))),
        (Code::CheckFailed, with("price", json!(-1))),
        (Code::WrongType, with("stock", json!("many"))),
        (Code::UnknownField, with("colour", json!("red"))),
    ];
    for (code, row) in cases {
        let answer = stage.http.post(&path("facts"), &json!({"rows": [row]})).await;
        seen.note(&answer, Code::RejectedRows);
        seen.note_within(&answer, code);
    }
    let of_rows = [
        ("null_key", with("item_id", Value::Null)),
        ("null_event_time", with("event_time", Value::Null)),
        ("out_of_range", with("stock", json!(1e19))),
        ("not_exact", with("stock", json!(1.5))),
        ("not_an_object", json!([1])),
    ];
    for (code, row) in of_rows {
        let answer = stage.http.post(&path("facts"), &json!({"rows": [row]})).await;
        let problem = seen.note(&answer, Code::RejectedRows);
        assert_eq!(problem["rejected"][0]["code"], code, "{problem}");
    }
    let twice =
        r#"{"rows": [{"item_id": 1, "item_id": 1, "event_time": "2026-01-02T00:00:00Z", "price": 1.0, "stock": 1}]}"#;
    let json_type = [("content-type", "application/json")];
    let answer = stage.http.send("POST", &path("facts"), &json_type, twice.into()).await;
    assert_eq!(
        answer.problem(Code::RejectedRows)["rejected"][0]["code"],
        "duplicate_field"
    );
    let lines = [("content-type", "application/x-ndjson")];
    let answer = stage.http.send("POST", &path("facts"), &lines, b"{\n".to_vec()).await;
    assert_eq!(
        answer.problem(Code::RejectedRows)["rejected"][0]["code"],
        "not_parseable"
    );
    let vectors = [
        ("null_element", json!([1.0, null])),
        ("wrong_length", json!([1.0, 2.0, 3.0])),
    ];
    for (code, taste) in vectors {
        let row = json!({"user_id": "u", "event_time": at, "city": "x", "taste": taste});
        let problem = stage
            .http
            .post(&path("profile"), &json!({"rows": [row]}))
            .await
            .problem(Code::RejectedRows);
        assert_eq!(problem["rejected"][0]["code"], code, "{problem}");
    }
    let row_of = json!({"user_id": "x".repeat(2000), "event_time": at, "city": "x", "taste": null});
    let problem = stage
        .http
        .post(&path("profile"), &json!({"rows": [row_of]}))
        .await
        .problem(Code::RejectedRows);
    assert_eq!(problem["rejected"][0]["code"], "key_too_long", "{problem}");
    let key = format!("{}-errors", stage.domain);
    let headers = [("idempotency-key", key.as_str())];
    stage
        .http
        .post_with(&path("facts"), &headers, &json!({"rows": [row]}))
        .await
        .ok();
    let answer = stage
        .http
        .post_with(&path("facts"), &headers, &json!({"rows": [with("stock", json!(2))]}))
        .await;
    seen.note(&answer, Code::IdempotencyKeyReused);
}

/// The codes that no request brings about in this version; docs/errors.md says why.
pub const NOT_ANSWERED: [Code; 5] = [
    Code::Unauthenticated,
    Code::Forbidden,
    Code::MissingParameter,
    Code::NotReproducible,
    Code::Internal,
];

#[cfg(test)]
mod tests {
    use super::*;

    const DOCS: &str = include_str!("../../../docs/errors.md");

    #[test]
    fn the_documentation_lists_every_code_with_its_status() {
        let listed: BTreeSet<_> = DOCS
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
            .filter(|(_, rest)| rest.starts_with(|first: char| first.is_ascii_digit()))
            .map(|(code, rest)| format!("{code} {}", &rest[..3]))
            .collect();
        let known: BTreeSet<_> = Code::ALL
            .iter()
            .map(|code| format!("{code} {}", code.status()))
            .collect();
        assert_eq!(listed, known, "docs/errors.md and shared/api/src/code.rs");
    }

    #[test]
    fn the_documentation_names_what_is_not_answered_yet() {
        let (_, last) = DOCS.split_once("## Not answered yet").expect("the section");
        for code in NOT_ANSWERED {
            assert!(last.contains(&format!("`{code}`")), "{code}");
        }
    }
}
