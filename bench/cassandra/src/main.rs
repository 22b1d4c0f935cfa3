//! Online rows through Forebay beside a program that sends the same statements through the bare driver, in turn: the store in this process, and the services over
//! HTTP.

mod bare;
mod data;
mod figures;
mod over_http;
mod store;

use clap::{Parser, Subcommand};
use forebay_storage_cassandra::CassandraConfig;
use forebay_testbed::{Cassandra, CassandraOptions};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the online store on Cassandra beside the bare driver.
#[derive(Clone, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    /// Measures over HTTP too: the services of the program that FOREBAY_BIN names, beside a handler over the bare driver.
    #[arg(long)]
    over_http: bool,
    /// Measures over HTTP alone.
    #[arg(long)]
    over_http_only: bool,
    /// Callers over HTTP, each with a connection that it keeps and one request at a time.
    #[arg(long, default_value_t = 16)]
    callers: usize,
    /// Threads that answer, of either server.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// `host:port` of a node; without it, one is started.
    #[arg(long)]
    contact_point: Option<String>,
    /// Rounds; each measures both, and in the other order than the one before.
    #[arg(long, default_value_t = 6)]
    rounds: usize,
    /// Seconds of one measurement.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Keys in the table.
    #[arg(long, default_value_t = 50_000)]
    keys: i64,
    /// Statements under way at once.
    #[arg(long, default_value_t = 256)]
    at_once: usize,
    /// Measures only these, such as `write`.
    #[arg(long)]
    only: Vec<String>,
    /// Only the store (0) or only the bare driver (1), for profiling.
    #[arg(long)]
    which: Option<usize>,
    /// Milliseconds after which a read is sent to another replica too, by the store: there is none here, so this shows what the timer costs.
    #[arg(long, default_value_t = CassandraConfig::default().speculative_after_ms)]
    speculative_after_ms: u64,
    /// Connections to the node.
    #[arg(long, default_value_t = 2)]
    connections: usize,
}

/// What else this program is.
#[derive(Clone, Subcommand)]
enum Role {
    /// The handler over the bare driver, which the measurement starts.
    ServeBare(over_http::BareArguments),
}

impl Arguments {
    /// Settings for a keyspace of its own.
    fn config(&self, contact_point: &str) -> CassandraConfig {
        CassandraConfig {
            contact_points: vec![contact_point.to_owned()],
            keyspace: format!("bench_{}", rand::random::<u32>()),
            replication_factor: 1,
            concurrent_writes: self.at_once,
            concurrent_reads: self.at_once,
            connections: self.connections,
            speculative_after_ms: self.speculative_after_ms,
            ..CassandraConfig::default()
        }
    }
}

fn main() {
    let arguments = Arguments::parse();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    match arguments.role.clone() {
        Some(Role::ServeBare(bare)) => {
            let runtime = runtime.worker_threads(bare.threads).enable_all().build();
            runtime.expect("a runtime").block_on(over_http::serve_bare(bare));
        }
        None => {
            let runtime = runtime.enable_all().build();
            runtime.expect("a runtime").block_on(measure(arguments));
        }
    }
}

async fn measure(arguments: Arguments) {
    let mut contact_point = arguments.contact_point.clone();
    let mut started = None;
    if contact_point.is_none() {
        let server = tokio::task::spawn_blocking(|| Cassandra::start(CassandraOptions::default()));
        let server = server.await.expect("no panic").expect("a server");
        contact_point = Some(server.address().to_string());
        started = Some(server);
    }
    let contact_point = contact_point.expect("named or started");
    if !arguments.over_http_only {
        let bench = store::Bench::start(&contact_point, arguments.clone()).await;
        bench.check().await;
        bench.run().await;
    }
    if arguments.over_http || arguments.over_http_only {
        over_http::run(&contact_point, &arguments).await;
    }
    drop(started);
}
