//! Rows per second over HTTP until they are visible online.
//!
//! `bench-ingest serve PORT FOLDER` takes rows of `product.value`, 50 float64 features (450 bytes as they are stored), into embedded stores.
//! `bench-ingest load URL PID FORMAT CONNECTIONS SECONDS` sends batches of 1,000 rows with `wait=online`, keys at random among a million, and tells the rate and
//! how much processor time process PID took for it. `run.sh` does both.
#![allow(clippy::expect_used)]

mod load;
mod no_tables;

use std::{error::Error, net::SocketAddr, path::Path, sync::Arc};

use forebay_catalog::Catalog;
use forebay_ingestion::{Deps, IntakeConfig, SinksConfig};
use forebay_model::SystemClock;
use forebay_server::{Server, ServerConfig, Shutdown};
use forebay_storage::{NothingRejected, ProcessAnnouncements, ProcessLeases, Provision};
use forebay_storage_embedded::{EmbeddedStores, Options};
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const FEATURES: usize = 50;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    match arguments[..] {
        ["serve", port, folder] => runtime.block_on(serve(port.parse()?, Path::new(folder))),
        ["load", url, pid, format, connections, seconds] => {
            runtime.block_on(load::run(url, pid, format, connections.parse()?, seconds.parse()?))
        }
        _ => Err("usage: bench-ingest serve PORT FOLDER | load URL PID json|ndjson|arrow CONNECTIONS SECONDS".into()),
    }
}

async fn serve(port: u16, folder: &Path) -> Result<(), Box<dyn Error>> {
    let features: Vec<Value> = (0..FEATURES)
        .map(|n| json!({"name": format!("f{n}"), "type": "float64"}))
        .collect();
    let definitions = json!([
        {"kind": "Domain", "name": "product"},
        {"kind": "Entity", "name": "product", "domain": "product", "keys": [{"name": "product_id", "type": "int64"}]},
        {"kind": "FeatureGroup", "name": "product.value", "entities": ["product"], "stores": ["online"], "features": features}
    ]);
    let snapshot = forebay_testkit::snapshot(&definitions);
    let stores = EmbeddedStores::open(folder, Options::default())?;
    for group in snapshot.groups() {
        stores.online.ensure(&group.schema).await?;
        stores.row_log.ensure(&group.schema).await?;
    }
    let service = forebay_ingestion::service(Deps {
        catalog: Arc::new(Catalog::new(snapshot)),
        row_log: stores.row_log.clone(),
        online: stores.online.clone(),
        offline: Arc::new(no_tables::NoTables),
        claims: stores.claims.clone(),
        leases: Arc::new(ProcessLeases::default()),
        announcements: Arc::new(ProcessAnnouncements::default()),
        rejected: Arc::new(NothingRejected),
        process: uuid::Uuid::new_v4(),
        clock: Arc::new(SystemClock),
        intake: IntakeConfig::default(),
        sinks: SinksConfig::default(),
    });
    let listen = SocketAddr::from(([127, 0, 0, 1], port));
    let config = ServerConfig {
        listen,
        ..ServerConfig::default()
    };
    let bound = Server::new(config).service(service).bind().await?;
    bound.serve(Shutdown::new(), &tokio::runtime::Handle::current()).await;
    Ok(())
}
