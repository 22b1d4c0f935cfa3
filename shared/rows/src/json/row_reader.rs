use std::{collections::HashMap, sync::Arc};

use forebay_model::{DataType, KeyType, Timestamp, entity_key};

use super::{
    read,
    scan::{JsonString, Scanner, SyntaxError, Token},
};
use crate::{
    arrow_types::{DELETED, EVENT_TIME, INGEST_TIME, SEQUENCE},
    packed::{Layouts, RowsWriter},
    rejected::{Reject, RejectCode},
};

/// What a row may leave out.
#[derive(Debug, Clone, Copy, Default)]
pub struct RowOptions {
    /// A feature that is left out is null rather than an error.
    pub missing_as_null: bool,
    /// The event time of rows that have none.
    pub event_time: Option<Timestamp>,
}

/// The times and kind of a row whose key and features were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowDraft {
    pub event_time: Timestamp,
    pub deleted: bool,
}

/// Reads rows, JSON objects, into packed rows. It remembers the order of the fields, so that rows that are alike cost no look-ups.
#[derive(Debug)]
pub struct RowReader {
    layouts: Arc<Layouts>,
    options: RowOptions,
    by_name: HashMap<Box<str>, usize>,
    fields: Vec<Field>,
    /// The field at each place of the row before.
    order: Vec<usize>,
    /// Of each field, the number of the row that last had it.
    seen: Vec<u64>,
    row: u64,
    keys: Vec<Vec<u8>>,
    features: usize,
    buffer: String,
}

#[derive(Debug)]
struct Field {
    name: Box<str>,
    target: Target,
}

#[derive(Debug, Clone)]
enum Target {
    Key(usize, KeyType),
    EventTime,
    Deleted,
    Slot(usize, DataType),
}

impl RowReader {
    #[must_use]
    pub fn new(layouts: Arc<Layouts>, options: RowOptions) -> Self {
        let schema = layouts.schema();
        let keys = schema
            .keys
            .iter()
            .enumerate()
            .map(|(index, key)| (key.name.as_str(), Target::Key(index, key.key_type)));
        let times = [(EVENT_TIME, Target::EventTime), (DELETED, Target::Deleted)];
        let features = schema
            .visible()
            .map(|(index, slot)| (slot.name.as_str(), Target::Slot(index, slot.data_type.clone())));
        let fields: Vec<_> = keys
            .chain(times)
            .chain(features)
            .map(|(name, target)| Field {
                name: name.into(),
                target,
            })
            .collect();
        Self {
            by_name: fields
                .iter()
                .enumerate()
                .map(|(index, field)| (field.name.clone(), index))
                .collect(),
            order: (0..fields.len()).collect(),
            seen: vec![0; fields.len()],
            row: 0,
            keys: vec![Vec::new(); schema.keys.len()],
            features: schema.visible().count(),
            fields,
            layouts,
            options,
            buffer: String::new(),
        }
    }

    #[must_use]
    pub fn layouts(&self) -> &Arc<Layouts> {
        &self.layouts
    }

    /// Reads the next value as a row: begins it in the writer, which is of the same layouts, and leaves it to the caller to finish or abandon it. A row that does
    /// not fit is abandoned, read to its end, and told by the first reason.
    ///
    /// # Errors
    /// When the text is not JSON; the row is then abandoned.
    pub fn read(
        &mut self,
        scanner: &mut Scanner<'_>,
        writer: &mut RowsWriter,
    ) -> Result<Result<RowDraft, Reject>, SyntaxError> {
        writer.begin();
        let read = self.read_begun(scanner, writer);
        if !matches!(read, Ok(Ok(_))) {
            writer.abandon();
        }
        read
    }

