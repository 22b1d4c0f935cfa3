use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use rand::RngCore;
use serde_json::{Value, json};

use super::{
    Error, Store, Workload,
    machine::{anonymous_memory_mib, disk_mib, peak_memory_mib},
    open,
};

/// What a phase found, as JSON for the next process and for people.
pub type Report = Value;

/// Threads that read beside the merges.
const READERS: u64 = 2;

/// Fills the store with every key, in merges of the workload's size, ascending within a merge only.
///
/// # Errors
/// Whatever the store says.
pub fn load(candidate: &str, directory: &Path, workload: &Workload) -> Result<Report, Error> {
    let store = open(candidate, directory)?;
    let mut random = workload.random(0);
    let mut spent = Duration::ZERO;
    let chunk = workload.merge_rows as u64;
    for (merge, first) in (0..workload.keys).step_by(workload.merge_rows).enumerate() {
        let numbers = first..(first + chunk).min(workload.keys);
        let rows = workload.rows(&mut random, 0, numbers);
        let start = Instant::now();
        store.merge(&rows, merge as u64)?;
        spent += start.elapsed();
    }
    store.merge(&[], 0)?;
    drop(store);
    Ok(json!({
        "load_rows_per_s": per_second(workload.keys, spent),
        "disk_after_load_mib": disk_mib(directory),
    }))
}

/// Merges one after the other, first alone, then beside the readers; the readers also alone.
///
/// # Errors
/// Whatever the store says.
pub fn mix(candidate: &str, directory: &Path, workload: &Workload, seconds: u64) -> Result<Report, Error> {
    let store = open(candidate, directory)?;
    let store = store.as_ref();
    let alone = beside(store, workload, seconds, false, 1)?;
    let reads = readers_alone(store, workload, seconds.div_ceil(2), 1)?;
    let reads_hundred = readers_alone(store, workload, seconds.div_ceil(2), 100)?;
    let both = beside(store, workload, seconds * 2, true, 1)?;
    let both_hundred = beside(store, workload, seconds, true, 100)?;
    Ok(json!({
        "merges_alone": alone,
        "reads_alone": reads,
        "reads_alone_100": reads_hundred,
        "both": both,
        "both_100": both_hundred,
        "disk_after_mix_mib": disk_mib(directory),
        "peak_memory_mib": peak_memory_mib(),
        "anonymous_memory_mib": anonymous_memory_mib(),
    }))
}

fn readers_alone(store: &dyn Store, workload: &Workload, seconds: u64, keys: usize) -> Result<Report, Error> {
    let stop = AtomicBool::new(false);
    let start = Instant::now();
    let latencies = thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .map(|reader| {
                let stop = &stop;
                scope.spawn(move || read_until(store, workload, reader, keys, stop))
            })
            .collect();
        thread::sleep(Duration::from_secs(seconds));
        stop.store(true, Ordering::Relaxed);
        join(readers)
    })?;
    Ok(latency_report(&latencies, keys, start.elapsed()))
}

fn beside(
    store: &dyn Store,
    workload: &Workload,
    seconds: u64,
    with_readers: bool,
    keys: usize,
) -> Result<Report, Error> {
    let stop = AtomicBool::new(false);
    let mut random = workload.random(1);
    let first = store.position()? + 1;
    let start = Instant::now();
    let mut merges = Histogram::<u64>::new(3)?;
    let mut rows_merged = 0;
    let mut spent = Duration::ZERO;
    let latencies = thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .take(if with_readers { READERS as usize } else { 0 })
            .map(|reader| {
                let stop = &stop;
                scope.spawn(move || read_until(store, workload, reader, keys, stop))
            })
            .collect();
        let merged = (|| -> Result<(), Error> {
            for position in first.. {
                if start.elapsed() >= Duration::from_secs(seconds) {
                    break;
                }
                let rows = workload.merge(&mut random, position);
                let begun = Instant::now();
                store.merge(&rows, position)?;
                let took = begun.elapsed();
                spent += took;
                merges.record(took.as_micros() as u64)?;
                rows_merged += rows.len() as u64;
            }
            Ok(())
        })();
        stop.store(true, Ordering::Relaxed);
        let latencies = join(readers);
        merged.and(latencies)
    })?;
    Ok(json!({
        "merged_rows_per_s": per_second(rows_merged, spent),
        "merge_p50_ms": merges.value_at_quantile(0.5) as f64 / 1000.0,
        "merge_max_ms": merges.max() as f64 / 1000.0,
        "reads": latency_report(&latencies, keys, start.elapsed()),
    }))
}

