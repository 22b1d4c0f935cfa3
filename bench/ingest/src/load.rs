use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arrow::{
    array::{ArrayRef, Float64Array, Int64Array, RecordBatch, TimestampMicrosecondArray},
    ipc::writer::StreamWriter,
};
use bytes::Bytes;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::FEATURES;

const ROWS: usize = 1_000;
const KEYS: i64 = 1_000_000;
/// Bodies are made before the clock runs and sent over and over.
const BODIES: usize = 1_000;

pub async fn run(url: &str, pid: &str, format: &str, connections: usize, seconds: u64) -> Result<(), Box<dyn Error>> {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let bodies: Vec<Bytes> = (0..BODIES)
        .map(|nth| body(format, nth as i64, &mut random))
        .collect::<Result<_, _>>()?;
    let media_type = match format {
        "json" => "application/json",
        "ndjson" => "application/x-ndjson",
        _ => "application/vnd.apache.arrow.stream",
    };
    let bytes = bodies[0].len() / ROWS;
    let (bodies, next) = (Arc::new(bodies), Arc::new(AtomicU64::new(0)));
    let (sent, repeated) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let url = format!("{url}/v1/rows/product.value?wait=online&timeout=30s");
    let client = reqwest::Client::new();
    let send = move |bodies: Arc<Vec<Bytes>>, number: usize| {
        client
            .post(&url)
            .header("content-type", media_type)
            .body(bodies[number % BODIES].clone())
            .send()
    };
    let (began, before) = (Instant::now(), processor_time(pid)?);
    let end = began + Duration::from_secs(seconds);
    let mut workers = Vec::new();
    for _ in 0..connections {
        let (bodies, next, sent, repeated, send) = (
            bodies.clone(),
            next.clone(),
            sent.clone(),
            repeated.clone(),
            send.clone(),
        );
        workers.push(tokio::spawn(async move {
            let mut latencies = Vec::new();
            while Instant::now() < end {
                let start = Instant::now();
                let number = next.fetch_add(1, Ordering::Relaxed) as usize;
                match send(bodies.clone(), number).await.expect("an answer").status().as_u16() {
                    200 => {
                        sent.fetch_add(ROWS as u64, Ordering::Relaxed);
                        latencies.push(start.elapsed());
                    }
                    429 => {
                        repeated.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    other => panic!("answered {other}"),
                }
            }
            latencies
        }));
    }
    let mut latencies = Vec::new();
    for worker in workers {
        latencies.extend(worker.await?);
    }
    let (elapsed, took) = (began.elapsed().as_secs_f64(), processor_time(pid)? - before);
    latencies.sort_unstable();
    let at = |part: usize| latencies[(latencies.len() - 1) * part / 100].as_secs_f64() * 1e3;
    let rows = sent.load(Ordering::Relaxed) as f64;
    println!(
        "{format}: {:.0} rows/s, {:.0} rows per second of processor time, {bytes} bytes of body per row, a request p50 {:.0} ms p99 {:.0} ms, {} told to come back",
        rows / elapsed,
        rows / took,
        at(50),
        at(99),
        repeated.load(Ordering::Relaxed)
    );
    Ok(())
}

fn body(format: &str, nth: i64, random: &mut ChaCha8Rng) -> Result<Bytes, Box<dyn Error>> {
    let keys: Vec<i64> = (0..ROWS).map(|_| random.random_range(0..KEYS)).collect();
    // Prices with two decimals.
    let values: Vec<Vec<f64>> = (0..FEATURES)
        .map(|_| {
            (0..ROWS)
                .map(|_| f64::from(random.random_range(0..100_000_000)) / 100.0)
                .collect()
        })
        .collect();
    let micros = 1_767_225_600_000_000 + nth * 1_000_000;
    if format == "arrow" {
        let mut columns: Vec<(String, ArrayRef)> = vec![
            ("product_id".to_owned(), Arc::new(Int64Array::from(keys))),
            (
                "event_time".to_owned(),
                Arc::new(TimestampMicrosecondArray::from(vec![micros; ROWS])),
            ),
        ];
        for (nth, values) in values.into_iter().enumerate() {
            columns.push((format!("f{nth}"), Arc::new(Float64Array::from(values))));
        }
        let batch = RecordBatch::try_from_iter(columns)?;
        let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
        writer.write(&batch)?;
        return Ok(writer.into_inner()?.into());
    }
    let event_time = format!("2026-01-01T00:{:02}:{:02}.000000Z", nth / 60 % 60, nth % 60);
    let rows: Vec<String> = keys
        .iter()
        .enumerate()
        .map(|(row, key)| {
            let features: Vec<String> = values
                .iter()
                .enumerate()
                .map(|(nth, values)| format!("\"f{nth}\":{}", values[row]))
                .collect();
            format!(
                "{{\"product_id\":{key},\"event_time\":\"{event_time}\",{}}}",
                features.join(",")
            )
        })
        .collect();
    Ok(match format {
        "json" => format!("{{\"rows\":[{}]}}", rows.join(",")).into(),
        _ => rows.join("\n").into(),
    })
}

/// Seconds of processor time that a process has taken, its own and the system's for it.
fn processor_time(pid: &str) -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    // Fields 14 and 15 of proc(5), in hundredths of a second; the first two are cut off here.
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / 100.0)
}
