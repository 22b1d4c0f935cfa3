//! A server whose services are still being made.

use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::things::{Gate, service};
use crate::{BindError, Server, ServerConfig, Service, Shutdown, Starting};

type Opening = oneshot::Sender<Result<Vec<Service>, String>>;

/// A server that waits for what the sender gives; its URL, its shutdown, and what becomes of it.
async fn waiting(
    starting: Starting,
) -> Result<(Opening, String, Shutdown, tokio::task::JoinHandle<Result<(), String>>), BindError> {
    let config = ServerConfig {
        listen: "127.0.0.1:0".parse().expect("an address"),
        drain_delay: Duration::from_millis(20),
        ..ServerConfig::default()
    };
    let bound = Server::new(config).bind().await?;
    let url = format!("http://{}", bound.address());
    let (sender, receiver) = oneshot::channel();
    let shutdown = Shutdown::new();
    let told = shutdown.clone();
    let serving = tokio::spawn(async move {
        let opening = async {
            receiver
                .await
                .unwrap_or_else(|_| Err("nobody opens anything".to_owned()))
        };
        bound.serve_when(opening, &starting, told, &Handle::current()).await
    });
    Ok((sender, url, shutdown, serving))
}

#[tokio::test]
async fn it_lives_says_what_it_waits_for_and_becomes_ready() {
    let starting = Starting::default();
    starting.waits_for("cassandra", "at 127.0.0.1:9042: connection refused");
    let (open, url, shutdown, serving) = waiting(starting.clone()).await.expect("a free port");
    // One connection from before the start to after it.
    let client = reqwest::Client::new();
    let get = async |path: &str| {
        let answer = client.get(format!("{url}{path}")).send().await.expect("an answer");
        (
            answer.status().as_u16(),
            answer.headers().clone(),
            answer.text().await.expect("a body"),
        )
    };
    assert_eq!(get("/livez").await.0, 200);
    let (status, _, body) = get("/readyz").await;
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, &body["status"]), (503, &Value::from("not_ready")));
    let said = &body["waiting_for"][1];
    assert_eq!(said["name"], "cassandra");
    assert_eq!(said["detail"], "at 127.0.0.1:9042: connection refused");
    let (status, headers, body) = get("/v1/events").await;
    assert_eq!(
        (status, &headers["retry-after"]),
        (503, &"1".parse().expect("a header"))
    );
    assert!(body.contains("it waits for cassandra: at 127.0.0.1:9042"), "{body}");

    starting.found("cassandra");
    assert!(open.send(Ok(vec![service(Gate::default())])).is_ok());
    for _ in 0..500 {
        if get("/readyz").await.0 == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(get("/readyz").await.0, 200);
    assert_eq!(get("/v1/nothing").await.0, 404);
    shutdown.drain();
    let ended = timeout(Duration::from_secs(5), serving).await.expect("it ends");
    assert_eq!(ended.expect("joins"), Ok(()));
}

#[tokio::test]
async fn a_shutdown_while_it_waits_ends_at_once() {
    let (open, url, shutdown, serving) = waiting(Starting::default()).await.expect("a free port");
    assert_eq!(
        reqwest::get(format!("{url}/livez")).await.expect("an answer").status(),
        200
    );
    shutdown.drain();
    let ended = timeout(Duration::from_secs(1), serving).await.expect("it ends");
    assert_eq!(ended.expect("joins"), Ok(()));
    drop(open);
}

#[tokio::test]
async fn what_cannot_be_opened_ends_it() {
    let (open, _, _, serving) = waiting(Starting::default()).await.expect("a free port");
    assert!(open.send(Err("the data directory is in use".to_owned())).is_ok());
    let ended = timeout(Duration::from_secs(1), serving).await.expect("it ends");
    assert_eq!(ended.expect("joins"), Err("the data directory is in use".to_owned()));
}
