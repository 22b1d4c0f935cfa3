//! What Kafka's clients ask of a schema registry.

use serde_json::{Value, json};

use crate::testing::{CONTRACT, Running, answer};

const SUBJECT: &str = "forebay-rows-visitor-profile-value";

/// An error in Confluent's form.
async fn fault(running: &Running, path: &str, status: u16) -> u64 {
    let error = answer(running.get(path), status).await;
    assert!(
        error["message"].as_str().is_some_and(|text| !text.is_empty()),
        "{error}"
    );
    error["error_code"].as_u64().expect("a number")
}

async fn with_two_versions() -> Running {
    let running = Running::start().await;
    running.applied(CONTRACT).await;
    running
        .applied(
            "kind: FeatureGroup\nname: visitor.profile\nentities: [visitor]\n\
             features: [{name: city, type: string}, {name: taste, type: \"vector<float32, 8>\"}, {name: age, type: int32}]",
        )
        .await;
    running
}

#[tokio::test]
async fn a_row_topic_has_a_subject_with_a_version_for_every_layout() {
    let running = with_two_versions().await;
    let subjects = running.read("/subjects").await;
    // Those of batch groups have no topic.
    assert_eq!(subjects, json!(["forebay-rows-product-interest-value", SUBJECT]));
    assert_eq!(
        running
            .read("/subjects?subjectPrefix=forebay-rows-visitor&deleted=false")
            .await,
        json!([SUBJECT])
    );
    assert_eq!(
        running.read(&format!("/subjects/{SUBJECT}/versions")).await,
        json!([1, 2])
    );

    let latest = running.read(&format!("/subjects/{SUBJECT}/versions/latest")).await;
    let second = running.read(&format!("/subjects/{SUBJECT}/versions/2")).await;
    let first = running.read(&format!("/subjects/{SUBJECT}/versions/1")).await;
    assert_eq!((&latest, &latest["version"]), (&second, &json!(2)));
    assert_eq!(latest["id"].as_u64(), first["id"].as_u64().map(|id| id + 1));
    let fields = |schema: &Value| -> Vec<String> {
        let schema: Value = serde_json::from_str(schema["schema"].as_str().expect("text")).expect("JSON");
        let fields = schema["fields"].as_array().expect("fields");
        fields
            .iter()
            .map(|field| field["name"].as_str().expect("a name").to_owned())
            .collect()
    };
    assert_eq!(
        fields(&first),
        ["visitor_id", "event_time", "ingest_time", "city", "taste", "_deleted"]
    );
    assert_eq!(fields(&latest)[3..6], ["city", "taste", "age"]);

    let id = &latest["id"];
    let by_id = running
        .read(&format!("/schemas/ids/{id}?subject={SUBJECT}&fetchMaxId=false"))
        .await;
    assert_eq!(by_id, json!({"schema": latest["schema"]}));
    assert_eq!(
        running.read(&format!("/schemas/ids/{id}/versions")).await,
        json!([{"subject": SUBJECT, "version": 2}])
    );
    assert_eq!(
        running.read(&format!("/schemas/ids/{id}/subjects")).await,
        json!([SUBJECT])
    );
    let text = running.read(&format!("/schemas/ids/{id}/schema")).await;
    assert_eq!(text.to_string(), latest["schema"].as_str().expect("text"));
    assert_eq!(
        running.read(&format!("/subjects/{SUBJECT}/versions/2/schema")).await,
        text
    );
    let all = running.read("/schemas?subjectPrefix=forebay-rows-visitor").await;
    assert_eq!(all, json!([first, second]));
    let newest = running
        .read("/schemas?subjectPrefix=forebay-rows-visitor&latestOnly=true")
        .await;
    assert_eq!(newest, json!([latest]));
    assert_eq!(running.read("/schemas/types").await, json!(["AVRO"]));
}

#[tokio::test]
async fn the_media_type_is_that_of_schema_registries() {
    let running = Running::start().await;
    for path in ["/subjects", "/subjects/none/versions"] {
        let response = running.get(path).send().await.expect("an answer");
        assert_eq!(
            response.headers()["content-type"],
            "application/vnd.schemaregistry.v1+json"
        );
    }
}