    fn read_begun(
        &mut self,
        scanner: &mut Scanner<'_>,
        writer: &mut RowsWriter,
    ) -> Result<Result<RowDraft, Reject>, SyntaxError> {
        let token = scanner.value()?;
        if token != Token::Object {
            scanner.skip(token)?;
            return Ok(Err(Reject::of_row(
                RejectCode::NotAnObject,
                "a row is an object with a field for every key and feature",
            )));
        }
        self.row += 1;
        let mut event_time = None;
        let (mut deleted, mut features, mut keys) = (false, 0, 0);
        let (mut first, mut place) = (true, 0);
        while let Some(name) = scanner.key(&mut first)? {
            let Some(index) = self.field(place, name) else {
                let name = name.resolve(&mut self.buffer);
                let reject = Reject::of_field(name, RejectCode::UnknownField, unknown_field(name));
                return reject_rest(scanner, reject);
            };
            place += 1;
            if std::mem::replace(&mut self.seen[index], self.row) == self.row {
                let reject = Reject::of_field(
                    &self.fields[index].name,
                    RejectCode::DuplicateField,
                    "the row has this field twice",
                );
                return reject_rest(scanner, reject);
            }
            let field = &self.fields[index];
            let unfit = match &field.target {
                Target::Slot(slot, data_type) => {
                    features += 1;
                    read::slot(scanner, writer, *slot, data_type, &mut self.buffer)?
                }
                Target::Key(key, key_type) => {
                    keys += 1;
                    let encoded = &mut self.keys[*key];
                    encoded.clear();
                    read::key(scanner, *key_type, encoded, &mut self.buffer)?
                }
                Target::EventTime => match scanner.value()? {
                    Token::Null => Err(RejectCode::NullEventTime),
                    Token::String(text) => {
                        let read = super::time::timestamp(text.resolve(&mut self.buffer));
                        event_time = read.map(Timestamp::from_micros);
                        read.map(drop).ok_or(RejectCode::WrongType)
                    }
                    other => {
                        scanner.skip(other)?;
                        Err(RejectCode::WrongType)
                    }
                },
                Target::Deleted => match scanner.value()? {
                    Token::Bool(value) => {
                        deleted = value;
                        Ok(())
                    }
                    Token::Null => Ok(()),
                    other => {
                        scanner.skip(other)?;
                        Err(RejectCode::WrongType)
                    }
                },
            };
            if let Err(code) = unfit {
                return reject_rest(scanner, unfit_field(field, code));
            }
        }
        if keys < self.keys.len() {
            return Ok(Err(
                self.missing(RejectCode::MissingKey, |target| matches!(target, Target::Key(..)))
            ));
        }
        if features < self.features && !deleted && !self.options.missing_as_null {
            return Ok(Err(self.missing(RejectCode::MissingFeature, |target| {
                matches!(target, Target::Slot(..))
            })));
        }
        let Some(event_time) = event_time.or(self.options.event_time) else {
            return Ok(Err(self.missing(RejectCode::MissingEventTime, |target| {
                matches!(target, Target::EventTime)
            })));
        };
        for key in &self.keys {
            writer.key().extend_from_slice(key);
        }
        if let Err(error) = entity_key::check_length(writer.current_key()) {
            return Ok(Err(Reject::of_row(RejectCode::KeyTooLong, error.to_string())));
        }
        Ok(Ok(RowDraft { event_time, deleted }))
    }

    /// The field of this name, expected at this place.
    fn field(&mut self, place: usize, name: JsonString<'_>) -> Option<usize> {
        let name = match name.plain() {
            Some(name) => name,
            None => name.resolve(&mut self.buffer),
        };
        if let Some(&expected) = self.order.get(place)
            && *self.fields[expected].name == *name
        {
            return Some(expected);
        }
        let index = *self.by_name.get(name)?;
        if let Some(expected) = self.order.get_mut(place) {
            *expected = index;
        }
        Some(index)
    }

    fn missing(&self, code: RejectCode, is_kind: impl Fn(&Target) -> bool) -> Reject {
        let field = self
            .fields
            .iter()
            .zip(&self.seen)
            .find(|(field, seen)| **seen != self.row && is_kind(&field.target));
        let detail = match code {
            RejectCode::MissingKey => "the row has no value for this key",
            RejectCode::MissingFeature => {
                "a row names every feature of its group, null included; ?missing=null fills in those left out"
            }
            _ => "a row has an event_time; ?event_time=now gives all rows of a request the time of its arrival",
        };
        match field {
            Some((field, _)) => Reject::of_field(&field.name, code, detail),
            None => Reject::of_row(code, detail),
        }
    }
}

/// Skips the rest of the object whose field was just read or named.
fn reject_rest(scanner: &mut Scanner<'_>, reject: Reject) -> Result<Result<RowDraft, Reject>, SyntaxError> {
    if matches!(reject.code, RejectCode::UnknownField | RejectCode::DuplicateField) {
        let value = scanner.value()?;
        scanner.skip(value)?;
    }
    let mut first = false;
    while scanner.key(&mut first)?.is_some() {
        let value = scanner.value()?;
        scanner.skip(value)?;
    }
    Ok(Err(reject))
}

/// What to tell of a field that no row has.
pub(crate) fn unknown_field(name: &str) -> &'static str {
    if name == INGEST_TIME || name == SEQUENCE {
        "this field is set when the row is taken in; leave it out"
    } else {
        "the group has no such key or feature"
    }
}

fn unfit_field(field: &Field, code: RejectCode) -> Reject {
    let expected = match &field.target {
        Target::Key(_, key_type) => key_type.to_string(),
        Target::EventTime => DataType::Timestamp.to_string(),
        Target::Deleted => DataType::Bool.to_string(),
        Target::Slot(_, data_type) => data_type.to_string(),
    };
    Reject::of_field(&field.name, code, unfit_detail(code, &expected))
}

/// What to tell of a value that does not fit its type.
pub(crate) fn unfit_detail(code: RejectCode, expected: &str) -> String {
    match code {
        RejectCode::OutOfRange => format!("the value is out of the range of {expected}"),
        RejectCode::NotExact => format!("{expected} cannot hold the value without losing digits"),
        RejectCode::NullKey => "a key is never null".to_owned(),
        RejectCode::NullEventTime => "event_time is never null".to_owned(),
        RejectCode::NullElement => format!("{expected} holds no nulls"),
        RejectCode::WrongLength => format!("expected {expected}, of exactly that length"),
        _ => format!("expected {expected}{}", form(expected)),
    }
}

/// How a type is written in JSON where that may surprise.
fn form(expected: &str) -> &'static str {
    match expected {
        "timestamp" => " as RFC 3339 such as 2026-01-02T03:04:05.000006Z, years 0000 to 9999, at most microseconds",
        "date" => " as YYYY-MM-DD",
        "binary" => " as base64",
        "float32" | "float64" => " as a number, or \"NaN\", \"Infinity\", \"-Infinity\"",
        _ => "",
    }
}
