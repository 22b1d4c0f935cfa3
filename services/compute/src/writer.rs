//! Computed rows on their way into a group's store.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use arrow::{
    array::{ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray},
    datatypes::{Field, Schema},
};
use forebay_model::{GroupSchema, Timestamp};
use forebay_rows::{
    Layouts, RowBatch,
    arrow_types::{INGEST_TIME, SEQUENCE, timestamp_type},
    from_arrow,
    json::RowOptions,
};
use forebay_storage::{Append, BatchId, CommitIdentity, Committed, LogRow, OfflineStore, RowLog, RowsError, RowsIn};
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use uuid::Uuid;

use crate::failure::Failure;

/// Rows that follow the group's schema, of a computation.
pub(crate) type Rows = BoxStream<'static, Result<RecordBatch, RowsError>>;

/// Rows per append to the log.
const LOG_CHUNK: usize = 8_192;

/// A row that the group's stores cannot hold.
#[derive(Debug, thiserror::Error)]
#[error("the query gives a row that cannot be stored{}: {detail}", .field.as_deref().map_or_else(String::new, |field| format!(" (`{field}`)")))]
struct Unstorable {
    field: Option<String>,
    detail: String,
}

/// Appends `rows` to the group's table in one commit that carries the run's identity; none when there are no rows.
pub(crate) async fn commit(
    offline: &dyn OfflineStore,
    schema: &Arc<GroupSchema>,
    run: &str,
    rows: Rows,
    ingest_time: Timestamp,
) -> Result<Option<Committed>, Failure> {
    let layouts = Layouts::new(Arc::clone(schema));
    let mut rows = Box::pin(rows.peekable());
    if rows.as_mut().peek().await.is_none() {
        return Ok(None);
    }
    let rows: RowsIn = rows
        .and_then(move |batch| {
            let stamped = pack(&layouts, &batch).and_then(|_| stamp(&batch, ingest_time));
            async move { stamped }
        })
        .boxed();
    let append = Append {
        identity: CommitIdentity::Run(run.to_owned()),
        rows,
        notes: Default::default(),
    };
    Ok(Some(offline.append(schema, append).await?))
}

/// Appends `rows` to the row log, for a group without a table. Every attempt emits the same rows with the same identities, in the
/// order of their keys and times.
pub(crate) async fn log(
    row_log: &dyn RowLog,
    schema: &Arc<GroupSchema>,
    run: Uuid,
    mut rows: Rows,
    ingest_time: Timestamp,
    written: &AtomicU64,
) -> Result<(), Failure> {
    let layouts = Layouts::new(Arc::clone(schema));
    let mut chunk = 0u64;
    while let Some(batch) = rows.next().await {
        let batch = batch.map_err(|error| Failure::of_rows(&error))?;
        let mut packed = pack(&layouts, &batch).map_err(|error| Failure::of_rows(&error))?;
        for index in 0..packed.len() {
            packed.set_times(index, packed.event_time(index), ingest_time);
        }
        let packed: Vec<LogRow> = packed.freeze().iter().map(|(key, row)| LogRow { key, row }).collect();
        for rows in packed.chunks(LOG_CHUNK) {
            row_log
                .append(schema, batch_id(run, schema, chunk), rows.to_vec())
                .await?;
            written.fetch_add(rows.len() as u64, Ordering::Relaxed);
            chunk += 1;
        }
    }
    Ok(())
}

/// The same for every attempt of a run.
fn batch_id(run: Uuid, schema: &GroupSchema, chunk: u64) -> BatchId {
    let name = format!("{run}/{}/{chunk}", schema.id.0);
    BatchId(Uuid::from_u128(xxhash_rust::xxh3::xxh3_128(name.as_bytes())))
}

/// Packs rows as the online store will hold them, which tells whether it can.
fn pack(layouts: &Arc<Layouts>, batch: &RecordBatch) -> Result<RowBatch, RowsError> {
    let options = RowOptions {
        // Features that were removed from the definition.
        missing_as_null: true,
        event_time: None,
    };
    let packed = from_arrow::read(layouts, batch, options);
    match packed.rejected.into_iter().next() {
        None => Ok(packed.rows),
        Some((_, reject)) => Err(Box::new(Unstorable {
            field: reject.field.map(String::from),
            detail: reject.detail,
        })),
    }
}

/// Adds when the rows were taken in, which also orders them among those of one key and event time.
fn stamp(batch: &RecordBatch, ingest_time: Timestamp) -> Result<RecordBatch, RowsError> {
    let rows = batch.num_rows();
    let times = TimestampMicrosecondArray::from(vec![ingest_time.micros(); rows]).with_timezone("UTC");
    let sequences = Int64Array::from(vec![ingest_time.micros(); rows]);
    let mut fields: Vec<Arc<Field>> = batch.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(INGEST_TIME, timestamp_type(), true)));
    fields.push(Arc::new(Field::new(SEQUENCE, arrow::datatypes::DataType::Int64, true)));
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::new(times) as ArrayRef);
    columns.push(Arc::new(sequences) as ArrayRef);
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(crate::engine::rows_error)
}
