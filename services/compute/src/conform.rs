//! From a query's answer to a group's rows: types, times, nulls and checks.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, TimestampMicrosecondArray},
    compute::{and, filter_record_batch, nullif},
    datatypes::{Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type, SchemaRef, TimestampMicrosecondType},
    error::ArrowError,
};
use forebay_catalog::Group;
use forebay_model::{
    DataType, Timestamp,
    definitions::{Checks, OnFail},
};
use forebay_sql::{convert, group_schema};
use parking_lot::Mutex;

const EVENT_TIME: &str = "event_time";

/// A row that no check could let through.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("the query gives no column `{0}`")]
    MissingColumn(String),
    #[error("the query gives a row whose key column `{0}` is null: leave such rows out in the query")]
    NullKey(String),
    #[error("the query gives a row whose `event_time` is null: leave such rows out in the query")]
    NullEventTime,
    #[error("the query's column `{column}` does not fit {wanted}: {source}")]
    Value {
        column: String,
        wanted: DataType,
        source: ArrowError,
    },
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}

/// What became of the rows that passed.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Rows that the query gave.
    pub read: AtomicU64,
    /// Left out because their event time has not come yet.
    pub ahead: AtomicU64,
    /// Left out because a check refuses them.
    pub rejected: AtomicU64,
    /// Stored although a check complains.
    pub warned: AtomicU64,
    /// The checks that were not met, and how often.
    pub reasons: Mutex<BTreeMap<String, u64>>,
}

/// Makes rows of one group.
pub(crate) struct Conformer {
    schema: SchemaRef,
    keys: Vec<(String, DataType)>,
    features: Vec<(String, DataType, Option<Checks>)>,
    /// Of rows without event time: the end of the interval.
    default_time: Timestamp,
    now: Timestamp,
    counts: Arc<Counts>,
}

impl Conformer {
    pub fn new(group: &Group, default_time: Timestamp, now: Timestamp, counts: Arc<Counts>) -> Self {
        let keys: Vec<(String, DataType)> = group
            .keys()
            .iter()
            .map(|key| (key.name.to_string(), key.key_type.into()))
            .collect();
        let features: Vec<_> = group
            .schema
            .visible()
            .map(|(_, slot)| {
                let checks = group
                    .feature(slot.name.as_str())
                    .and_then(|feature| feature.definition.checks.clone());
                (slot.name.to_string(), slot.data_type.clone(), checks)
            })
            .collect();
        let schema = group_schema(
            keys.iter().map(|(name, data_type)| (name.as_str(), data_type.clone())),
            features
                .iter()
                .map(|(name, data_type, _)| (name.as_str(), data_type.clone())),
        );
        Self {
            schema,
            keys,
            features,
            default_time,
            now,
            counts,
        }
    }

    /// The group's keys, `event_time` and features of a batch; rows whose time has not come and rows that a check refuses are left
    /// out and counted.
    pub fn conform(&self, batch: &RecordBatch) -> Result<RecordBatch, Unfit> {
        let rows = batch.num_rows();
        self.counts.read.fetch_add(rows as u64, Ordering::Relaxed);
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        for (name, data_type) in &self.keys {
            let column = column(batch, name, data_type)?;
            if column.null_count() > 0 {
                return Err(Unfit::NullKey(name.clone()));
            }
            columns.push(column);
        }
        let times = self.event_times(batch)?;
        let mut keep = up_to(self.now, &times, &self.counts);
        columns.push(Arc::new(times) as ArrayRef);
        for (name, data_type, checks) in &self.features {
            let mut values = column(batch, name, data_type)?;
            if let Some(checks) = checks {
                values = self.check(name, values, data_type, checks, &mut keep)?;
            }
            columns.push(values);
        }
        let conformed = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        if keep.true_count() == rows {
            return Ok(conformed);
        }
        Ok(filter_record_batch(&conformed, &keep)?)
    }

