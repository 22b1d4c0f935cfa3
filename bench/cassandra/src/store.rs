//! The store in this process beside the bare driver in this process.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use forebay_rows::Layouts;
use forebay_storage::{OnlineAnswer, OnlineRead, OnlineStore, Provision};
use forebay_storage_cassandra::{CassandraOnlineStore, CassandraStores, migrate};
use futures::future::join_all;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    Arguments,
    bare::Bare,
    data::{self, Row},
    figures::{cpu_seconds, median},
};

/// Rows of one upsert.
const BATCH: usize = 1_000;

/// What is measured: a name, and keys per request for reads.
const MEASURED: [(&str, usize); 4] = [("write", 0), ("read 1", 1), ("read 10", 10), ("read 100", 100)];

pub struct Bench {
    arguments: Arguments,
    store: Arc<CassandraOnlineStore>,
    layouts: Arc<Layouts>,
    bare: Bare,
    rows: Vec<Row>,
}

impl Bench {
    /// Connects to a cluster in a keyspace of its own.
    pub async fn start(contact_point: &str, arguments: Arguments) -> Arc<Self> {
        let config = arguments.config(contact_point);
        migrate(&config, None).await.expect("migrated");
        let stores = CassandraStores::connect(&config, None).await.expect("connected");
        let schema = data::schema();
        stores.online.ensure(&schema).await.expect("made");
        let table = format!("{}.\"bench__prices\"", config.keyspace);
        Arc::new(Self {
            bare: Bare::connect(contact_point, &table, arguments.connections).await,
            store: stores.online.clone(),
            layouts: Layouts::new(schema),
            rows: data::rows(arguments.keys, 1),
            arguments,
        })
    }

    /// Both write and read the same, and read what the other wrote.
    pub async fn check(&self) {
        let (ours, theirs) = self.rows.split_at(self.rows.len() / 2);
        self.write_ours(ours).await;
        self.bare.write(theirs, self.arguments.at_once).await;
        for rows in self.rows.chunks(1_000) {
            let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
            let expected: Vec<_> = rows.iter().cloned().map(Some).collect();
            assert!(self.bare.read(&ids, 64).await == expected, "the bare driver reads them");
            assert!(self.read_ours(&ids).await == expected, "the store reads them");
        }
        println!("answers are equal for {} keys", self.rows.len());
    }

    async fn write_ours(&self, rows: &[Row]) {
        for rows in rows.chunks(BATCH) {
            let rows = data::packed(&self.layouts, rows);
            self.store
                .upsert(self.layouts.schema(), rows, None)
                .await
                .expect("upserted");
        }
    }

    async fn read_ours(&self, ids: &[i64]) -> Vec<Option<Row>> {
        let mut read = OnlineRead::new(self.layouts.schema().clone());
        ids.iter().for_each(|id| read.push(&data::encoded_key(*id)));
        let mut answer = OnlineAnswer::default();
        let deadline = Instant::now() + Duration::from_secs(30);
        self.store.read(&[read], deadline, &mut answer).await;
        ids.iter()
            .enumerate()
            .map(|(key, id)| {
                let row = answer.row(0, key).expect("it is read");
                row.map(|row| data::plain(&self.layouts, *id, row))
            })
            .collect()
    }

