//! Online serving on one core, and the floor under it: a bare handler that returns the same bytes.
//!
//! `bench-online serve PORT` serves 10,000 entities of 50 float64 features from the embedded store; `bench-online floor PORT URL` asks that server once for 1
//! and once for 100 entities and from then on returns those answers at `/1` and `/100`. `run.sh` puts load on both in turn.
#![allow(clippy::expect_used)]

use std::{error::Error, net::SocketAddr, sync::Arc};

use axum::{Router, body::Bytes, http::header::CONTENT_TYPE, routing::post};
use forebay_catalog::Catalog;
use forebay_model::SystemClock;
use forebay_online_serving::{Deps, Limits};
use forebay_server::{Server, ServerConfig, Shutdown};
use forebay_storage::{OnlineStore, Provision};
use forebay_testkit::{TempStores, packed_rows, snapshot};
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ENTITIES: usize = 10_000;
const FEATURES: usize = 50;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["serve", port] => serve(port.parse()?).await,
        ["floor", port, url] => floor(port.parse()?, url).await,
        _ => Err("usage: bench-online serve PORT | floor PORT URL".into()),
    }
}

fn address(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

async fn serve(port: u16) -> Result<(), Box<dyn Error>> {
    let features: Vec<Value> = (0..FEATURES)
        .map(|n| json!({"name": format!("f{n}"), "type": "float64"}))
        .collect();
    let definitions = json!([
        {"kind": "Domain", "name": "product"},
        {"kind": "Entity", "name": "product", "domain": "product", "keys": [{"name": "product_id", "type": "int64"}]},
        {"kind": "FeatureGroup", "name": "product.value", "entities": ["product"], "features": features}
    ]);
    let catalog = Arc::new(Catalog::new(snapshot(&definitions)));
    let stores = TempStores::open();
    let schema = Arc::clone(&catalog.current().group(&"product.value".parse()?)?.schema);
    stores.online.ensure(&schema).await?;
    let rows: Vec<Value> = (0..ENTITIES).map(row).collect();
    stores
        .online
        .upsert(&schema, packed_rows(&schema, &json!(rows), 0), None)
        .await?;
    stores.online.flush().await?;
    let deps = Deps {
        catalog,
        store: Arc::clone(&stores.online) as Arc<dyn OnlineStore>,
        clock: Arc::new(SystemClock),
        limits: Limits::default(),
    };
    let config = ServerConfig {
        listen: address(port),
        ..ServerConfig::default()
    };
    let bound = Server::new(config)
        .service(forebay_online_serving::service(deps))
        .bind()
        .await?;
    bound.serve(Shutdown::new(), &tokio::runtime::Handle::current()).await;
    Ok(())
}

/// Values of eight digits or so, as real ones have.
fn row(entity: usize) -> Value {
    let features = (0..FEATURES).map(|n| {
        let digits = (entity * 7_919 + n * 104_729) % 100_000_000 + 1;
        (format!("f{n}"), json!(digits as f64 / 1e8))
    });
    let mut row: serde_json::Map<String, Value> = features.collect();
    row.insert("product_id".into(), json!(entity));
    row.insert("event_time".into(), json!("2026-11-01T00:00:00Z"));
    Value::Object(row)
}

async fn floor(port: u16, url: &str) -> Result<(), Box<dyn Error>> {
    let features: Vec<String> = (0..FEATURES).map(|n| format!("product.value.f{n}")).collect();
    let mut routes = Router::new();
    for entities in [1_usize, 100] {
        let ids: Vec<usize> = (0..entities).collect();
        let request = json!({"features": features, "entities": {"product_id": ids}}).to_string();
        let client = reqwest::Client::new().post(format!("{url}/v1/online-features"));
        let answer = client
            .header("content-type", "application/json")
            .body(request)
            .send()
            .await?;
        let answer = answer.error_for_status()?.bytes().await?;
        eprintln!("/{entities}: {} bytes", answer.len());
        let handler = move |_request: Bytes| {
            let answer = answer.clone();
            async move { ([(CONTENT_TYPE, "application/json")], answer) }
        };
        routes = routes.route(&format!("/{entities}"), post(handler));
    }
    let listener = tokio::net::TcpListener::bind(address(port)).await?;
    axum::serve(listener, routes).await?;
    Ok(())
}
