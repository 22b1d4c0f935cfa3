//! Answers as JSON, column by column, straight from packed rows.

use arrow::array::Array;
use forebay_model::{DataType, KeyType, Status};
use forebay_rows::{
    PackedError, RowView,
    json::{ArrayWriter, Int64As, KeyColumn, SlotWriter, WrongArray, write, write_key},
};

use crate::{
    answer::{Answer, Computed, status_of},
    columns::Sent,
    read::{Cell, GroupRows},
    request::Include,
};

/// What was computed or sent cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error(transparent)]
    Request(#[from] PackedError),
    #[error(transparent)]
    Expression(#[from] WrongArray),
}

/// How an answer is written.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    pub include: Include,
    pub int64: Int64As,
    /// The JSON value that stands where there is no event timestamp.
    pub no_time: &'static str,
}

/// The whole answer; `metadata` is the JSON object before the results.
///
/// # Errors
/// Never for stored rows, since a column with a corrupt one has status ERROR; only where the service contradicts itself.
pub fn write(answer: &Answer<'_>, metadata: &[u8], style: Style) -> Result<Vec<u8>, WriteError> {
    let plan = answer.plan;
    let columns = plan.keys.len() + plan.features.len() + plan.request.len() + plan.expressions.len();
    let mut out = Vec::with_capacity(metadata.len() + columns * (64 + answer.sent.entities * 56));
    out.extend_from_slice(b"{\"metadata\":");
    out.extend_from_slice(metadata);
    out.extend_from_slice(b",\"results\":[");
    let mut writer = Writer { out, style };
    for (key, column) in plan.keys.iter().zip(&answer.sent.keys) {
        writer.key(answer.sent.entities, column, key.key_type);
    }
    let groups: Vec<GroupText> = answer.groups.iter().map(|group| GroupText::new(group, style)).collect();
    for (index, feature) in plan.features.iter().enumerate() {
        let slot = SlotWriter::new(feature.slot, &feature.data_type, style.int64);
        writer.feature(answer.cells(index), &slot, &groups[feature.group]);
    }
    for (index, request) in plan.request.iter().enumerate() {
        let slot = SlotWriter::new(0, &request.data_type, style.int64);
        writer.request(&answer.request(index)?, &slot)?;
    }
    for (expression, computed) in plan.expressions.iter().zip(&answer.expressions) {
        writer.computed(computed, &expression.data_type)?;
    }
    let mut out = writer.out;
    out.extend_from_slice(b"]}");
    Ok(out)
}

/// What all columns of a group have in common: it is written once and copied into each.
struct GroupText {
    /// The statuses, as far as the rows decide them.
    statuses: Vec<u8>,
    times: Vec<u8>,
}

impl GroupText {
    fn new(group: &GroupRows<'_>, style: Style) -> Self {
        let mut text = Self {
            statuses: Vec::new(),
            times: Vec::new(),
        };
        if style.include.statuses {
            list(&mut text.statuses, &group.cells, |out, cell| status(out, cell.status));
        }
        if style.include.event_timestamps {
            list(&mut text.times, &group.cells, |out, cell| match cell.event_time {
                Some(time) => write::timestamp(out, time.micros()),
                None => out.extend_from_slice(style.no_time.as_bytes()),
            });
        }
        text
    }
}

struct Writer {
    out: Vec<u8>,
    style: Style,
}