#[tokio::test]
async fn a_schema_is_found_under_its_subject_and_no_other_is_registered() {
    let running = with_two_versions().await;
    let first = running.read(&format!("/subjects/{SUBJECT}/versions/1")).await;
    let media_type = "application/vnd.schemaregistry.v1+json";
    let post = |path: String, body: Value| {
        let request = running.client.post(running.server.url(&path));
        request.header("content-type", media_type).body(body.to_string())
    };
    // Written as people write it.
    let mut schema: Value = serde_json::from_str(first["schema"].as_str().expect("text")).expect("JSON");
    schema["doc"] = json!("rows of visitors");
    let sent =
        json!({"schema": serde_json::to_string_pretty(&schema).expect("JSON"), "schemaType": "AVRO", "references": []});
    let found = answer(
        post(
            format!("/subjects/{SUBJECT}?normalize=False&deleted=False"),
            sent.clone(),
        ),
        200,
    )
    .await;
    assert_eq!(found, first);
    let registered = answer(post(format!("/subjects/{SUBJECT}/versions"), sent.clone()), 200).await;
    assert_eq!(registered, json!({"id": first["id"]}));

    schema["fields"].as_array_mut().expect("fields").pop();
    let other = json!({"schema": schema.to_string()});
    let missing = answer(post(format!("/subjects/{SUBJECT}"), other.clone()), 404).await;
    assert_eq!(missing["error_code"], 40403);
    let refused = answer(post(format!("/subjects/{SUBJECT}/versions"), other.clone()), 422).await;
    assert_eq!(refused["error_code"], 42205);
    assert!(
        refused["message"]
            .as_str()
            .is_some_and(|text| text.contains("POST /v1/apply"))
    );
    let refused = answer(post("/subjects/mine-value/versions".to_owned(), other.clone()), 422).await;
    assert_eq!(refused["error_code"], 42205);
    let unknown = answer(post("/subjects/mine-value".to_owned(), other), 404).await;
    assert_eq!(unknown["error_code"], 40401);
    for broken in [
        json!({"schema": "{"}),
        json!({"schema": "{}", "schemaType": "PROTOBUF"}),
        json!([]),
    ] {
        let invalid = answer(post(format!("/subjects/{SUBJECT}"), broken), 422).await;
        assert_eq!(invalid["error_code"], 42201);
    }
    assert_eq!(
        running.read(&format!("/subjects/{SUBJECT}/versions")).await,
        json!([1, 2])
    );
}

#[tokio::test]
async fn what_is_not_there_has_confluents_numbers() {
    let running = with_two_versions().await;
    for (path, status, code) in [
        ("/subjects/none/versions".to_owned(), 404, 40401),
        (
            "/subjects/forebay-rows-visitor-profile-key/versions/latest".to_owned(),
            404,
            40401,
        ),
        (format!("/subjects/{SUBJECT}/versions/3"), 404, 40402),
        (format!("/subjects/{SUBJECT}/versions/70000"), 404, 40402),
        (format!("/subjects/{SUBJECT}/versions/0"), 422, 42202),
        (format!("/subjects/{SUBJECT}/versions/new"), 422, 42202),
        ("/schemas/ids/1".to_owned(), 404, 40403),
        ("/schemas/ids/x".to_owned(), 404, 40403),
        ("/schemas/ids/99999999999".to_owned(), 404, 40403),
        ("/config/none".to_owned(), 404, 40401),
        ("/mode/none".to_owned(), 404, 40401),
    ] {
        assert_eq!(fault(&running, &path, status).await, code, "{path}");
    }
}

#[tokio::test]
async fn compatibility_and_mode_are_told() {
    let running = with_two_versions().await;
    for path in ["/config".to_owned(), format!("/config/{SUBJECT}?defaultToGlobal=true")] {
        assert_eq!(
            running.read(&path).await,
            json!({"compatibilityLevel": "FULL_TRANSITIVE"})
        );
    }
    for path in ["/mode".to_owned(), format!("/mode/{SUBJECT}")] {
        assert_eq!(running.read(&path).await, json!({"mode": "READONLY"}));
    }
}

#[tokio::test]
async fn the_schemas_of_a_deleted_group_are_still_known_by_id() {
    let running = Running::start().await;
    running.applied(CONTRACT).await;
    let version = running.read(&format!("/subjects/{SUBJECT}/versions/1")).await;
    answer(running.delete("/v1/views/fair_price"), 200).await;
    answer(running.delete("/v1/groups/visitor.profile"), 200).await;
    assert_eq!(
        fault(&running, &format!("/subjects/{SUBJECT}/versions"), 404).await,
        40401
    );
    let by_id = running.read(&format!("/schemas/ids/{}", version["id"])).await;
    assert_eq!(by_id["schema"], version["schema"]);
}
