use arrow::{
    array::RecordBatch,
    datatypes::{DataType, SchemaRef},
};
use bytes::Bytes;
use forebay_rows::json::{ArrayWriter, Int64As};

use super::EncodeError;

/// CSV by RFC 4180 with a header. Values are written as in JSON, without quotes where they need none; null is an empty field, an empty string is `""`.
pub struct CsvEncoder {
    /// What stands before the first batch.
    header: Vec<u8>,
}

impl CsvEncoder {
    pub fn new(schema: &SchemaRef) -> Self {
        let mut header = Vec::new();
        for (index, field) in schema.fields().iter().enumerate() {
            if index > 0 {
                header.push(b',');
            }
            text(field.name().as_bytes(), &mut header);
        }
        header.extend_from_slice(b"\r\n");
        Self { header }
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<Bytes, EncodeError> {
        let mut out = std::mem::take(&mut self.header);
        let columns = batch
            .columns()
            .iter()
            .map(|column| {
                // Strings as they are; of everything else the JSON, which needs no escapes.
                let strings = matches!(
                    column.data_type(),
                    DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
                );
                Ok((strings, ArrayWriter::of_any(column, Int64As::Number)?))
            })
            .collect::<Result<Vec<_>, EncodeError>>()?;
        let mut value = Vec::new();
        for row in 0..batch.num_rows() {
            for (index, (strings, writer)) in columns.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                value.clear();
                if !writer.write(row, &mut value) {
                    continue;
                }
                if *strings {
                    let plain: String = serde_json::from_slice(&value)?;
                    text(plain.as_bytes(), &mut out);
                } else {
                    let inner = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
                    text(inner.unwrap_or(&value), &mut out);
                }
            }
            out.extend_from_slice(b"\r\n");
        }
        Ok(out.into())
    }

    pub fn finish(self) -> Bytes {
        self.header.into()
    }
}

fn text(value: &[u8], out: &mut Vec<u8>) {
    let needs_quotes = value.is_empty() || value.iter().any(|byte| matches!(byte, b',' | b'"' | b'\r' | b'\n'));
    if !needs_quotes {
        out.extend_from_slice(value);
        return;
    }
    out.push(b'"');
    for &byte in value {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}
