//! A closed loop: so many callers, each with a connection of its own that it keeps, and one request at a time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::future::join_all;
use hdrhistogram::Histogram;

use crate::figures::cpu_seconds;

/// Within a minute, in microseconds.
const LONGEST: u64 = 60_000_000;

pub struct Load {
    pub url: String,
    pub bodies: Arc<Vec<Bytes>>,
    /// The server's process id.
    pub process: u32,
    pub callers: usize,
    pub lasts: Duration,
}

pub struct Outcome {
    pub requests_per_second: f64,
    /// Of the server, for one request.
    pub processor_micros: f64,
    micros: Histogram<u64>,
}

impl Outcome {
    pub fn milliseconds(&self, quantile: f64) -> f64 {
        self.micros.value_at_quantile(quantile) as f64 / 1e3
    }
}

impl Load {
    pub async fn run(self) -> Outcome {
        let load = Arc::new(self);
        let process = load.process.to_string();
        let (began, cpu) = (Instant::now(), cpu_seconds(&process));
        let callers = (0..load.callers).map(|caller| tokio::spawn(load.clone().call(caller, began)));
        let callers = join_all(callers.collect::<Vec<_>>()).await;
        let (elapsed, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds(&process) - cpu);
        let mut micros = histogram();
        for caller in callers {
            micros.add(caller.expect("no panic")).expect("the same bounds");
        }
        let requests = micros.len() as f64;
        Outcome {
            requests_per_second: requests / elapsed,
            processor_micros: cpu * 1e6 / requests,
            micros,
        }
    }

    async fn call(self: Arc<Self>, caller: usize, began: Instant) -> Histogram<u64> {
        let client = reqwest::Client::builder().tcp_nodelay(true).build().expect("a client");
        let mut micros = histogram();
        let mut number = caller;
        while began.elapsed() < self.lasts {
            let start = Instant::now();
            let body = self.bodies[number % self.bodies.len()].clone();
            let sent = client.post(&self.url).header("content-type", "application/json");
            let answer = sent.body(body).send().await.expect("an answer");
            let status = answer.status();
            let body = answer.bytes().await.expect("a body");
            assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
            let took = u64::try_from(start.elapsed().as_micros()).unwrap_or(LONGEST);
            micros.saturating_record(took);
            number += 1;
        }
        micros
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, 3).expect("bounds")
}
