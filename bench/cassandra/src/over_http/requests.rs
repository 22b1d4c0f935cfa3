//! Bodies of requests, the same for both servers.

use std::sync::Arc;

use bytes::Bytes;
use forebay_model::Timestamp;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};

use crate::data::{FEATURES, Row};

/// Features of a request for reads, of the 20 that a row has.
pub const ASKED: usize = 10;

/// Bodies are made before the clock starts and sent over and over.
const BODIES: usize = 64;

/// The names of the features that are asked for, as Forebay has them.
pub fn asked() -> Vec<String> {
    (0..ASKED).map(|feature| format!("bench.prices.f{feature}")).collect()
}

pub fn read(ids: &[i64]) -> Bytes {
    let body = json!({"features": asked(), "entities": {"product_id": ids}});
    body.to_string().into()
}

/// Rows of distinct keys with random values.
pub fn rows(count: usize, keys: i64, event_time: i64) -> Vec<Row> {
    let mut random = ChaCha8Rng::seed_from_u64(event_time.unsigned_abs());
    let first = random.random_range(0..keys);
    (0..count as i64)
        .map(|row| Row {
            id: (first + row) % keys,
            event_time,
            sequence: 0,
            features: std::array::from_fn(|_| f64::from(random.random_range(0..10_000_000_u32)) / 100.0),
        })
        .collect()
}

pub fn write(rows: &[Row]) -> Bytes {
    let row = |row: &Row| {
        let features = (0..FEATURES).map(|feature| (format!("f{feature}"), json!(row.features[feature])));
        let mut object: Map<String, Value> = features.collect();
        object.insert("product_id".to_owned(), json!(row.id));
        let event_time = Timestamp::from_micros(row.event_time);
        object.insert("event_time".to_owned(), json!(event_time.to_string()));
        Value::Object(object)
    };
    let rows: Vec<Value> = rows.iter().map(row).collect();
    json!({ "rows": rows }).to_string().into()
}

/// Requests for random keys.
pub fn reads(size: usize, keys: i64, seed: i64) -> Arc<Vec<Bytes>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed.unsigned_abs());
    let mut body = || {
        let ids: Vec<i64> = (0..size).map(|_| random.random_range(0..keys)).collect();
        read(&ids)
    };
    Arc::new((0..BODIES).map(|_| body()).collect())
}

/// Requests with rows of random keys, each of another event time.
pub fn writes(size: usize, keys: i64, event_time: i64) -> Arc<Vec<Bytes>> {
    let body = |nth: usize| write(&rows(size, keys, event_time + nth as i64));
    Arc::new((0..BODIES).map(body).collect())
}