    pub async fn run(self: &Arc<Self>) {
        let mut rates = vec![[Vec::new(), Vec::new()]; MEASURED.len()];
        let mut costs = vec![[Vec::new(), Vec::new()]; MEASURED.len()];
        let mut event_time = 10;
        for round in 0..self.arguments.rounds {
            for ((measured, rates), costs) in MEASURED.iter().zip(&mut rates).zip(&mut costs) {
                let only = &self.arguments.only;
                if !only.is_empty() && !only.iter().any(|only| only == measured.0) {
                    continue;
                }
                let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
                for which in order {
                    if self.arguments.which.is_some_and(|only| only != which) {
                        continue;
                    }
                    event_time += 1;
                    let (done, seconds, cpu_seconds) = match measured {
                        ("write", _) => self.writes(which, event_time).await,
                        (_, keys) => self.reads(which, *keys).await,
                    };
                    rates[which].push(done / seconds);
                    costs[which].push(cpu_seconds * 1e6 / done);
                }
            }
            println!("round {} of {}", round + 1, self.arguments.rounds);
        }
        println!(
            "| | store, rows or keys/s | bare driver | ratio of medians | ratios by round | processor µs each, store / bare |"
        );
        println!("|---|---|---|---|---|---|");
        for (((name, _), [ours, theirs]), [our_cost, their_cost]) in MEASURED.iter().zip(&rates).zip(&costs) {
            if ours.is_empty() || theirs.is_empty() {
                println!("{name}: {ours:?} {theirs:?} processor us {our_cost:?} {their_cost:?}");
                continue;
            }
            let ratios: Vec<_> = ours
                .iter()
                .zip(theirs)
                .map(|(ours, theirs)| format!("{:.2}", ours / theirs))
                .collect();
            let (ours, theirs) = (median(ours), median(theirs));
            println!(
                "| {name} | {ours:.0} | {theirs:.0} | {:.2} | {} | {:.1} / {:.1} |",
                ours / theirs,
                ratios.join(" "),
                median(our_cost),
                median(their_cost)
            );
        }
    }

    /// Rows written by the store (0) or the bare driver (1), the seconds that it took and those of processor time; rows are made before the clock starts.
    async fn writes(&self, which: usize, event_time: i64) -> (f64, f64, f64) {
        let rows = data::rows(self.arguments.keys, event_time);
        let batches: Vec<_> = rows
            .chunks(BATCH)
            .map(|rows| (rows, data::packed(&self.layouts, rows)))
            .collect();
        let (start, cpu, mut written) = (Instant::now(), cpu_seconds("self"), 0);
        for (rows, packed) in batches.into_iter().cycle() {
            written += rows.len();
            if which == 0 {
                let upserted = self.store.upsert(self.layouts.schema(), packed, None);
                upserted.await.expect("upserted");
            } else {
                self.bare.write(rows, self.arguments.at_once).await;
            }
            if start.elapsed().as_secs_f64() >= self.arguments.seconds {
                break;
            }
        }
        (written as f64, start.elapsed().as_secs_f64(), cpu_seconds("self") - cpu)
    }

    /// Keys read, and seconds as above: as many requests beside each other as keep the same number of statements under way.
    async fn reads(self: &Arc<Self>, which: usize, keys: usize) -> (f64, f64, f64) {
        let (start, cpu) = (Instant::now(), cpu_seconds("self"));
        let requests = (self.arguments.at_once / keys).clamp(1, 64);
        let callers = (0..requests).map(|caller| {
            let bench = self.clone();
            tokio::spawn(async move { bench.caller(which, keys, caller, start).await })
        });
        let read: usize = join_all(callers.collect::<Vec<_>>())
            .await
            .into_iter()
            .map(|caller| caller.expect("no panic"))
            .sum();
        (read as f64, start.elapsed().as_secs_f64(), cpu_seconds("self") - cpu)
    }

    /// One request after the other; keys read.
    async fn caller(&self, which: usize, keys: usize, caller: usize, start: Instant) -> usize {
        let mut random = ChaCha8Rng::seed_from_u64(caller as u64);
        let mut read = 0;
        while start.elapsed().as_secs_f64() < self.arguments.seconds {
            let ids: Vec<i64> = (0..keys).map(|_| random.random_range(0..self.arguments.keys)).collect();
            let rows = if which == 0 {
                self.read_ours(&ids).await
            } else {
                self.bare.read(&ids, keys).await
            };
            assert!(rows.iter().all(Option::is_some), "every key has a row");
            read += keys;
        }
        read
    }
}
