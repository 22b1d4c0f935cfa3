//! Reads an upload through before it is kept.

use std::{fs::File, path::Path, sync::Arc};

use arrow::{datatypes::DataType, error::ArrowError, ipc::reader::StreamReader};
use parquet::{
    arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder},
    errors::ParquetError,
};

use super::Format;

/// What is wrong with an upload.
#[derive(Debug, thiserror::Error)]
pub(super) enum CheckError {
    #[error("the spine cannot be kept: {0}")]
    Io(#[from] std::io::Error),
    #[error("the body is no such Parquet file: {0}")]
    Parquet(#[from] ParquetError),
    #[error("the body cannot be read: {0}")]
    Arrow(#[from] ArrowError),
    #[error("the spine has more than {0} rows; upload it in parts")]
    TooManyRows(u64),
}

/// How many rows the body in a file has. An Arrow stream becomes Parquet, in the same file.
pub(super) fn check(format: Format, file: &Path, most_rows: u64) -> Result<u64, CheckError> {
    let within = |rows: u64| match rows <= most_rows {
        true => Ok(rows),
        false => Err(CheckError::TooManyRows(most_rows)),
    };
    match format {
        Format::Parquet => {
            let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file)?)?;
            within(u64::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or(0))
        }
        Format::ArrowStream => {
            let reader = StreamReader::try_new_buffered(File::open(file)?, None)?;
            let converted = tempfile_beside(file)?;
            let mut writer = ArrowWriter::try_new(converted.reopen()?, reader.schema(), None)?;
            let mut rows = 0;
            for batch in reader {
                let batch = batch?;
                rows = within(rows + batch.num_rows() as u64)?;
                writer.write(&batch)?;
            }
            writer.close()?;
            converted.persist(file).map_err(|error| error.error)?;
            Ok(rows)
        }
        Format::Csv => {
            let format = arrow::csv::reader::Format::default().with_header(true);
            let (schema, _) = format.infer_schema(File::open(file)?, Some(1))?;
            // Read as text here: types come from what the columns are asked for.
            let text: Vec<_> = schema
                .fields()
                .iter()
                .map(|field| field.as_ref().clone().with_data_type(DataType::Utf8))
                .collect();
            let schema = Arc::new(arrow::datatypes::Schema::new(text));
            let reader = arrow::csv::ReaderBuilder::new(schema)
                .with_header(true)
                .build(File::open(file)?)?;
            let mut rows = 0;
            for batch in reader {
                rows = within(rows + batch?.num_rows() as u64)?;
            }
            Ok(rows)
        }
    }
}

fn tempfile_beside(file: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    tempfile::NamedTempFile::new_in(file.parent().unwrap_or(Path::new(".")))
}