impl Writer {
    fn feature(&mut self, cells: &[Cell<'_>], slot: &SlotWriter, group: &GroupText) {
        let start = self.out.len();
        if self.stored(cells, slot, group).is_err() {
            // A corrupt row: the column is an error as a whole, like a group that cannot be read.
            self.out.truncate(start);
            let failed = vec![Cell::FAILED; cells.len()];
            let text = GroupText::new(
                &GroupRows {
                    cells: failed.clone(),
                    failure: None,
                },
                self.style,
            );
            let _ = self.stored(&failed, slot, &text);
        }
    }

    fn stored(&mut self, cells: &[Cell<'_>], slot: &SlotWriter, group: &GroupText) -> Result<(), PackedError> {
        let include = self.style.include;
        self.begin();
        let mut nulls = false;
        if include.values {
            self.part("values");
            self.out.push(b'[');
            for (index, cell) in cells.iter().enumerate() {
                if index > 0 {
                    self.out.push(b',');
                }
                match &cell.row {
                    Some(row) => nulls |= !slot.write(row, &mut self.out)?,
                    None => write::null(&mut self.out),
                }
            }
            self.out.push(b']');
        } else {
            nulls = cells
                .iter()
                .any(|cell| cell.row.is_some_and(|row| !row.is_present(slot.slot())));
        }
        if include.statuses {
            self.part("statuses");
            if nulls {
                list(&mut self.out, cells, |out, cell| {
                    let null = cell.row.is_some_and(|row| !row.is_present(slot.slot()));
                    status(out, if null { Status::NullValue } else { cell.status });
                });
            } else {
                self.out.extend_from_slice(&group.statuses);
            }
        }
        if include.event_timestamps {
            self.part("event_timestamps");
            self.out.extend_from_slice(&group.times);
        }
        self.out.push(b'}');
        Ok(())
    }

    fn key(&mut self, entities: usize, column: &KeyColumn, key_type: KeyType) {
        let int64 = self.style.int64;
        let element = |entity| column.get(Sent::place(column.len(), entity));
        self.column(
            entities,
            |entity| status_of(element(entity).is_none()),
            |out, entity| match element(entity) {
                Some(key) => write_key(out, key, key_type, int64),
                None => write::null(out),
            },
        );
    }

    fn request(&mut self, rows: &[RowView<'_>], slot: &SlotWriter) -> Result<(), PackedError> {
        let mut outcome = Ok(());
        self.column(
            rows.len(),
            |entity| status_of(!rows[entity].is_present(slot.slot())),
            |out, entity| {
                if let Err(error) = slot.write(&rows[entity], out) {
                    outcome = Err(error);
                }
            },
        );
        outcome
    }

    fn computed(&mut self, computed: &Computed, data_type: &DataType) -> Result<(), WrongArray> {
        let values = ArrayWriter::new(&computed.values, data_type, self.style.int64)?;
        let element = |out: &mut Vec<u8>, entity| {
            values.write(entity, out);
        };
        self.column(computed.values.len(), |entity| computed.status(entity), element);
        Ok(())
    }

    /// A column that is not stored, and so has no event timestamps.
    fn column(
        &mut self,
        entities: usize,
        status_at: impl Fn(usize) -> Status,
        mut write_at: impl FnMut(&mut Vec<u8>, usize),
    ) {
        let include = self.style.include;
        self.begin();
        if include.values {
            self.part("values");
            list(&mut self.out, 0..entities, |out, entity| write_at(out, entity));
        }
        if include.statuses {
            self.part("statuses");
            list(&mut self.out, 0..entities, |out, entity| status(out, status_at(entity)));
        }
        if include.event_timestamps {
            self.part("event_timestamps");
            let no_time = self.style.no_time.as_bytes();
            list(&mut self.out, 0..entities, |out, _| out.extend_from_slice(no_time));
        }
        self.out.push(b'}');
    }

    fn begin(&mut self) {
        self.out
            .extend_from_slice(if self.out.last() == Some(&b'[') { b"{" } else { b",{" });
    }

    /// The name of the next part of a column.
    fn part(&mut self, name: &str) {
        if self.out.last() != Some(&b'{') {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }
}

fn list<T>(out: &mut Vec<u8>, elements: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut Vec<u8>, T)) {
    out.push(b'[');
    for (index, element) in elements.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, element);
    }
    out.push(b']');
}

fn status(out: &mut Vec<u8>, status: Status) {
    out.push(b'"');
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b'"');
}
