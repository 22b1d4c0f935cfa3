use forebay_model::Timestamp;
use forebay_rows::{
    Reject, RejectCode, RowsWriter,
    avro::{AvroDecoder, AvroError, of_schema_id, read_wire_head},
};

use super::{Decoded, Part, Refusal};

/// Decodes a record of the group's topic as one row, with the group's schemas as they are now.
///
/// # Errors
/// [`Refusal::Full`]. A record that is no row of the group is among the rejections.
pub fn decode_record(value: &[u8], decoded: &mut Decoded) -> Result<(), Refusal> {
    let index = decoded.count(1)?;
    match row(value, decoded) {
        Ok(rows) => decoded.push(Part {
            rows: rows.into_batch(),
            indexes: vec![index],
        }),
        Err(reject) => {
            decoded.rejections.push(index, reject);
            Ok(())
        }
    }
}

fn row(value: &[u8], decoded: &Decoded) -> Result<RowsWriter, Reject> {
    let unparseable = |detail: &str| Reject::of_row(RejectCode::NotParseable, detail);
    let layouts = &decoded.layouts;
    let (schema, record) = read_wire_head(value).ok_or_else(|| {
        unparseable("the record is not in the schema registry's wire format: a zero byte, a schema id, Avro")
    })?;
    let (group, layout) = of_schema_id(schema);
    if group != layouts.schema().id {
        return Err(unparseable("the record's schema is not one of the group's"));
    }
    let decoder = AvroDecoder::new(layouts.clone(), layout)
        .ok_or_else(|| unparseable("the record's schema is newer than any of the group's"))?;
    let mut writer = RowsWriter::new(layouts.clone());
    let row = decoder.decode(record, &mut writer).map_err(|error| match &error {
        AvroError::OutOfRange(field) => Reject::of_field(field, RejectCode::OutOfRange, error.to_string()),
        AvroError::Length(field) => Reject::of_field(field, RejectCode::WrongLength, error.to_string()),
        AvroError::Key(_) => Reject::of_row(RejectCode::KeyTooLong, error.to_string()),
        _ => unparseable(&error.to_string()),
    })?;
    if !row.event_time.is_writable() {
        let detail = "event_time lies outside the years 0000 to 9999";
        return Err(Reject::of_field("event_time", RejectCode::OutOfRange, detail));
    }
    // The ingest time is set when the row is taken in.
    writer
        .finish(row.event_time, Timestamp::default(), row.deleted)
        .map_err(|error| Reject::of_row(RejectCode::RowTooLarge, error.to_string()))?;
    Ok(writer)
}
