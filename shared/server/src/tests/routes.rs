//! Answers and problems of an ordinary server.

use reqwest::{Client, Method, Response};
use serde_json::Value;

use super::things::{Gate, expected, problem, service};
use crate::{Service, TestServer};

async fn server() -> TestServer {
    TestServer::start([service(Gate::default())]).await
}

async fn post(server: &TestServer, body: impl Into<reqwest::Body>) -> Response {
    let request = Client::new()
        .post(server.url("/v1/things"))
        .header("content-type", "application/json");
    request.body(body).send().await.expect("an answer")
}

async fn get(server: &TestServer, path: &str) -> Response {
    reqwest::get(server.url(path)).await.expect("an answer")
}

#[tokio::test]
async fn json_goes_in_and_out() {
    let server = server().await;
    let response = post(&server, r#"{"size": 3, "parts": {"a": [1]}}"#).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/json");
    let thing: Value = response.json().await.expect("JSON");
    assert_eq!(thing, serde_json::json!({"size": 3, "parts": {"a": [1]}}));
}

#[tokio::test]
async fn broken_json_is_400() {
    let server = server().await;
    assert_eq!(
        problem(post(&server, "{").await).await,
        expected(400, "not_parseable", "")
    );
    assert_eq!(
        problem(post(&server, "").await).await,
        expected(400, "not_parseable", "")
    );
    assert_eq!(
        problem(post(&server, r#"{"size": 1} {}"#).await).await,
        expected(400, "not_parseable", "")
    );
    assert_eq!(
        problem(post(&server, b"{\"size\": \"\xff\"}".to_vec()).await).await,
        expected(400, "invalid_utf8", "")
    );
    assert_eq!(
        problem(post(&server, r#"{"size": 1, "size": 1}"#).await).await,
        expected(400, "duplicate_key", "/size")
    );
    let deep = format!(r#"{{"parts": {}"#, "[".repeat(100_000));
    assert_eq!(problem(post(&server, deep).await).await.1, "too_deep");
}

#[tokio::test]
async fn wrong_json_is_422_with_its_place() {
    let server = server().await;
    assert_eq!(
        problem(post(&server, r#"{"size": "x"}"#).await).await,
        expected(422, "wrong_type", "/size")
    );
    assert_eq!(
        problem(post(&server, r#"{"size": 256}"#).await).await,
        expected(422, "invalid_value", "/size")
    );
    assert_eq!(
        problem(post(&server, "{}").await).await,
        expected(422, "missing_field", "/size")
    );
    assert_eq!(
        problem(post(&server, r#"{"sise": 1}"#).await).await,
        expected(422, "unknown_field", "/sise")
    );
    let parts = r#"{"size": 1, "parts": {"a": [1, null]}}"#;
    assert_eq!(
        problem(post(&server, parts).await).await,
        expected(422, "wrong_type", "/parts/a/1")
    );
}

#[tokio::test]
async fn other_content_types_and_encodings_are_415() {
    let server = server().await;
    for (name, value) in [("content-type", "text/plain"), ("content-encoding", "gzip")] {
        let request = Client::new()
            .post(server.url("/v1/things"))
            .header(name, value)
            .body("{}");
        let response = request.send().await.expect("an answer");
        assert_eq!(problem(response).await.0, 415);
    }
}

#[tokio::test]
async fn unknown_parameters_are_refused_everywhere() {
    let server = server().await;
    assert_eq!(
        get(&server, "/v1/things?q=a%20b").await.text().await.expect("text"),
        r#""a b""#
    );
    assert_eq!(
        problem(get(&server, "/v1/things?p=a").await).await,
        expected(422, "unknown_parameter", "p")
    );
    assert_eq!(
        problem(get(&server, "/v1/things/1?verbose").await).await,
        expected(422, "unknown_parameter", "verbose")
    );
}

#[tokio::test]
async fn paths_and_methods_that_do_not_exist_are_problems() {
    let server = server().await;
    assert_eq!(
        problem(get(&server, "/v1/nothing").await).await,
        expected(404, "not_found", "")
    );
    assert_eq!(
        problem(get(&server, "/v1/things/x").await).await,
        expected(404, "not_found", "number")
    );
    assert_eq!(
        problem(get(&server, "/v1/things/%ff").await).await,
        expected(400, "invalid_utf8", "number")
    );
    let response = Client::new()
        .delete(server.url("/v1/things"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.headers()["allow"], "POST,GET,HEAD");
    assert_eq!(problem(response).await, expected(405, "method_not_allowed", ""));
    let response = Client::new()
        .post(server.url("/livez"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(problem(response).await.0, 405);
}

#[tokio::test]
async fn a_panic_is_a_500_that_tells_nothing_and_the_server_lives() {
    let server = server().await;
    let response = get(&server, "/v1/panic").await;
    assert_eq!(response.status(), 500);
    assert!(response.headers().contains_key("x-request-id"));
    let text = response.text().await.expect("text");
    assert!(
        text.contains(r#""code":"internal""#) && !text.contains("secret"),
        "{text}"
    );
    assert_eq!(get(&server, "/v1/things").await.status(), 200);
}

#[tokio::test]
async fn the_callers_request_id_comes_back() {
    let server = server().await;
    let ask = |id: &'static str| {
        Client::new()
            .get(server.url("/v1/things"))
            .header("x-request-id", id)
            .send()
    };
    assert_eq!(
        ask("mine-1").await.expect("an answer").headers()["x-request-id"],
        "mine-1"
    );
    let replaced = ask("two words").await.expect("an answer");
    assert_ne!(replaced.headers()["x-request-id"], "two words");
}

#[tokio::test]
async fn health_documents_and_metrics_are_there() {
    let server = server().await;
    assert_eq!(get(&server, "/livez").await.status(), 200);
    assert_eq!(get(&server, "/readyz").await.status(), 200);
    let document: Value = get(&server, "/openapi/things.json").await.json().await.expect("JSON");
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/v1/things"]["post"].is_object());
    let page = get(&server, "/docs/").await;
    assert_eq!(page.status(), 200);
    let settings = get(&server, "/docs/swagger-initializer.js")
        .await
        .text()
        .await
        .expect("text");
    assert!(settings.contains("/openapi/things.json"), "{settings}");
    let metrics = get(&server, "/metrics").await.text().await.expect("text");
    let counted = r#"forebay_http_requests_total{service="server",method="GET",route="/livez",status="200"}"#;
    assert!(metrics.contains(counted), "{metrics}");
    assert!(
        metrics.contains("forebay_http_request_duration_seconds_bucket"),
        "{metrics}"
    );
}

#[tokio::test]
async fn readiness_waits_for_conditions_and_tasks() {
    let waiting = Service::new("waiting", "", Default::default(), ())
        .ready_when("store", || Err("the store replays its log".to_owned()))
        .task("sink", |_| async {});
    let server = TestServer::start([waiting]).await;
    loop {
        let response = get(&server, "/readyz").await;
        assert_eq!(response.status(), 503);
        let body: Value = response.json().await.expect("JSON");
        assert_eq!(body["waiting_for"][0]["name"], "store");
        if body["waiting_for"][1]["name"] == "sink" {
            break;
        }
    }
    assert_eq!(get(&server, "/livez").await.status(), 200);
}

#[tokio::test]
async fn head_is_answered_like_get() {
    let server = server().await;
    let response = Client::new()
        .request(Method::HEAD, server.url("/v1/things"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), 200);
}
