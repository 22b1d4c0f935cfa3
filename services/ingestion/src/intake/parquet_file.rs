use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema};
use bytes::Bytes;
use forebay_rows::json::RowOptions;
use parquet::{
    arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder},
    errors::ParquetError,
};

use super::{Decoded, Refusal, arrow_stream::push_batch};

/// Rows decoded at once.
const BATCH: usize = 8_192;

/// Reads the rows of a Parquet file.
pub fn read(file: Bytes, options: RowOptions, decoded: &mut Decoded) -> Result<(), Refusal> {
    let plain = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(malformed)?;
    let rows = usize::try_from(plain.metadata().file_metadata().num_rows()).unwrap_or(usize::MAX);
    // Refuses too many before any is decoded; they are counted as they come.
    decoded.count(rows)?;
    decoded.rows -= rows;
    // As views, strings that a dictionary repeats are not repeated in memory, and how long they are together is known before they are packed.
    let schema = Arc::new(Schema::new(
        plain.schema().fields().iter().map(with_views).collect::<Fields>(),
    ));
    let viewed = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new().with_schema(schema)).map_err(malformed)?;
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, viewed)
        .with_batch_size(BATCH)
        .build()
        .map_err(malformed)?;
    for batch in reader {
        let batch = batch.map_err(|error| malformed(error.into()))?;
        push_batch(&batch, options, decoded)?;
    }
    Ok(())
}

fn with_views(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        DataType::List(element) => DataType::List(with_views(element)),
        DataType::LargeList(element) => DataType::LargeList(with_views(element)),
        _ => return field.clone(),
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
}

fn malformed(error: ParquetError) -> Refusal {
    Refusal::Malformed {
        format: "Parquet",
        detail: error.to_string(),
    }
}
