//! What a team would write instead of Forebay: a handler that parses the same requests, sends the same statements through the bare driver, and gives the same
//! answers. It knows its one table and its 20 features when it is compiled, keeps no log and checks nothing.

use std::{collections::HashMap, net::SocketAddr, process::Command, sync::Arc};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    routing::{get, post},
    serve::ListenerExt,
};
use clap::Args;
use forebay_model::Timestamp;
use forebay_testbed::{Port, Supervised};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::forebay::until;
use crate::{
    Arguments,
    bare::Bare,
    data::{FEATURES, Row},
};

/// Of the handler's process.
#[derive(Args, Clone)]
pub struct BareArguments {
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long)]
    contact_point: String,
    /// With its keyspace.
    #[arg(long)]
    table: String,
    #[arg(long)]
    connections: usize,
    #[arg(long)]
    at_once: usize,
    #[arg(long)]
    pub threads: usize,
}

/// The running process. It ends when this is dropped.
pub struct BareServer {
    process: Supervised,
    reads: String,
    writes: String,
    _port: Port,
    _folder: TempDir,
}

impl BareServer {
    pub async fn start(contact_point: &str, table: &str, arguments: &Arguments, client: &reqwest::Client) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = Port::take().expect("a port");
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command
            .args(["serve-bare", "--listen", &port.address().to_string()])
            .args(["--contact-point", contact_point, "--table", table])
            .args(["--connections", &arguments.connections.to_string()])
            .args(["--at-once", &arguments.at_once.to_string()])
            .args(["--threads", &arguments.threads.to_string()]);
        let log = folder.path().join("log");
        let process = Supervised::start(&command, &log, folder.path()).expect("it starts");
        let url = format!("http://{}", port.address());
        until("the bare handler is ready", async || {
            client.get(&url).send().await.is_ok()
        })
        .await;
        Self {
            process,
            reads: format!("{url}/online-features"),
            writes: format!("{url}/rows"),
            _port: port,
            _folder: folder,
        }
    }

    pub fn reads(&self) -> &str {
        &self.reads
    }

    /// Answers when the rows can be read.
    pub fn writes(&self) -> &str {
        &self.writes
    }

    pub fn process(&self) -> u32 {
        self.process.id()
    }
}

struct Shared {
    bare: Bare,
    at_once: usize,
    /// Each feature's place, by the name that requests have.
    features: HashMap<String, usize>,
}

/// Serves until the process is ended.
pub async fn serve_bare(arguments: BareArguments) {
    let shared = Shared {
        bare: Bare::connect(&arguments.contact_point, &arguments.table, arguments.connections).await,
        at_once: arguments.at_once,
        features: (0..FEATURES)
            .map(|feature| (format!("bench.prices.f{feature}"), feature))
            .collect(),
    };
    let routes = Router::new()
        .route("/", get(async || "ready"))
        .route("/online-features", post(online_features))
        .route("/rows", post(rows))
        .layer(DefaultBodyLimit::max(64 << 20))
        .with_state(Arc::new(shared));
    let listener = tokio::net::TcpListener::bind(arguments.listen).await.expect("the port");
    let listener = listener.tap_io(|connection| connection.set_nodelay(true).expect("no delay"));
    axum::serve(listener, routes).await.expect("served");
}

#[derive(Deserialize)]
struct Asked {
    features: Vec<String>,
    entities: Entities,
}

#[derive(Deserialize)]
struct Entities {
    product_id: Vec<i64>,
}

#[derive(Serialize)]
struct Answer {
    metadata: Metadata,
    results: Vec<Column>,
}

#[derive(Serialize)]
struct Metadata {
    feature_names: Vec<String>,
    types: Vec<&'static str>,
    view_revision: Option<u64>,
}

#[derive(Serialize)]
struct Column {
    values: Values,
    statuses: Vec<&'static str>,
    event_timestamps: Vec<Option<Arc<str>>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Values {
    Keys(Vec<i64>),
    Features(Vec<Option<f64>>),
}

async fn online_features(
    State(shared): State<Arc<Shared>>,
    Json(asked): Json<Asked>,
) -> Result<Json<Answer>, StatusCode> {
    let places: Option<Vec<usize>> = asked
        .features
        .iter()
        .map(|feature| shared.features.get(feature).copied())
        .collect();
    let places = places.ok_or(StatusCode::UNPROCESSABLE_ENTITY)?;
    let ids = asked.entities.product_id;
    let rows = shared.bare.read(&ids, ids.len()).await;
    let times: Vec<Option<Arc<str>>> = rows
        .iter()
        .map(|row| {
            let row = row.as_ref()?;
            Some(Timestamp::from_micros(row.event_time).to_string().into())
        })
        .collect();
    let mut results = vec![Column {
        statuses: vec!["PRESENT"; ids.len()],
        event_timestamps: vec![None; ids.len()],
        values: Values::Keys(ids),
    }];
    results.extend(places.into_iter().map(|place| {
        let values: Vec<Option<f64>> = rows
            .iter()
            .map(|row| row.as_ref().map(|row| row.features[place]))
            .collect();
        let status = |value: &Option<f64>| if value.is_some() { "PRESENT" } else { "NOT_FOUND" };
        Column {
            statuses: values.iter().map(status).collect(),
            event_timestamps: times.clone(),
            values: Values::Features(values),
        }
    }));
    let mut types = vec!["float64"; asked.features.len()];
    types.insert(0, "int64");
    let mut feature_names = asked.features;
    feature_names.insert(0, "product_id".to_owned());
    Ok(Json(Answer {
        metadata: Metadata {
            feature_names,
            types,
            view_revision: None,
        },
        results,
    }))
}

macro_rules! sent_row {
    ($($feature:ident),*) => {
        #[derive(Deserialize)]
        struct SentRow {
            product_id: i64,
            event_time: String,
            $($feature: f64),*
        }

        impl SentRow {
            fn row(&self, sequence: i64) -> Option<Row> {
                Some(Row {
                    id: self.product_id,
                    event_time: Timestamp::parse(&self.event_time).ok()?.micros(),
                    sequence,
                    features: [$(self.$feature),*],
                })
            }
        }
    };
}

sent_row!(
    f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19
);

#[derive(Deserialize)]
struct Sent {
    rows: Vec<SentRow>,
}

/// Answers when Cassandra has all rows.
async fn rows(State(shared): State<Arc<Shared>>, Json(sent): Json<Sent>) -> StatusCode {
    let sequence = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .map_or(0, |time| time.as_micros() as i64);
    let rows: Option<Vec<Row>> = sent.rows.iter().map(|row| row.row(sequence)).collect();
    let Some(rows) = rows else {
        return StatusCode::UNPROCESSABLE_ENTITY;
    };
    shared.bare.write(&rows, shared.at_once).await;
    StatusCode::OK
}
