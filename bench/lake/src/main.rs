//! Rows per second from the row log into a Delta table on the local disk.
//!
//! `bench-lake ROWS FOLDER` first appends rows of `product.value`, 50 float64 features (450 bytes as they are stored, prices with two decimals), keys at random
//! among a million, to the embedded row log, synced as callers' rows are. Then it starts ingestion, whose offline sink has all of them to bring into the table,
//! and tells how long it took from the first commit to the last, and how much processor time.
#![allow(clippy::expect_used)]

use std::{
    error::Error,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use forebay_catalog::Catalog;
use forebay_ingestion::{Deps, IntakeConfig, SinksConfig};
use forebay_model::{Clock, GroupSchema, SystemClock, Timestamp, entity_key::append};
use forebay_rows::{Layouts, RowsWriter};
use forebay_server::{Server, ServerConfig, Shutdown};
use forebay_storage::{
    BatchId, LogRow, NothingRejected, OfflineStore, ProcessAnnouncements, ProcessLeases, Provision, RowLog,
};
use forebay_storage_delta::{DeltaStore, LakeLocations};
use forebay_storage_embedded::{EmbeddedStores, Options};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const FEATURES: usize = 50;
const KEYS: i64 = 1_000_000;
/// Rows of one request.
const REQUEST: u64 = 1_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [rows, folder] = &arguments[..] else {
        return Err("usage: bench-lake ROWS FOLDER".into());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(run(rows.parse()?, Path::new(folder)))
}

async fn run(rows: u64, folder: &Path) -> Result<(), Box<dyn Error>> {
    let catalog = Arc::new(Catalog::new(forebay_testkit::snapshot(&definitions())));
    let group = catalog.current().groups().next().expect("a group").clone();
    let stores = EmbeddedStores::open(&folder.join("data"), Options::default())?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let lake = DeltaStore::new(LakeLocations::new(&folder.join("lake"), &[])?, clock.clone());
    stores.row_log.ensure(&group.schema).await?;
    lake.ensure(&group.schema).await?;
    fill(&*stores.row_log, &group.schema, rows, clock.now()).await?;

    let service = forebay_ingestion::service(Deps {
        catalog,
        row_log: stores.row_log.clone(),
        online: stores.online.clone(),
        offline: Arc::new(lake.clone()),
        claims: stores.claims.clone(),
        leases: Arc::new(ProcessLeases::default()),
        announcements: Arc::new(ProcessAnnouncements::default()),
        rejected: Arc::new(NothingRejected),
        process: uuid::Uuid::new_v4(),
        clock,
        intake: IntakeConfig::default(),
        // The last commit is not full: it is made soon after its rows were read.
        sinks: SinksConfig {
            flush_interval_ms: 500,
            ..SinksConfig::default()
        },
    });
    let config = ServerConfig {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        ..ServerConfig::default()
    };
    let bound = Server::new(config).service(service).bind().await?;
    let serving = tokio::spawn(async move { bound.serve(Shutdown::new(), &tokio::runtime::Handle::current()).await });
    let first = committed(&lake, &group.schema, 1).await?;
    let (began, before) = (Instant::now(), processor_time()?);
    committed(&lake, &group.schema, rows).await?;
    let (took, processor) = (began.elapsed().as_secs_f64(), processor_time()? - before);
    serving.abort();
    let version = lake.version(&group.schema).await?;
    let measured = rows - first;
    let rate = |seconds: f64| (measured as f64 / seconds).round();
    println!(
        "{measured} rows in {took:.2} s: {} rows/s; {processor:.2} s of processor time: {} rows/s; {version} versions",
        rate(took),
        rate(processor)
    );
    Ok(())
}

/// Waits until the table has taken so many rows, and tells how many it has.
async fn committed(lake: &DeltaStore, schema: &Arc<GroupSchema>, rows: u64) -> Result<u64, Box<dyn Error>> {
    loop {
        let committed = lake.positions(schema, 1).await?[0];
        if committed >= rows {
            return Ok(committed);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn definitions() -> Value {
    let features: Vec<Value> = (0..FEATURES)
        .map(|n| json!({"name": format!("f{n}"), "type": "float64"}))
        .collect();
    json!([
        {"kind": "Domain", "name": "product"},
        {"kind": "Entity", "name": "product", "domain": "product", "keys": [{"name": "product_id", "type": "int64"}]},
        {"kind": "FeatureGroup", "name": "product.value", "entities": ["product"], "stores": ["offline"], "features": features}
    ])
}

async fn fill(log: &dyn RowLog, schema: &Arc<GroupSchema>, rows: u64, now: Timestamp) -> Result<(), Box<dyn Error>> {
    let layouts = Layouts::new(schema.clone());
    let mut random = ChaCha8Rng::seed_from_u64(7);
    for _ in 0..rows.div_ceil(REQUEST) {
        let mut writer = RowsWriter::with_capacity(layouts.clone(), 1_000);
        for _ in 0..REQUEST {
            writer.begin();
            append::i64(writer.key(), random.random_range(0..KEYS));
            for slot in 0..FEATURES {
                writer.put_f64(slot, f64::from(random.random_range(0..100_000_000u32)) / 100.0);
            }
            let event_time = Timestamp::from_micros(now.micros() - random.random_range(0..86_400_000_000i64));
            writer.finish(event_time, now, false)?;
        }
        let batch = writer.into_batch().freeze();
        let batch = batch.iter().map(|(key, row)| LogRow { key, row }).collect();
        log.append(schema, BatchId(uuid::Uuid::new_v4()), batch).await?;
    }
    Ok(())
}

/// Seconds of processor time that this process has taken.
fn processor_time() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit_once(')').ok_or("no name in /proc/self/stat")?.1;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    // The kernel counts in hundredths of a second for everybody.
    Ok(ticks / 100.0)
}
