//! Records to rows. What is none becomes an unreadable record with its reason, and stops nobody.

use std::sync::Arc;

use forebay_model::{Sequence, Timestamp};
use forebay_rows::{
    KeyText, Layouts, RowsWriter,
    avro::{AvroDecoder, AvroError, of_schema_id, read_wire_head},
};
use forebay_storage::{Fetched, LoggedRow, Result, StorageError, UnreadableRecord};

use super::{WHAT, topic::RowTopic};
use crate::reader::{Chunk, chunk::RawRecord};

/// Why a record is no row: a stable code, and what to do.
type Unreadable = (&'static str, String);

enum Failed {
    Record(Unreadable),
    /// Reading stops before the record.
    Stop(StorageError),
}

/// Decodes records in their order, and tells when the last of those was appended. Stops before a record of a layout that the schema does not have yet; that is
/// an error only if it is the first.
pub(crate) fn decode(
    topic: &RowTopic,
    layouts: &Arc<Layouts>,
    chunks: &[Chunk],
    from: u64,
    delivery_bound: forebay_model::Duration,
) -> Result<(Fetched, Option<Timestamp>)> {
    let records = chunks.iter().map(|chunk| chunk.records().len()).sum();
    let mut decoding = Decoding {
        topic,
        layouts,
        delivery_bound,
        writer: RowsWriter::with_capacity(layouts.clone(), records),
        decoders: Vec::new(),
        keys: KeyText::new(layouts.schema().key_types()),
        key: Vec::new(),
    };
    let mut fetched = Fetched {
        next: from,
        ..Fetched::default()
    };
    let mut places = Vec::with_capacity(records);
    let mut last_append = None;
    'chunks: for chunk in chunks {
        for record in chunk.records() {
            match decoding.record(chunk, record) {
                Ok(()) => places.push(record),
                Err(Failed::Record((code, detail))) => fetched.unreadable.push(UnreadableRecord {
                    offset: record.offset,
                    code: code.to_owned(),
                    detail,
                    key: chunk.key(record),
                    value: chunk.value(record),
                }),
                Err(Failed::Stop(error)) if fetched.next == from => return Err(error),
                Err(Failed::Stop(_)) => break 'chunks,
            }
            fetched.next = record.offset + 1;
            last_append = record.appended_ms.or(last_append);
        }
    }
    fetched.traces = chunks
        .iter()
        .flat_map(Chunk::traces)
        .filter_map(|traced| traced.within(from, fetched.next.checked_sub(1)?))
        .collect();
    let rows = decoding.writer.into_batch().freeze();
    fetched.rows = rows
        .iter()
        .zip(places)
        .map(|((key, row), record)| LoggedRow {
            offset: record.offset,
            key,
            row,
            batch: record.identity.batch_id(),
            index: record.identity.index,
            ordinal: record.identity.ordinal,
        })
        .collect();
    let last_append = last_append.map(|millis| Timestamp::from_micros(millis.saturating_mul(1_000)));
    Ok((fetched, last_append))
}

struct Decoding<'a> {
    topic: &'a RowTopic,
    layouts: &'a Arc<Layouts>,
    delivery_bound: forebay_model::Duration,
    writer: RowsWriter,
    /// By schema id; there are few.
    decoders: Vec<(u32, AvroDecoder)>,
    keys: KeyText,
    key: Vec<u8>,
}

impl Decoding<'_> {
    /// Decodes one record into the writer.
    fn record(&mut self, chunk: &Chunk, record: &RawRecord) -> Result<(), Failed> {
        let Some(appended_ms) = record.appended_ms else {
            let detail =
                "the record has no time of its append; set the topic's message.timestamp.type to LogAppendTime";
            return Err(unreadable("no_append_time", detail));
        };
        let Some(key) = chunk.key_bytes(record) else {
            return Err(unreadable(
                "null_key",
                "the record has no key; its key must be the entity key",
            ));
        };
        let Some((id, bytes)) = read_wire_head(chunk.value_bytes(record)) else {
            let detail = "the record is not in Confluent's wire format (a zero byte, the schema's id in four bytes, the row in Avro)";
            return Err(unreadable("undecodable", detail));
        };
        let index = self.decoder(id)?;
        let read = self.decoders[index]
            .1
            .decode(bytes, &mut self.writer)
            .map_err(|error| {
                let code = match error {
                    AvroError::OutOfRange(_) => "out_of_range",
                    AvroError::Length(_) => "wrong_length",
                    AvroError::Key(_) => "key_too_long",
                    _ => "undecodable",
                };
                Failed::Record((code, format!("the row of schema {id} cannot be read: {error}")))
            })?;
        self.key.clear();
        let written = self.keys.write(self.writer.current_key(), &mut self.key);
        if written.is_err() || self.key != key {
            self.writer.abandon();
            let detail =
                "the record's key is not the text of the row's entity key, so its rows may not be in their order";
            return Err(unreadable("key_mismatch", detail));
        }
        let appended = Timestamp::from_micros(appended_ms.saturating_mul(1_000));
        let earliest = appended.saturating_sub(self.delivery_bound);
        let ingest_time = read.ingest_time.map_or(appended, |time| time.max(earliest));
        let sequence = Sequence::of_position(self.topic.generation, record.offset).ok_or_else(|| {
            self.writer.abandon();
            let detail = format!(
                "offset {} of topic {} is larger than a sequence can hold",
                record.offset,
                self.topic.name()
            );
            Failed::Stop(StorageError::corrupt(WHAT, detail))
        })?;
        self.writer
            .finish_with(read.event_time, ingest_time, sequence, read.deleted)
            .map_err(|error| Failed::Record(("row_too_large", error.to_string())))
    }

    /// The index of the decoder of a schema.
    fn decoder(&mut self, id: u32) -> Result<usize, Failed> {
        if let Some(index) = self.decoders.iter().position(|(known, _)| *known == id) {
            return Ok(index);
        }
        let schema = self.layouts.schema();
        let (group, layout) = of_schema_id(id);
        if group != schema.id {
            let detail = format!(
                "schema {id} is of another group; the schemas of this one are listed under its topic's subject"
            );
            return Err(Failed::Record(("unknown_schema", detail)));
        }
        match AvroDecoder::new(self.layouts.clone(), layout) {
            Some(decoder) => {
                self.decoders.push((id, decoder));
                Ok(self.decoders.len() - 1)
            }
            None if self.topic.is_refused(layout) => {
                let detail =
                    format!("there is no schema {id}; the schemas of the group are listed under its topic's subject");
                Err(Failed::Record(("unknown_schema", detail)))
            }
            None => Err(Failed::Stop(StorageError::NewerLayout {
                group: schema.name.clone(),
                found: layout,
                known: schema.layout,
            })),
        }
    }
}

fn unreadable(code: &'static str, detail: impl Into<String>) -> Failed {
    Failed::Record((code, detail.into()))
}
