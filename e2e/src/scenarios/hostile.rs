//! What no well-meaning caller sends: a clear 4xx each time, and the server as well as before.

use forebay_api::Code;
use serde_json::json;

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
name: DOMAIN_word
domain: DOMAIN
keys: [{name: word, type: string}]
---
kind: FeatureGroup
name: DOMAIN.facts
entities: [DOMAIN_item]
features: [{name: number, type: int64}, {name: score, type: float64}]
---
kind: FeatureGroup
name: DOMAIN.words
entities: [DOMAIN_word]
features: [{name: score, type: float64}]
";

/// Every body on every endpoint that takes one.
pub async fn plays(stage: &Stage) {
    stage.apply(BUNDLE).await;
    let endpoints = [
        "/v1/plan",
        "/v1/apply",
        "/v1/online-features",
        "/get-online-features",
        "/v1/historical-features",
        "/v1/runs",
    ];
    let rows = format!("/v1/rows/{}", stage.group("facts"));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let bodies: [&[u8]; 12] = [
        b"",
        b"{",
        b"null",
        b"[]",
        b"42",
        b"\"text\"",
        b"{\"features\": 5}",
        b"{\"entities\": {\"entities\": {}}}",
        b"{\"\xff\xfe\": 1}",
        b"{\"rows\": [{\"item_id\": 1, \"item_id\": 2}]}",
        b"{\"rows\": NaN}",
        deep.as_bytes(),
    ];
    for endpoint in endpoints.iter().copied().chain([rows.as_str()]) {
        for body in bodies {
            // An empty request for a run is a request for all that is due.
            if endpoint == "/v1/runs" && body.is_empty() {
                continue;
            }
            let answer = stage
                .http
                .send("POST", endpoint, &[("content-type", "application/json")], body.to_vec())
                .await;
            let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
            assert!(
                (400..500).contains(&answer.status),
                "{endpoint} {shown}: {} {}",
                answer.status,
                answer.text()
            );
            assert!(
                answer.json()["code"].is_string(),
                "{endpoint} {shown}: {}",
                answer.text()
            );
        }
    }
    numbers(stage, &rows).await;
    names_and_keys(stage).await;
    stage
        .push(
            "facts",
            &[json!({"item_id": 1, "event_time": "2026-01-02T00:00:00Z", "number": 1, "score": 0.5})],
        )
        .await;
}

async fn numbers(stage: &Stage, rows: &str) {
    let row = |number: &str, score: &str| {
        format!(
            r#"{{"rows": [{{"item_id": 1, "event_time": "2026-01-01T00:00:00Z", "number": {number}, "score": {score}}}]}}"#
        )
    };
    let send = async |body: String| {
        stage
            .http
            .send("POST", rows, &[("content-type", "application/json")], body.into_bytes())
            .await
    };
    for wrong in ["9223372036854775808", "1.5", "1e19", "true", "[1]", "\"x\"", "\"1.5\""] {
        let problem = send(row(wrong, "0.5")).await.problem(Code::RejectedRows);
        assert_eq!(problem["rejected"][0]["field"], "number", "{wrong}: {problem}");
    }
    for wrong in ["\"nan\"", "true", "\"1,5\"", "{}"] {
        let problem = send(row("1", wrong)).await.problem(Code::RejectedRows);
        assert_eq!(problem["rejected"][0]["field"], "score", "{wrong}: {problem}");
    }
    for right in [
        ("9007199254740993", "\"NaN\""),
        ("\"9007199254740993\"", "\"-Infinity\""),
        ("-9223372036854775808", "1"),
    ] {
        let answer = send(row(right.0, right.1)).await;
        assert!((200..300).contains(&answer.status), "{right:?}: {}", answer.text());
    }
    for wrong in ["yesterday", "2026-13-01T00:00:00Z", "99999999-01-01T00:00:00Z"] {
        let body = json!({"rows": [{"item_id": 1, "event_time": wrong, "number": 1, "score": 0.5}]}).to_string();
        let problem = send(body).await.problem(Code::RejectedRows);
        assert_eq!(problem["rejected"][0]["field"], "event_time", "{wrong}: {problem}");
    }
}

async fn names_and_keys(stage: &Stage) {
    let long = "x".repeat(5000);
    let body = json!({"rows": [{"word": long, "event_time": "2026-01-01T00:00:00Z", "score": 0.5}]});
    stage
        .http
        .post(&format!("/v1/rows/{}", stage.group("words")), &body)
        .await
        .problem(Code::RejectedRows);
    for name in ["", "x", "../etc", "a.b.c.d.e", &long, "Ünïcode", "%00", "a b"] {
        for path in [
            format!("/v1/groups/{name}"),
            format!("/v1/rows/{name}"),
            format!("/v1/runs/{name}"),
        ] {
            let method = if path.starts_with("/v1/rows") { "POST" } else { "GET" };
            let answer = stage
                .http
                .try_send(
                    method,
                    &path,
                    &[("content-type", "application/json")],
                    b"{\"rows\": []}".to_vec(),
                )
                .await;
            if let Ok(answer) = answer {
                assert!(
                    (200..500).contains(&answer.status),
                    "{path}: {} {}",
                    answer.status,
                    answer.text()
                );
            }
        }
    }
    let yaml = format!("kind: Domain\nname: {}\n", "a".repeat(64));
    stage
        .http
        .post_yaml("/v1/apply", &[], &yaml)
        .await
        .problem(Code::InvalidName);
    // Anchors that multiply: refused or small, never a server that swells.
    let laughs = (1..30).fold("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, i| {
        let of = format!("*a{}", i - 1);
        text + &format!("a{i}: &a{i} [{}]\n", [of.as_str(); 9].join(", "))
    });
    let answer = stage.http.post_yaml("/v1/apply", &[], &laughs).await;
    assert!(
        (400..500).contains(&answer.status),
        "{} {}",
        answer.status,
        answer.text()
    );
}
