use std::mem::take;

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use bytes::Bytes;
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::properties::WriterProperties,
};

use super::EncodeError;

/// A row group is held in memory until it is whole.
const ROW_GROUP_ROWS: usize = 1 << 17;
/// Encoded bytes after which a row group ends early.
const ROW_GROUP_BYTES: usize = 32 << 20;

/// A Parquet file.
pub struct ParquetEncoder {
    schema: SchemaRef,
    writer: ArrowWriter<Vec<u8>>,
}

impl ParquetEncoder {
    pub fn new(schema: SchemaRef) -> Result<Self, EncodeError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        let writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties))?;
        Ok(Self { schema, writer })
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<Bytes, EncodeError> {
        self.writer.write(&batch.clone().with_schema(self.schema.clone())?)?;
        if self.writer.in_progress_size() > ROW_GROUP_BYTES {
            self.writer.flush()?;
        }
        Ok(take(self.writer.inner_mut()).into())
    }

    pub fn finish(mut self) -> Result<Bytes, EncodeError> {
        self.writer.finish()?;
        Ok(take(self.writer.inner_mut()).into())
    }
}
