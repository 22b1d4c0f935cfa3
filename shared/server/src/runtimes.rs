//! Two runtimes: one that answers, and one for everything that may take long.

use std::future::Future;
use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Handle, Runtime};

/// How many threads each runtime has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuntimesConfig {
    /// Threads that accept connections and run handlers; 0 means half the cores, at least one.
    pub serving_threads: usize,
    /// Threads for the engine, compaction, sinks and runs; 0 means all cores.
    pub work_threads: usize,
}

/// The runtimes of a process. A long query or a compaction never delays an answer from memory.
#[derive(Debug)]
pub struct Runtimes {
    serving: Runtime,
    work: Runtime,
}

impl Runtimes {
    /// Starts the threads.
    pub fn new(config: &RuntimesConfig) -> io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let serving = if config.serving_threads == 0 {
            cores.div_ceil(2)
        } else {
            config.serving_threads
        };
        let work = if config.work_threads == 0 {
            cores
        } else {
            config.work_threads
        };
        Ok(Runtimes {
            serving: runtime("serving", serving)?,
            work: runtime("work", work)?,
        })
    }

    /// Runs the future, the server that is, on the serving runtime.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.serving.block_on(future)
    }

    /// Where tasks run, and what a handler spawns that takes long.
    pub fn work(&self) -> &Handle {
        self.work.handle()
    }

    /// Ends both; what still runs after the time is left behind.
    pub fn shutdown(self, timeout: Duration) {
        self.work.shutdown_timeout(timeout);
        self.serving.shutdown_timeout(Duration::ZERO);
    }
}

fn runtime(name: &str, threads: usize) -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name(format!("forebay-{name}"))
        .enable_all()
        .build()
}
