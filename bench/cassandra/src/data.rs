//! The group that is measured, and its rows.

use std::sync::Arc;

use bytes::Bytes;
use forebay_model::{
    DataType, Generation, GroupId, GroupSchema, KeyColumn, KeyType, LayoutNumber, Name, Sequence, Slot, Timestamp,
    entity_key::append,
};
use forebay_rows::{Layouts, RowsWriter};
use forebay_storage::OnlineRow;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Features of a row, all of them float64.
pub const FEATURES: usize = 20;

/// A row in plain values, as a program of its own would have it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub id: i64,
    pub event_time: i64,
    pub sequence: i64,
    pub features: [f64; FEATURES],
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

/// `bench.prices`: key `product_id int64`, features `f0` to `f19`.
pub fn schema() -> Arc<GroupSchema> {
    Arc::new(GroupSchema {
        name: "bench.prices".parse().expect("a group"),
        id: GroupId(1),
        generation: Generation(0),
        layout: LayoutNumber(0),
        keys: Arc::from([KeyColumn {
            name: name("product_id"),
            key_type: KeyType::Int64,
        }]),
        slots: (0..FEATURES)
            .map(|feature| Slot {
                name: name(&format!("f{feature}")),
                data_type: DataType::Float64,
                since: LayoutNumber(0),
                hidden: false,
            })
            .collect(),
    })
}

/// One row for each of `keys` keys, in random order.
pub fn rows(keys: i64, event_time: i64) -> Vec<Row> {
    let mut random = ChaCha8Rng::seed_from_u64(event_time.unsigned_abs());
    let mut ids: Vec<i64> = (0..keys).collect();
    rand::seq::SliceRandom::shuffle(&mut ids[..], &mut random);
    ids.into_iter()
        .map(|id| Row {
            id,
            event_time,
            sequence: event_time,
            features: std::array::from_fn(|_| f64::from(random.random_range(0..10_000_000_u32)) / 100.0),
        })
        .collect()
}

pub fn encoded_key(id: i64) -> Vec<u8> {
    let mut key = Vec::with_capacity(8);
    append::i64(&mut key, id);
    key
}

/// The rows as the store takes them.
pub fn packed(layouts: &Arc<Layouts>, rows: &[Row]) -> Vec<OnlineRow> {
    let mut writer = RowsWriter::with_capacity(layouts.clone(), rows.len());
    for row in rows {
        writer.begin();
        writer.key().extend_from_slice(&encoded_key(row.id));
        for (slot, value) in row.features.iter().enumerate() {
            writer.put_f64(slot, *value);
        }
        let event_time = Timestamp::from_micros(row.event_time);
        let sequence = Sequence::from_raw(row.sequence).expect("not negative");
        writer
            .finish_with(event_time, event_time, sequence, false)
            .expect("a small row");
    }
    let rows = writer.into_batch().freeze();
    rows.iter()
        .map(|(key, row): (Bytes, Bytes)| OnlineRow { key, row })
        .collect()
}

/// A row that the store has answered, in plain values.
pub fn plain(layouts: &Layouts, id: i64, row: &[u8]) -> Row {
    let row = layouts.open(row).expect("a row of the group");
    Row {
        id,
        event_time: row.head().event_time.micros(),
        sequence: row.head().sequence.raw(),
        features: std::array::from_fn(|slot| row.f64(slot)),
    }
}
