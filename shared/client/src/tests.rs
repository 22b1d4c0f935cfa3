//! The client against a server that fails as told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use bytes::Bytes;
use forebay_api::rows::RowsQuery;
use forebay_api::runs::RunState;
use futures::StreamExt;

use crate::{Client, ClientError, Retry};

async fn serve(router: Router) -> Client {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let retry = Retry {
        attempts: 3,
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(5),
    };
    Client::new(&url).expect("a client").with_retry(retry)
}

const RECEIPT: &str = r#"{"receipt": "r", "accepted": 1, "rejected_count": 0, "rejected": []}"#;

#[tokio::test]
async fn a_refused_change_is_repeated_with_the_same_key() {
    let keys = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&keys);
    let handler = move |headers: HeaderMap| {
        let mut keys = seen.lock().expect("not poisoned");
        keys.push(headers["idempotency-key"].clone());
        let (status, body) = match keys.len() {
            1 => (503, r#"{"status": 503, "code": "unavailable", "retry_after": 1}"#),
            2 => (429, "busy"),
            _ => (202, RECEIPT),
        };
        async move { (axum::http::StatusCode::from_u16(status).expect("a status"), body) }
    };
    let client = serve(Router::new().route("/v1/rows/a.b", post(handler))).await;
    let receipt = client
        .ingest("a.b", "application/json", Bytes::new(), &RowsQuery::default())
        .await
        .expect("taken");
    assert_eq!(receipt.accepted, 1);
    let keys = keys.lock().expect("not poisoned");
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| *key == keys[0]));
}

#[tokio::test]
async fn an_apply_that_may_have_happened_is_not_repeated() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let handler = move || {
        count.fetch_add(1, Ordering::Relaxed);
        async {
            (
                axum::http::StatusCode::SERVICE_UNAVAILABLE,
                r#"{"status": 503, "code": "unavailable"}"#,
            )
        }
    };
    let client = serve(Router::new().route("/v1/apply", post(handler))).await;
    let error = client.apply(Bytes::new(), false, Some(3)).await.expect_err("refused");
    assert_eq!(error.problem().map(|problem| &*problem.code), Some("unavailable"));
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn what_is_not_forebay_is_said_so() {
    let client = serve(Router::new().route("/v1/info", get(|| async { "<html>" }))).await;
    assert!(matches!(
        client.info().await,
        Err(ClientError::Unexpected { status: 200, .. })
    ));
    let nobody = Client::new("http://127.0.0.1:1")
        .expect("a client")
        .with_retry(*client.retry());
    assert!(matches!(nobody.info().await, Err(ClientError::Unreachable { .. })));
    for wrong in ["127.0.0.1:7070", "ftp://x", "http://"] {
        assert!(matches!(Client::new(wrong), Err(ClientError::Url { .. })), "{wrong}");
    }
}

#[tokio::test]
async fn the_events_of_a_run_are_runs() {
    let run = |state: &str| {
        format!(
            r#"{{"id": "1", "state": "{state}", "trigger": "request", "created_at": "2026-01-01T00:00:00Z", "tasks": []}}"#
        )
    };
    let text = format!(
        "event: run\ndata: {}\n\n: still here\n\nevent: run\ndata: {}\n\n",
        run("running"),
        run("succeeded")
    );
    let client = serve(Router::new().route("/v1/runs/1/events", get(|| async { text }))).await;
    let runs: Vec<_> = client
        .run_events("1")
        .await
        .expect("a stream")
        .map(|run| run.expect("a run").state)
        .collect()
        .await;
    assert_eq!(runs, [RunState::Running, RunState::Succeeded]);
}
