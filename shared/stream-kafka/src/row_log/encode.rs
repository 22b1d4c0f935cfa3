//! Rows to append as records.

use std::sync::Arc;

use forebay_model::limits::ENCODED_KEY_LENGTH;
use forebay_rows::{
    KeyText, Layouts,
    avro::{AvroEncoder, schema_id, write_wire_head},
};
use forebay_storage::{LogRow, Result, StorageError};
use uuid::Uuid;

use super::{WHAT, identity::RowIdentity, murmur::partition_of};
use crate::config::MAX_RECORD_BYTES;

/// Bytes that a record takes beside its key and value: its headers, and what librdkafka keeps of it until it is acknowledged.
const OVERHEAD: usize = 256;

/// A record, its key and value being ranges of the bytes of all.
pub(crate) struct Record {
    pub(crate) partition: u32,
    pub(crate) identity: RowIdentity,
    key: (usize, usize),
    value: (usize, usize),
}

/// The records of one append.
pub(crate) struct Records {
    bytes: Vec<u8>,
    pub(crate) records: Vec<Record>,
}

impl Records {
    pub(crate) fn key(&self, record: &Record) -> &[u8] {
        &self.bytes[record.key.0..record.key.1]
    }

    pub(crate) fn value(&self, record: &Record) -> &[u8] {
        &self.bytes[record.value.0..record.value.1]
    }

    /// Memory that they take until they are acknowledged.
    pub(crate) fn weight(&self) -> usize {
        self.bytes.len() + self.records.len() * OVERHEAD
    }
}

/// Encodes the rows of a batch.
///
/// # Errors
/// [`StorageError::Corrupt`] when a row is none of the group's, or larger than a record may be.
pub(crate) fn encode(layouts: &Arc<Layouts>, partitions: u32, batch: Uuid, rows: &[LogRow]) -> Result<Records> {
    let schema = layouts.schema();
    let id = schema_id(schema.id, schema.layout).ok_or_else(|| {
        StorageError::corrupt(WHAT, "the group's number or layout is larger than a schema id can hold")
    })?;
    let mut keys = KeyText::new(schema.key_types());
    let mut encoder = AvroEncoder::new(layouts.clone());
    let mut counts = vec![0_u32; partitions as usize];
    let mut bytes = Vec::with_capacity(rows.iter().map(|row| row.row.len() + row.key.len() + 16).sum());
    let mut records = Vec::with_capacity(rows.len());
    for (index, row) in (0..).zip(rows) {
        if row.key.len() > ENCODED_KEY_LENGTH {
            let detail = "a key is longer than the limit; rows are checked before they come here";
            return Err(StorageError::corrupt(WHAT, detail));
        }
        let broken = |error| StorageError::corrupt(WHAT, format!("a row to append: {error}"));
        let view = layouts.open(&row.row).map_err(broken)?;
        let key_start = bytes.len();
        keys.write(&row.key, &mut bytes).map_err(broken)?;
        let value_start = bytes.len();
        write_wire_head(&mut bytes, id);
        encoder.encode(&row.key, &view, &mut bytes).map_err(broken)?;
        if bytes.len() - key_start > MAX_RECORD_BYTES - OVERHEAD {
            return Err(StorageError::corrupt(WHAT, "a row to append is larger than the limit"));
        }
        let partition = partition_of(&bytes[key_start..value_start], partitions);
        let count = &mut counts[partition as usize];
        records.push(Record {
            partition,
            identity: RowIdentity {
                batch,
                index,
                ordinal: *count,
            },
            key: (key_start, value_start),
            value: (value_start, bytes.len()),
        });
        *count += 1;
    }
    Ok(Records { bytes, records })
}
