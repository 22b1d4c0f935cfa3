use arrow::{array::RecordBatch, datatypes::SchemaRef};
use bytes::Bytes;
use forebay_api::historical_features::HistoricalMetadata;
use forebay_rows::{arrow_types::forebay_type, json::ArrayWriter};

use super::{EncodeError, Style};

/// The JSON of the contract. It goes column by column, so each column is kept as text until the end.
pub struct JsonEncoder {
    style: Style,
    schema: SchemaRef,
    metadata: HistoricalMetadata,
    columns: Vec<Vec<u8>>,
}

impl JsonEncoder {
    pub fn new(style: Style, schema: &SchemaRef, metadata: HistoricalMetadata) -> Self {
        Self {
            style,
            columns: vec![Vec::new(); schema.fields().len()],
            schema: schema.clone(),
            metadata,
        }
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<Bytes, EncodeError> {
        self.metadata.rows += batch.num_rows() as u64;
        let values = (self.metadata.rows as usize).saturating_mul(self.columns.len());
        if values > self.style.json_values {
            return Err(EncodeError::TooLarge(self.style.json_values));
        }
        for (array, out) in batch.columns().iter().zip(&mut self.columns) {
            let writer = ArrayWriter::of_any(array, self.style.int64)?;
            for row in 0..batch.num_rows() {
                if !out.is_empty() {
                    out.push(b',');
                }
                writer.write(row, out);
            }
        }
        Ok(Bytes::new())
    }

    pub fn finish(self) -> Result<Bytes, EncodeError> {
        let mut out = b"{\"columns\":[".to_vec();
        for (index, (field, values)) in self.schema.fields().iter().zip(&self.columns).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            let data_type = forebay_type(field.data_type())
                .map_or_else(|| field.data_type().to_string(), |data_type| data_type.to_string());
            out.extend_from_slice(b"{\"name\":");
            serde_json::to_writer(&mut out, field.name())?;
            out.extend_from_slice(b",\"type\":");
            serde_json::to_writer(&mut out, &data_type)?;
            out.extend_from_slice(b",\"values\":[");
            out.extend_from_slice(values);
            out.extend_from_slice(b"]}");
        }
        out.extend_from_slice(b"],\"metadata\":");
        serde_json::to_writer(&mut out, &self.metadata)?;
        out.push(b'}');
        Ok(out.into())
    }
}
