//! Requests over HTTP: to the services, and to a handler over the bare driver; each server a process of its own, on the same table.

mod bare_server;
mod forebay;
mod load;
mod requests;

use std::time::Duration;

use serde_json::Value;

pub use self::bare_server::{BareArguments, serve_bare};
use self::{
    bare_server::BareServer,
    forebay::Forebay,
    load::{Load, Outcome},
};
use crate::{Arguments, bare::Bare, data, figures::median};

/// 2026-01-01, the event time of the rows at the beginning.
const BEGIN: i64 = 1_767_225_600_000_000;

/// What is measured: a name, and keys or rows of a request.
const READS: [(&str, usize); 3] = [("read 1", 1), ("read 10", 10), ("read 100", 100)];
const WRITES: [(&str, usize); 2] = [("write 1", 1), ("write 1000", 1_000)];

struct Peers {
    forebay: Forebay,
    bare: BareServer,
    client: reqwest::Client,
}

pub async fn run(contact_point: &str, arguments: &Arguments) {
    let config = arguments.config(contact_point);
    let client = reqwest::Client::new();
    let forebay = Forebay::start(&config, arguments.threads, &client).await;
    let table = format!("{}.\"bench__prices\"", config.keyspace);
    Bare::connect(contact_point, &table, arguments.connections)
        .await
        .write(&data::rows(arguments.keys, BEGIN), arguments.at_once)
        .await;
    let bare = BareServer::start(contact_point, &table, arguments, &client).await;
    let peers = Peers { forebay, bare, client };
    peers.check(arguments.keys).await;
    peers.measure(arguments).await;
}

impl Peers {
    /// Both answer the same, and read what the other wrote.
    async fn check(&self, keys: i64) {
        let mut compared = 0;
        for (round, (_, size)) in READS.iter().chain(&WRITES).enumerate() {
            let event_time = BEGIN + 1_000_000 * (1 + round as i64);
            let writer = match round % 2 {
                0 => self.forebay.writes(),
                _ => self.bare.writes(),
            };
            let rows = requests::rows(*size, keys, event_time);
            let written = self.client.post(writer).header("content-type", "application/json");
            let written = written.body(requests::write(&rows)).send().await.expect("an answer");
            let status = written.status();
            assert_eq!(status, 200, "{}", written.text().await.unwrap_or_default());
            let ids: Vec<i64> = rows.iter().map(|row| row.id).take(100).collect();
            let (ours, theirs) = (
                self.answer(self.forebay.reads(), &ids).await,
                self.answer(self.bare.reads(), &ids).await,
            );
            assert_eq!(ours, theirs, "both answer the same");
            let values = &ours["results"][1]["values"];
            let expected: Vec<f64> = rows.iter().map(|row| row.features[0]).take(100).collect();
            assert_eq!(*values, Value::from(expected), "and what was written");
            compared += ids.len();
        }
        println!("over HTTP: answers are equal for {compared} keys");
    }

    async fn answer(&self, url: &str, ids: &[i64]) -> Value {
        let asked = self.client.post(url).header("content-type", "application/json");
        let answer = asked.body(requests::read(ids)).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        answer.json().await.expect("JSON")
    }

    async fn measure(&self, arguments: &Arguments) {
        println!(
            "| over HTTP, {} callers | Forebay, keys or rows/s | bare handler | ratio of medians | ratios by round | request p50 / p99 ms | bare | processor µs of the server each / bare |",
            arguments.callers
        );
        println!("|---|---|---|---|---|---|---|---|");
        let mut event_time = BEGIN + 60_000_000;
        for (kind, measured) in [("reads", &READS[..]), ("writes", &WRITES[..])] {
            for (name, size) in measured {
                let only = &arguments.only;
                if !only.is_empty() && !only.iter().any(|only| only == name) {
                    continue;
                }
                let mut outcomes = [Vec::new(), Vec::new()];
                for round in 0..arguments.rounds {
                    event_time += 1_000_000;
                    let bodies = match kind {
                        "reads" => requests::reads(*size, arguments.keys, event_time),
                        _ => requests::writes(*size, arguments.keys, event_time),
                    };
                    for which in if round % 2 == 0 { [0, 1] } else { [1, 0] } {
                        let (url, process) = match (kind, which) {
                            ("reads", 0) => (self.forebay.reads(), self.forebay.process()),
                            ("reads", _) => (self.bare.reads(), self.bare.process()),
                            (_, 0) => (self.forebay.writes(), self.forebay.process()),
                            _ => (self.bare.writes(), self.bare.process()),
                        };
                        let load = Load {
                            url: url.to_owned(),
                            bodies: bodies.clone(),
                            process,
                            callers: arguments.callers,
                            lasts: Duration::from_secs_f64(arguments.seconds),
                        };
                        outcomes[which].push(load.run().await);
                    }
                }
                print(name, *size, &outcomes);
            }
        }
    }
}

fn print(name: &str, size: usize, outcomes: &[Vec<Outcome>; 2]) {
    let of =
        |which: usize, figure: &dyn Fn(&Outcome) -> f64| -> Vec<f64> { outcomes[which].iter().map(figure).collect() };
    let rates = [0, 1].map(|which| of(which, &|outcome| outcome.requests_per_second * size as f64));
    let ratios: Vec<_> = rates[0]
        .iter()
        .zip(&rates[1])
        .map(|(ours, theirs)| format!("{:.2}", ours / theirs))
        .collect();
    let latency = |which: usize| {
        let at = |quantile: f64| median(&of(which, &|outcome| outcome.milliseconds(quantile)));
        format!("{:.2} / {:.2}", at(0.5), at(0.99))
    };
    let cost = |which: usize| median(&of(which, &|outcome| outcome.processor_micros / size as f64));
    let [ours, theirs] = [median(&rates[0]), median(&rates[1])];
    println!(
        "| {name} | {ours:.0} | {theirs:.0} | {:.2} | {} | {} | {} | {:.1} / {:.1} |",
        ours / theirs,
        ratios.join(" "),
        latency(0),
        latency(1),
        cost(0),
        cost(1)
    );
}
