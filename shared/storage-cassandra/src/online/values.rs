//! What is bound to the statements of a table: bytes that are CQL values already.

use forebay_model::KeyType;
use scylla::serialize::{
    SerializationError,
    row::{RowSerializationContext, SerializeRow},
    writers::RowWriter,
};

use super::key;

/// The encoded key of a point read.
pub(super) struct KeyValues<'a> {
    pub key: &'a [u8],
    pub types: &'a [KeyType],
}

/// Timestamp, cell and encoded key of an upsert.
pub(super) struct UpsertValues<'a> {
    pub timestamp: i64,
    pub cell: &'a [u8],
    pub key: KeyValues<'a>,
}

/// Timestamp and key columns, as they were read, of a delete by the sweeper.
pub(super) struct DeleteValues<'a> {
    pub timestamp: i64,
    pub columns: &'a [Vec<u8>],
}

fn value(writer: &mut RowWriter<'_>, value: &[u8]) -> Result<(), SerializationError> {
    writer
        .make_cell_writer()
        .set_value(value)
        .map(drop)
        .map_err(SerializationError::new)
}

impl KeyValues<'_> {
    fn write(&self, writer: &mut RowWriter<'_>) -> Result<(), SerializationError> {
        let mut result = Ok(());
        key::columns(self.key, self.types, |column| {
            if result.is_ok() {
                result = value(writer, column);
            }
        })
        .map_err(SerializationError::new)?;
        result
    }
}

// The order of the values is that of the statements in `tables.rs` and `sweep.rs`, whose types are checked when they are prepared.

impl SerializeRow for KeyValues<'_> {
    fn serialize(&self, _: &RowSerializationContext<'_>, writer: &mut RowWriter<'_>) -> Result<(), SerializationError> {
        self.write(writer)
    }

    fn is_empty(&self) -> bool {
        false
    }
}

impl SerializeRow for UpsertValues<'_> {
    fn serialize(&self, _: &RowSerializationContext<'_>, writer: &mut RowWriter<'_>) -> Result<(), SerializationError> {
        value(writer, &self.timestamp.to_be_bytes())?;
        value(writer, self.cell)?;
        self.key.write(writer)
    }

    fn is_empty(&self) -> bool {
        false
    }
}

impl SerializeRow for DeleteValues<'_> {
    fn serialize(&self, _: &RowSerializationContext<'_>, writer: &mut RowWriter<'_>) -> Result<(), SerializationError> {
        value(writer, &self.timestamp.to_be_bytes())?;
        self.columns.iter().try_for_each(|column| value(writer, column))
    }

    fn is_empty(&self) -> bool {
        false
    }
}
