//! The end of a server: nothing that was taken is cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt;
use tokio::time::timeout;

use super::things::{Gate, service};
use crate::{ServerConfig, TestServer};

#[tokio::test]
async fn requests_under_way_are_finished_and_tasks_stop_after_them() {
    let gate = Gate::default();
    let stopped = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stopped);
    let with_task = service(gate.clone()).task("sink", |stop| async move {
        stop.cancelled().await;
        told.store(true, Ordering::Relaxed);
    });
    let server = TestServer::start([with_task]).await;
    let waiting = tokio::spawn(reqwest::get(server.url("/v1/gated")));
    gate.entered.notified().await;
    let stopping = tokio::spawn(server.stop());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!stopping.is_finished() && !stopped.load(Ordering::Relaxed));
    gate.open.notify_waiters();
    let response = waiting.await.expect("joins").expect("an answer");
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["connection"], "close");
    assert_eq!(response.text().await.expect("the whole answer"), r#""through""#);
    timeout(Duration::from_secs(5), stopping)
        .await
        .expect("it ends")
        .expect("joins");
    assert!(stopped.load(Ordering::Relaxed));
}

#[tokio::test]
async fn a_draining_server_is_not_ready_and_then_gone() {
    let gate = Gate::default();
    let server = TestServer::start([service(gate.clone())]).await;
    let url = server.url("/readyz");
    server.drain();
    let response = reqwest::get(&url).await.expect("an answer");
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["connection"], "close");
    timeout(Duration::from_secs(5), server.stop()).await.expect("it ends");
    assert!(reqwest::get(&url).await.is_err());
}

#[tokio::test]
async fn endless_answers_end_with_the_server() {
    let server = TestServer::start([service(Gate::default())]).await;
    let mut ticks = reqwest::get(server.url("/v1/events"))
        .await
        .expect("an answer")
        .bytes_stream();
    ticks.next().await.expect("a tick").expect("bytes");
    server.drain();
    let rest = timeout(Duration::from_secs(5), ticks.collect::<Vec<_>>())
        .await
        .expect("it ends");
    assert!(rest.iter().all(Result::is_ok), "the end is an orderly one");
    timeout(Duration::from_secs(5), server.stop()).await.expect("it ends");
}

#[tokio::test]
async fn what_is_never_done_is_cut_at_the_deadline() {
    let gate = Gate::default();
    let config = ServerConfig {
        drain_deadline: Duration::from_millis(100),
        ..ServerConfig::default()
    };
    let stuck = service(gate.clone()).task("stuck", |_| std::future::pending());
    let server = TestServer::with_config([stuck], config).await;
    let waiting = tokio::spawn(reqwest::get(server.url("/v1/gated")));
    gate.entered.notified().await;
    timeout(Duration::from_secs(5), server.stop()).await.expect("it ends");
    waiting.abort();
}
