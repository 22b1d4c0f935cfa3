//! Answers as JSON, column by column, straight from packed rows.

use std::ops::Range;

use arrow::array::Array;
use forebay_model::{DataType, KeyType, Status};
use forebay_rows::{
    PackedError, RowView,
    json::{ArrayWriter, Int64As, KeyColumn, SlotWriter, WrongArray, write, write_key},
};
use forebay_server::Pieces;

use crate::{
    answer::{Answer, Computed, status_of},
    columns::Sent,
    read::Cell,
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
pub fn write(answer: &Answer<'_>, metadata: &[u8], style: Style) -> Result<Pieces, WriteError> {
    let plan = answer.plan;
    let columns = plan.keys.len() + plan.features.len() + plan.request.len() + plan.expressions.len();
    let entities = answer.sent.entities;
    // With few entities the statuses and times of features are copied.
    let value = if entities < 64 { 56 } else { 14 };
    let mut out = Pieces::with_capacity(metadata.len() + columns * (64 + entities * value));
    let own = out.own();
    own.extend_from_slice(b"{\"metadata\":");
    own.extend_from_slice(metadata);
    own.extend_from_slice(b",\"results\":[");
    let mut writer = Writer {
        out,
        style,
        is_first: true,
    };
    for (key, column) in plan.keys.iter().zip(&answer.sent.keys) {
        writer.key(entities, column, key.key_type);
    }
    let groups: Vec<GroupText> = answer.groups.iter().map(|group| writer.group(&group.cells)).collect();
    for (index, feature) in plan.features.iter().enumerate() {
        let slot = &feature.writers[style.int64 as usize];
        writer.feature(answer.cells(index), slot, &groups[feature.group]);
    }
    for (index, request) in plan.request.iter().enumerate() {
        let slot = SlotWriter::new(0, &request.data_type, style.int64);
        writer.request(&answer.request(index)?, &slot)?;
    }
    for (expression, computed) in plan.expressions.iter().zip(&answer.expressions) {
        writer.computed(computed, &expression.data_type)?;
    }
    let mut out = writer.out;
    out.own().extend_from_slice(b"]}");
    Ok(out)
}

/// What all columns of a group have in common: what stands behind their values. It is written once and repeated in each column.
struct GroupText {
    /// From the end of the values to the end of the column, with the statuses as far as the rows decide them.
    tail: Range<usize>,
    /// The same behind the statuses.
    times: Range<usize>,
}

struct Writer {
    out: Pieces,
    style: Style,
    /// No column was begun yet.
    is_first: bool,
}

impl Writer {
    fn group(&mut self, cells: &[Cell<'_>]) -> GroupText {
        let Style { include, no_time, .. } = self.style;
        let statuses = self.out.keep(|out| {
            if include.values {
                out.push(b']');
            }
            if include.statuses {
                part(out, include.values, "statuses");
                list(out, cells, |out, cell| status(out, cell.status));
            }
        });
        let times = self.out.keep(|out| {
            if include.event_timestamps {
                part(out, include.values || include.statuses, "event_timestamps");
                list(out, cells, |out, cell| match cell.event_time {
                    Some(time) => write::timestamp(out, time.micros()),
                    None => out.extend_from_slice(no_time.as_bytes()),
                });
            }
            out.push(b'}');
        });
        GroupText {
            tail: statuses.start..times.end,
            times,
        }
    }

    fn feature(&mut self, cells: &[Cell<'_>], slot: &SlotWriter, group: &GroupText) {
        self.begin();
        let start = self.out.own().len();
        if self.stored(cells, slot, group).is_err() {
            // A corrupt row: the column is an error as a whole, like a group that cannot be read.
            self.out.own().truncate(start);
            let failed = vec![Cell::FAILED; cells.len()];
            let text = self.group(&failed);
            let _ = self.stored(&failed, slot, &text);
        }
    }

    fn stored(&mut self, cells: &[Cell<'_>], slot: &SlotWriter, group: &GroupText) -> Result<(), PackedError> {
        let include = self.style.include;
        let out = self.out.own();
        let nulls = if include.values {
            out.extend_from_slice(b"\"values\":[");
            slot.write_column(cells.iter().map(|cell| cell.row.as_ref()), out)?
        } else {
            cells
                .iter()
                .any(|cell| cell.row.is_some_and(|row| !row.is_present(slot.slot())))
        };
        if nulls && include.statuses {
            if include.values {
                out.push(b']');
            }
            part(out, include.values, "statuses");
            list(out, cells, |out, cell| {
                let null = cell.row.is_some_and(|row| !row.is_present(slot.slot()));
                status(out, if null { Status::NullValue } else { cell.status });
            });
            self.out.repeat(group.times.clone());
        } else {
            self.out.repeat(group.tail.clone());
        }
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
        let no_time = self.style.no_time.as_bytes();
        self.begin();
        let out = self.out.own();
        if include.values {
            part(out, false, "values");
            list(out, 0..entities, |out, entity| write_at(out, entity));
        }
        if include.statuses {
            part(out, include.values, "statuses");
            list(out, 0..entities, |out, entity| status(out, status_at(entity)));
        }
        if include.event_timestamps {
            part(out, include.values || include.statuses, "event_timestamps");
            list(out, 0..entities, |out, _| out.extend_from_slice(no_time));
        }
        out.push(b'}');
    }

    fn begin(&mut self) {
        let out = self.out.own();
        // Every column but the first stands behind another one, which may be repeated text.
        out.extend_from_slice(if self.is_first { b"{" } else { b",{" });
        self.is_first = false;
    }
}

/// The name of the next part of a column.
fn part(out: &mut Vec<u8>, is_next: bool, name: &str) {
    if is_next {
        out.push(b',');
    }
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
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
