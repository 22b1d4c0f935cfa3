//! What a sink makes of records as they come from the log: rows to take, and records to set aside.
//!
//! Both sinks decide alike, since they look at nothing but the row and its own times: not at the registry, whose checks are for requests, nor at the clock.

use std::sync::Arc;

use bytes::Bytes;
use forebay_catalog::Group;
use forebay_model::{Duration, GroupSchema, Timestamp, admission};
use forebay_rows::{
    KeyText, Layouts, RejectCode, RowHead,
    avro::{AvroEncoder, schema_id, write_wire_head},
    packed::patch_ingest_time,
};
use forebay_storage::{Fetched, LoggedRow, Rejected, Result, StorageError, Topic, Traced, UnreadableRecord};

use super::{batches::of_packed, taken::Taken};

/// What came from one partition.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    /// Rows to take, in order.
    pub(crate) rows: Vec<LoggedRow>,
    /// Records that are no rows or may not be taken in.
    pub(crate) rejected: Vec<Rejected>,
    /// The greatest event time of the rows.
    pub(crate) newest: Option<Timestamp>,
    /// The greatest ingest time of what came.
    pub(crate) reached: Option<Timestamp>,
    /// Which rows came with sampled requests.
    pub(crate) traces: Vec<Traced>,
    /// No row's event time lies beyond this: a row that is slightly ahead is taken in when its time has come, which is its ingest time then.
    pub(crate) ripe_at: Option<Timestamp>,
    pub(crate) bytes: usize,
}

/// Sorts out what was fetched from a partition: all of it, or nothing when a row cannot be read yet.
pub(crate) fn sort_out(
    group: &Group,
    partition: u32,
    fetched: Fetched,
    tolerance: Duration,
    taken: &mut Taken,
    now: Timestamp,
) -> Result<Arrivals> {
    let schema = &group.schema;
    let heads: Vec<RowHead> = fetched
        .rows
        .iter()
        .map(|row| RowHead::read(&row.row))
        .collect::<Result<_, _>>()
        .map_err(|error| of_packed(schema, &error))?;
    if let Some(newer) = heads
        .iter()
        .map(|head| head.layout)
        .find(|layout| *layout > schema.layout)
    {
        return Err(StorageError::NewerLayout {
            group: schema.name.clone(),
            found: newer,
            known: schema.layout,
        });
    }
    let mut arrivals = Arrivals {
        reached: heads.iter().map(|head| head.ingest_time).max(),
        traces: fetched.traces,
        ..Arrivals::default()
    };
    let reject = |record: UnreadableRecord| Rejected {
        group: group.name.clone(),
        topic: Topic::of(schema),
        partition,
        record,
        rejected_at: now,
    };
    for record in fetched.unreadable {
        arrivals.bytes += record.value.len() + record.key.as_ref().map_or(0, Bytes::len);
        arrivals.rejected.push(reject(record));
    }
    // Whatever can fail comes before anything is remembered as taken.
    let judged: Vec<std::result::Result<Timestamp, UnreadableRecord>> = fetched
        .rows
        .iter()
        .zip(&heads)
        .map(|(row, head)| match admitted(head, tolerance) {
            Ok(ingest_time) => Ok(Ok(ingest_time)),
            Err((code, detail)) => Ok(Err(as_record(schema, row, code, detail)?)),
        })
        .collect::<Result<_>>()?;
    for ((mut row, head), judged) in fetched.rows.into_iter().zip(heads).zip(judged) {
        let ingest_time = match judged {
            Ok(ingest_time) => ingest_time,
            Err(record) => {
                arrivals.bytes += record.value.len();
                arrivals.rejected.push(reject(record));
                continue;
            }
        };
        if !taken.take(&row, ingest_time) {
            continue;
        }
        if ingest_time != head.ingest_time {
            let mut bytes = row.row.to_vec();
            // It has a head, so that it is long enough.
            let _ = patch_ingest_time(&mut bytes, ingest_time);
            row.row = bytes.into();
            arrivals.ripe_at = arrivals.ripe_at.max(Some(ingest_time));
        }
        arrivals.newest = arrivals.newest.max(Some(head.event_time));
        arrivals.bytes += row.key.len() + row.row.len();
        arrivals.rows.push(row);
    }
    Ok(arrivals)
}

/// The ingest time of a row that may be taken in. One that lies slightly ahead waits until its event time has come and is taken in then.
fn admitted(head: &RowHead, tolerance: Duration) -> std::result::Result<Timestamp, (RejectCode, String)> {
    let ingest_time = if head.event_time <= head.ingest_time.saturating_add(tolerance) {
        head.ingest_time.max(head.event_time)
    } else {
        head.ingest_time
    };
    match admission::of_stored(Some(head.event_time), Some(ingest_time), Some(head.sequence.raw())) {
        Ok(()) => Ok(ingest_time),
        Err(error @ admission::Inadmissible::Future { .. }) => Err((RejectCode::EventTimeAhead, error.to_string())),
        Err(error) => Err((RejectCode::OutOfRange, error.to_string())),
    }
}

/// A row as a record that its writer would send.
fn as_record(schema: &Arc<GroupSchema>, row: &LoggedRow, code: RejectCode, detail: String) -> Result<UnreadableRecord> {
    let failed = |error| of_packed(schema, &error);
    let layouts = Layouts::new(schema.clone());
    let mut value = Vec::new();
    if let Some(id) = schema_id(schema.id, schema.layout) {
        write_wire_head(&mut value, id);
    }
    let view = layouts.open(&row.row).map_err(failed)?;
    AvroEncoder::new(layouts.clone())
        .encode(&row.key, &view, &mut value)
        .map_err(failed)?;
    let mut key = Vec::new();
    KeyText::new(schema.key_types())
        .write(&row.key, &mut key)
        .map_err(failed)?;
    Ok(UnreadableRecord {
        offset: row.offset,
        code: code.as_str().to_owned(),
        detail,
        key: Some(key.into()),
        value: value.into(),
    })
}
