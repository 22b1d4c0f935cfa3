//! Answers as bytes, batch by batch.

mod arrow_stream;
mod csv;
mod json;
mod parquet;

use std::sync::Arc;

use ::arrow::{
    array::RecordBatch,
    datatypes::{Schema, SchemaRef},
    error::ArrowError,
};
use ::parquet::errors::ParquetError;
use bytes::Bytes;
use forebay_api::historical_features::HistoricalMetadata;
use forebay_rows::json::{Int64As, WrongArray};

/// What an answer can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    Arrow,
    Parquet,
    Csv,
}

impl Format {
    /// In the order of preference where a caller has none.
    pub const MEDIA_TYPES: [&str; 4] = [
        "application/json",
        "application/vnd.apache.arrow.stream",
        "application/vnd.apache.parquet",
        "text/csv",
    ];

    /// By one of [`Self::MEDIA_TYPES`].
    pub fn of(media_type: &str) -> Self {
        match media_type {
            "application/vnd.apache.arrow.stream" => Self::Arrow,
            "application/vnd.apache.parquet" => Self::Parquet,
            "text/csv" => Self::Csv,
            _ => Self::Json,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    #[error(transparent)]
    Parquet(#[from] ParquetError),
    #[error(transparent)]
    Array(#[from] WrongArray),
    #[error("the metadata cannot be written: {0}")]
    Metadata(#[from] serde_json::Error),
    #[error(
        "the answer has more than {0} values, too many for JSON: ask for Arrow, Parquet or CSV by Accept, which are streamed"
    )]
    TooLarge(usize),
}

/// How an answer is written.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    pub format: Format,
    pub int64: Int64As,
    /// See `Limits::json_values`.
    pub json_values: usize,
}

/// Writes an answer; what is ready comes out after each batch.
pub enum Encoder {
    Json(json::JsonEncoder),
    Arrow(arrow_stream::ArrowEncoder),
    Parquet(Box<parquet::ParquetEncoder>),
    Csv(csv::CsvEncoder),
}

impl Encoder {
    pub fn new(style: Style, schema: &SchemaRef, metadata: HistoricalMetadata) -> Result<Self, EncodeError> {
        Ok(match style.format {
            Format::Json => Self::Json(json::JsonEncoder::new(style, schema, metadata)),
            Format::Arrow => Self::Arrow(arrow_stream::ArrowEncoder::new(&with_metadata(schema, &metadata)?)?),
            Format::Parquet => Self::Parquet(Box::new(parquet::ParquetEncoder::new(with_metadata(
                schema, &metadata,
            )?)?)),
            Format::Csv => Self::Csv(csv::CsvEncoder::new(schema)),
        })
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<Bytes, EncodeError> {
        match self {
            Self::Json(encoder) => encoder.write(batch),
            Self::Arrow(encoder) => encoder.write(batch),
            Self::Parquet(encoder) => encoder.write(batch),
            Self::Csv(encoder) => encoder.write(batch),
        }
    }

    pub fn finish(self) -> Result<Bytes, EncodeError> {
        match self {
            Self::Json(encoder) => encoder.finish(),
            Self::Arrow(encoder) => encoder.finish(),
            Self::Parquet(encoder) => encoder.finish(),
            Self::Csv(encoder) => Ok(encoder.finish()),
        }
    }
}

/// The key of the metadata in Arrow and Parquet.
const METADATA: &str = "forebay";

/// The schema with what a JSON answer calls `metadata`; without the number of rows, which is not known yet.
fn with_metadata(schema: &SchemaRef, metadata: &HistoricalMetadata) -> Result<SchemaRef, EncodeError> {
    let mut value = serde_json::to_value(metadata)?;
    if let Some(object) = value.as_object_mut() {
        object.remove("rows");
    }
    let entry = (METADATA.to_owned(), value.to_string());
    Ok(Arc::new(Schema::new_with_metadata(
        schema.fields().clone(),
        [entry].into_iter().collect(),
    )))
}
