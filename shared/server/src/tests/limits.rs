//! What a server refuses, and when it stops waiting.

use std::time::Duration;

use futures::stream;
use reqwest::{Body, Client};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::things::{Gate, expected, problem, service};
use crate::{ServerConfig, TestServer};

async fn limited(config: ServerConfig) -> (TestServer, Gate) {
    let gate = Gate::default();
    (TestServer::with_config([service(gate.clone())], config).await, gate)
}

async fn socket(server: &TestServer) -> TcpStream {
    let address = server.url("").replace("http://", "");
    TcpStream::connect(address).await.expect("a connection")
}

async fn rest(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = timeout(Duration::from_secs(5), socket.read_to_end(&mut bytes))
        .await
        .expect("the end of the connection");
    read.expect("bytes");
    String::from_utf8(bytes).expect("UTF-8")
}

#[tokio::test]
async fn slow_headers_are_cut_and_idle_connections_are_not() {
    let config = ServerConfig {
        header_timeout: Duration::from_millis(100),
        idle_timeout: Duration::from_secs(60),
        ..ServerConfig::default()
    };
    let (server, _) = limited(config).await;

    let mut silent = socket(&server).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    silent
        .write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .expect("written");
    let mut answer = [0; 12];
    silent
        .read_exact(&mut answer)
        .await
        .expect("an answer after 300 ms of silence");
    assert_eq!(&answer, b"HTTP/1.1 200");

    let mut slow = socket(&server).await;
    let began = Instant::now();
    let dripping = async {
        slow.write_all(b"GET /livez HTTP/1.1\r\n").await?;
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            slow.write_all(b"x: y\r\n").await?;
        }
        std::io::Result::Ok(())
    };
    assert!(dripping.await.is_err(), "the connection is closed under the writer");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn silence_ends_after_the_idle_timeout() {
    let (server, _) = limited(ServerConfig {
        idle_timeout: Duration::from_millis(100),
        ..ServerConfig::default()
    })
    .await;
    let mut silent = socket(&server).await;
    assert_eq!(rest(&mut silent).await, "");
}

#[tokio::test]
async fn slow_bodies_are_not_cut_by_the_header_timeout_but_by_the_deadline() {
    let config = ServerConfig {
        header_timeout: Duration::from_millis(50),
        deadline: Duration::from_millis(400),
        ..ServerConfig::default()
    };
    let (server, _) = limited(config).await;
    let drip = |chunks: usize| {
        let chunks = stream::unfold(0, move |n| async move {
            tokio::time::sleep(Duration::from_millis(40)).await;
            (n < chunks).then_some((Ok::<_, std::io::Error>("x"), n + 1))
        });
        Client::new()
            .post(server.url("/v1/stream"))
            .body(Body::wrap_stream(chunks))
            .send()
    };
    assert_eq!(drip(4).await.expect("an answer").status(), 200);
    assert_eq!(problem(drip(100).await.expect("an answer")).await.0, 504);
}

#[tokio::test]
async fn bodies_over_the_limit_are_413() {
    let (server, _) = limited(ServerConfig {
        max_body_bytes: 100,
        ..ServerConfig::default()
    })
    .await;
    let send = |path: &str, body: Body| {
        let request = Client::new()
            .post(server.url(path))
            .header("content-type", "application/json");
        request.body(body).send()
    };
    let chunked = || Body::wrap_stream(stream::iter((0..100).map(|_| Ok::<_, std::io::Error>(vec![b' '; 64]))));
    let response = send("/v1/things", Body::from(vec![b' '; 101]))
        .await
        .expect("an answer");
    assert_eq!(problem(response).await, expected(413, "body_too_large", ""));
    for path in ["/v1/things", "/v1/bytes", "/v1/stream"] {
        let response = send(path, chunked()).await.expect("an answer");
        assert_eq!(problem(response).await, expected(413, "body_too_large", ""), "{path}");
    }
    // These routes have a limit of their own.
    assert_eq!(
        send("/v1/bytes", Body::from(vec![b' '; 1000]))
            .await
            .expect("an answer")
            .status(),
        200
    );
    assert_eq!(
        send("/v1/bytes", Body::from(vec![b' '; 1001]))
            .await
            .expect("an answer")
            .status(),
        413
    );
}

#[tokio::test]
async fn an_answer_over_the_deadline_is_504() {
    let (server, _) = limited(ServerConfig::default()).await;
    let response = reqwest::get(server.url("/v1/hurried")).await.expect("an answer");
    assert_eq!(problem(response).await, expected(504, "deadline_exceeded", ""));
}

#[tokio::test]
async fn more_requests_than_taken_are_refused_at_once() {
    let (server, gate) = limited(ServerConfig {
        max_requests: 2,
        ..ServerConfig::default()
    })
    .await;
    let ask = |path: &str| tokio::spawn(reqwest::get(server.url(path)));

    let first = ask("/v1/one-at-a-time");
    gate.entered.notified().await;
    let response = reqwest::get(server.url("/v1/one-at-a-time")).await.expect("an answer");
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(problem(response).await, expected(429, "full", ""));

    let second = ask("/v1/gated");
    gate.entered.notified().await;
    let response = reqwest::get(server.url("/v1/things")).await.expect("an answer");
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(problem(response).await, expected(503, "overloaded", ""));

    gate.open.notify_waiters();
    for waiting in [first, second] {
        assert_eq!(waiting.await.expect("joins").expect("an answer").status(), 200);
    }
    assert_eq!(
        reqwest::get(server.url("/v1/things"))
            .await
            .expect("an answer")
            .status(),
        200
    );
}

#[tokio::test]
async fn more_connections_than_taken_are_told_so() {
    let (server, _) = limited(ServerConfig {
        max_connections: 1,
        ..ServerConfig::default()
    })
    .await;
    let mut first = socket(&server).await;
    first
        .write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .expect("written");
    let mut answer = [0; 12];
    first.read_exact(&mut answer).await.expect("an answer");

    let mut second = socket(&server).await;
    second
        .write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .expect("written");
    let refused = rest(&mut second).await;
    assert!(
        refused.starts_with("HTTP/1.1 503 ") && refused.contains("retry-after: 1"),
        "{refused}"
    );
    assert!(refused.contains(r#""code":"overloaded""#), "{refused}");

    drop(first);
    let mut tries = 0;
    while reqwest::get(server.url("/livez")).await.expect("an answer").status() != 200 {
        tries += 1;
        assert!(tries < 100, "the place is free again");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
