//! Rows for the suites, and the naive answer to which of them wins.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use forebay_model::{EntityKey, GroupSchema, Sequence, Timestamp, Value, canonical::CanonicalHasher};
use forebay_rows::{Layouts, RowsWriter, values};

use crate::OnlineRow;

/// A row in plain values: the features in the order of the schema's slots; those that are left out are null.
#[derive(Clone, Debug, PartialEq)]
pub struct PlainRow {
    pub key: Vec<Value>,
    pub event_time: i64,
    pub sequence: i64,
    pub deleted: bool,
    pub features: Vec<Value>,
}

impl PlainRow {
    /// A row of [`schemas::prices`](super::schemas::prices).
    #[must_use]
    pub fn price(id: i64, event_time: i64, sequence: i64, price: f64) -> Self {
        Self {
            key: vec![Value::Int64(id)],
            event_time,
            sequence,
            deleted: false,
            features: vec![Value::Float64(price), Value::String(format!("city {price}"))],
        }
    }

    #[must_use]
    pub fn deleted(mut self) -> Self {
        self.deleted = true;
        self.features.clear();
        self
    }

    /// The key and the packed row, in the schema's newest layout.
    #[must_use]
    pub fn packed(&self, schema: &Arc<GroupSchema>) -> OnlineRow {
        let mut writer = RowsWriter::new(Layouts::new(schema.clone()));
        writer.begin();
        values::write_key(&mut writer, &schema.key_types(), &self.key).expect("a key of the group");
        for (slot, value) in self.features.iter().enumerate() {
            values::write(&mut writer, slot, value).expect("a value of the slot's type");
        }
        let event_time = Timestamp::from_micros(self.event_time);
        let sequence = Sequence::from_raw(self.sequence).expect("not negative");
        writer
            .finish_with(event_time, event_time.max(Timestamp::default()), sequence, self.deleted)
            .expect("a small row");
        let batch = writer.into_batch();
        OnlineRow {
            key: Bytes::copy_from_slice(batch.key(0)),
            row: Bytes::copy_from_slice(batch.row(0)),
        }
    }

    /// What decides, by the words of the rule: event time, sequence, hash.
    fn rank(&self, schema: &GroupSchema) -> (i64, i64, u64) {
        let mut hasher = CanonicalHasher::new(self.deleted);
        let by_name: BTreeMap<_, _> = schema.slots.iter().map(|slot| &slot.name).zip(&self.features).collect();
        for (name, value) in by_name {
            hash(&mut hasher, name, value);
        }
        (self.event_time, self.sequence, hasher.finish())
    }
}

fn hash(hasher: &mut CanonicalHasher, name: &forebay_model::Name, value: &Value) {
    match value {
        Value::Null => {}
        Value::Float64(value) => hasher.feature(name).float(*value),
        Value::String(value) => hasher.feature(name).bytes(value.as_bytes()),
        Value::Vector(elements) => {
            let hasher = hasher.feature(name);
            hasher.list(elements.len());
            elements.iter().for_each(|element| hasher.float(f64::from(*element)));
        }
        other => panic!("the suites rank no rows with {other:?}"),
    }
}

/// Of all rows of each key the one that wins, found by looking at every one. Keys are encoded.
#[must_use]
pub fn winners<'a>(
    schema: &GroupSchema,
    rows: impl IntoIterator<Item = &'a PlainRow>,
) -> BTreeMap<Vec<u8>, &'a PlainRow> {
    let mut winners: BTreeMap<Vec<u8>, &PlainRow> = BTreeMap::new();
    for row in rows {
        let key = EntityKey::encode(&schema.key_types(), &row.key).expect("a key of the group");
        let winner = winners.entry(key.as_bytes().to_vec()).or_insert(row);
        if row.rank(schema) > winner.rank(schema) {
            *winner = row;
        }
    }
    winners
}