type Reader<'scope> = thread::ScopedJoinHandle<'scope, Result<Histogram<u64>, Error>>;

fn join(readers: Vec<Reader<'_>>) -> Result<Histogram<u64>, Error> {
    let mut all = Histogram::new(3)?;
    for reader in readers {
        all.add(reader.join().map_err(|_| "a reader panicked")??)?;
    }
    Ok(all)
}

/// Reads `keys` random keys per snapshot and times each snapshot in nanoseconds, until told to stop.
fn read_until(
    store: &dyn Store,
    workload: &Workload,
    reader: u64,
    keys: usize,
    stop: &AtomicBool,
) -> Result<Histogram<u64>, Error> {
    let mut random = workload.random(100 + reader);
    let mut latencies = Histogram::new(3)?;
    let mut row = Vec::with_capacity(workload.row_bytes);
    while !stop.load(Ordering::Relaxed) {
        let keys: Vec<_> = (0..keys)
            .map(|_| Workload::key(random.next_u64() % workload.keys))
            .collect();
        let mut missing = 0;
        let start = Instant::now();
        store.read(&keys, &mut |found| match found {
            Some(bytes) => {
                row.clear();
                row.extend_from_slice(bytes);
            }
            None => missing += 1,
        })?;
        latencies.record(start.elapsed().as_nanos() as u64)?;
        if missing > 0 {
            return Err("a loaded key was not found".into());
        }
    }
    Ok(latencies)
}

/// Merges until the process is killed; says the position of each merge once it is durable.
///
/// # Errors
/// Whatever the store says.
pub fn write_until_killed(candidate: &str, directory: &Path, workload: &Workload) -> Result<(), Error> {
    let store = open(candidate, directory)?;
    let mut random = workload.random(2);
    for position in store.position()? + 1.. {
        store.merge(&workload.merge(&mut random, position), position)?;
        println!("{position}");
    }
    Ok(())
}

/// Opens the store after a kill and checks that what was acknowledged is there, whole.
///
/// # Errors
/// Whatever the store says, or what is missing.
pub fn reopen(candidate: &str, directory: &Path, workload: &Workload, acknowledged: u64) -> Result<Report, Error> {
    let start = Instant::now();
    let store = open(candidate, directory)?;
    let opened = start.elapsed();
    let position = store.position()?;
    if position < acknowledged {
        return Err(format!("position {acknowledged} was acknowledged, {position} is there").into());
    }
    let mut found = 0u64;
    let keys: Vec<_> = (0..workload.keys).map(Workload::key).collect();
    store.read(&keys, &mut |row| {
        let newer = row
            .and_then(|row| row.first_chunk())
            .is_none_or(|at| u64::from_le_bytes(*at) > position);
        found += u64::from(!newer);
    })?;
    if found != workload.keys {
        return Err(format!(
            "{found} rows of {} are there and not newer than the position",
            workload.keys
        )
        .into());
    }
    Ok(json!({"reopen_ms": opened.as_secs_f64() * 1000.0, "position": position}))
}

fn latency_report(latencies: &Histogram<u64>, keys: usize, elapsed: Duration) -> Report {
    let micros = |quantile| latencies.value_at_quantile(quantile) as f64 / 1000.0;
    json!({
        "keys_per_snapshot": keys,
        "reads_per_s": per_second(latencies.len() * keys as u64, elapsed),
        "p50_us": micros(0.5),
        "p99_us": micros(0.99),
        "p999_us": micros(0.999),
    })
}

fn per_second(count: u64, spent: Duration) -> u64 {
    (count as f64 / spent.as_secs_f64()) as u64
}