    fn event_times(&self, batch: &RecordBatch) -> Result<TimestampMicrosecondArray, Unfit> {
        if batch.column_by_name(EVENT_TIME).is_none() {
            let times = vec![self.default_time.micros(); batch.num_rows()];
            return Ok(TimestampMicrosecondArray::from(times).with_timezone("UTC"));
        }
        let times = column(batch, EVENT_TIME, &DataType::Timestamp)?;
        if times.null_count() > 0 {
            return Err(Unfit::NullEventTime);
        }
        Ok(times.as_primitive::<TimestampMicrosecondType>().clone())
    }

    fn check(
        &self,
        name: &str,
        values: ArrayRef,
        data_type: &DataType,
        checks: &Checks,
        keep: &mut BooleanArray,
    ) -> Result<ArrayRef, Unfit> {
        let fails = failing(&values, data_type, checks);
        // A row that is left out anyway is counted once.
        let failing = (&fails & &keep.values().clone()).count_set_bits() as u64;
        if failing == 0 {
            return Ok(values);
        }
        let reason = format!("`{name}` must be {}", checks.describe());
        *self.counts.reasons.lock().entry(reason).or_default() += failing;
        match checks.on_fail {
            OnFail::Reject => {
                self.counts.rejected.fetch_add(failing, Ordering::Relaxed);
                *keep = and(keep, &BooleanArray::new(!&fails, None))?;
                Ok(values)
            }
            OnFail::Null => Ok(nullif(&values, &BooleanArray::new(fails, None))?),
            OnFail::Warn => {
                self.counts.warned.fetch_add(failing, Ordering::Relaxed);
                Ok(values)
            }
        }
    }
}

/// Which rows are kept by their time; the others are counted.
fn up_to(now: Timestamp, times: &TimestampMicrosecondArray, counts: &Counts) -> BooleanArray {
    let keep = BooleanArray::from_unary(times, |time| time <= now.micros());
    let ahead = times.len() - keep.true_count();
    counts.ahead.fetch_add(ahead as u64, Ordering::Relaxed);
    keep
}

fn column(batch: &RecordBatch, name: &str, data_type: &DataType) -> Result<ArrayRef, Unfit> {
    let column = batch
        .column_by_name(name)
        .ok_or_else(|| Unfit::MissingColumn(name.to_owned()))?;
    convert(column, data_type).map_err(|source| Unfit::Value {
        column: name.to_owned(),
        wanted: data_type.clone(),
        source,
    })
}

/// Which values a check refuses.
fn failing(values: &ArrayRef, data_type: &DataType, checks: &Checks) -> arrow::buffer::BooleanBuffer {
    let has_range = checks.min.is_some() || checks.max.is_some();
    let refused = |row: usize, admitted: &dyn Fn(usize) -> bool| match values.is_null(row) {
        true => checks.not_null,
        false => !admitted(row),
    };
    let collect = |admitted: &dyn Fn(usize) -> bool| (0..values.len()).map(|row| refused(row, admitted)).collect();
    match data_type {
        DataType::Int32 if has_range => {
            let values = values.as_primitive::<Int32Type>();
            collect(&|row| checks.admits_i64(i64::from(values.value(row))))
        }
        DataType::Int64 if has_range => {
            let values = values.as_primitive::<Int64Type>();
            collect(&|row| checks.admits_i64(values.value(row)))
        }
        DataType::Float32 if has_range => {
            let values = values.as_primitive::<Float32Type>();
            collect(&|row| checks.admits_f64(f64::from(values.value(row))))
        }
        DataType::Float64 if has_range => {
            let values = values.as_primitive::<Float64Type>();
            collect(&|row| checks.admits_f64(values.value(row)))
        }
        DataType::Decimal { scale, .. } if has_range => {
            let values = values.as_primitive::<Decimal128Type>();
            #[allow(clippy::cast_precision_loss)] // a bound has no more digits than a float64
            collect(&|row| checks.admits_f64(values.value(row) as f64 / 10f64.powi(i32::from(*scale))))
        }
        DataType::String if checks.one_of.is_some() => {
            let values = values.as_string::<i32>();
            collect(&|row| checks.admits_str(values.value(row)))
        }
        _ => collect(&|_| true),
    }
}
