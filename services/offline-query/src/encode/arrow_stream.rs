use std::mem::take;

use arrow::{array::RecordBatch, datatypes::SchemaRef, ipc::writer::StreamWriter};
use bytes::Bytes;

use super::EncodeError;

/// An Arrow IPC stream.
pub struct ArrowEncoder {
    schema: SchemaRef,
    writer: StreamWriter<Vec<u8>>,
}

impl ArrowEncoder {
    pub fn new(schema: &SchemaRef) -> Result<Self, EncodeError> {
        Ok(Self {
            schema: schema.clone(),
            writer: StreamWriter::try_new(Vec::new(), schema)?,
        })
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<Bytes, EncodeError> {
        self.writer.write(&batch.clone().with_schema(self.schema.clone())?)?;
        Ok(take(self.writer.get_mut()).into())
    }

    pub fn finish(mut self) -> Result<Bytes, EncodeError> {
        self.writer.finish()?;
        Ok(take(self.writer.get_mut()).into())
    }
}
