//! Files of rows, as callers upload them.

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;

/// One batch as a Parquet file.
pub fn parquet(batch: &RecordBatch) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None).expect("a schema");
    writer.write(batch).expect("memory takes it");
    writer.close().expect("memory takes it");
    file
}
