//! What the spine tells the history's scan: rows that cannot win need not be read in full.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema, TimeUnit};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, lit};

use parking_lot::RwLock;

use super::exec::HistoryRoles;
use super::index::SpineIndex;
use super::probe::{HistoryColumns, Probe};

/// What filters see of a join: scans keep their filters, in caches too, so these must not keep the index.
#[derive(Debug, Default)]
pub(super) struct Shown(RwLock<Option<Arc<Probe>>>);

impl Shown {
    pub(super) fn show(&self, probe: &Arc<Probe>) {
        *self.0.write() = Some(Arc::clone(probe));
    }

    /// From here on every row passes.
    pub(super) fn hide(&self) {
        *self.0.write() = None;
    }
}

/// True for history rows that are not yet certain to lose, judged by key, times and sequence alone.
///
/// A Parquet scan that takes it reads these columns first, and the features of the remaining rows only.
pub(super) struct MayWin {
    shown: Arc<Shown>,
    /// Keys, event time, then ingest time and sequence where the history has them.
    columns: Vec<Arc<dyn PhysicalExpr>>,
    keys: usize,
    has_ingest_time: bool,
}

impl MayWin {
    /// The filter for one history schema, with the bounds that prune files and row groups in front.
    pub(super) fn predicate(
        shown: &Arc<Shown>,
        probe: &Arc<Probe>,
        roles: &HistoryRoles,
        columns: &[Arc<dyn PhysicalExpr>],
        history: &Schema,
        oldest: Option<i64>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let Some((_, last)) = probe.index.time_range() else {
            return Ok(lit(false));
        };
        shown.show(probe);
        let event_time = &columns[roles.keys.len()];
        let mut bounds = time_bound(event_time, history, Operator::LtEq, last)?;
        if let Some(oldest) = oldest {
            bounds.extend(time_bound(event_time, history, Operator::GtEq, oldest)?);
        }
        bounds.extend(key_bounds(&probe.index, &columns[0], history)?);
        let may_win: Arc<dyn PhysicalExpr> = Arc::new(Self {
            shown: Arc::clone(shown),
            columns: columns.to_vec(),
            keys: roles.keys.len(),
            has_ingest_time: roles.ingest_time.is_some(),
        });
        Ok(bounds.into_iter().rev().fold(may_win, |rest, bound| {
            Arc::new(BinaryExpr::new(bound, Operator::And, rest))
        }))
    }
}

/// No bound where the column has another unit: rounding it must not lose a row.
fn time_bound(
    column: &Arc<dyn PhysicalExpr>,
    schema: &Schema,
    operator: Operator,
    micros: i64,
) -> Result<Vec<Arc<dyn PhysicalExpr>>> {
    let DataType::Timestamp(TimeUnit::Microsecond, zone) = column.data_type(schema)? else {
        return Ok(Vec::new());
    };
    let bound = ScalarValue::TimestampMicrosecond(Some(micros), zone);
    Ok(vec![Arc::new(BinaryExpr::new(
        Arc::clone(column),
        operator,
        lit(bound),
    ))])
}

/// The least and the greatest key of the spine, where the first key column is a single integer.
fn key_bounds(
    index: &SpineIndex,
    column: &Arc<dyn PhysicalExpr>,
    schema: &Schema,
) -> Result<Vec<Arc<dyn PhysicalExpr>>> {
    let Some((least, greatest)) = index.table().int_range() else {
        return Ok(Vec::new());
    };
    let data_type = column.data_type(schema)?;
    if !matches!(data_type, DataType::Int32 | DataType::Int64) {
        return Ok(Vec::new());
    }
    let bounds = [(Operator::GtEq, least), (Operator::LtEq, greatest)];
    Ok(bounds
        .into_iter()
        .filter_map(|(operator, key)| {
            // A bound beyond the column's type excludes nothing.
            let bound = ScalarValue::Int64(Some(key)).cast_to(&data_type).ok()?;
            (!bound.is_null())
                .then(|| Arc::new(BinaryExpr::new(Arc::clone(column), operator, lit(bound))) as Arc<dyn PhysicalExpr>)
        })
        .collect())
}

impl PhysicalExpr for MayWin {
    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.columns.iter().collect()
    }

    fn with_new_children(self: Arc<Self>, columns: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Self {
            shown: Arc::clone(&self.shown),
            columns,
            keys: self.keys,
            has_ingest_time: self.has_ingest_time,
        }))
    }

    fn data_type(&self, _input: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _input: &Schema) -> Result<bool> {
        Ok(false)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let Some(probe) = self.shown.0.read().clone() else {
            return Ok(ColumnarValue::Scalar(ScalarValue::Boolean(Some(true))));
        };
        let arrays = self
            .columns
            .iter()
            .map(|column| column.evaluate(batch)?.into_array(batch.num_rows()))
            .collect::<Result<Vec<_>>>()?;
        let (keys, rest) = arrays.split_at(self.keys);
        let (ingest_time, sequence) = match self.has_ingest_time {
            true => (rest.get(1), rest.get(2)),
            false => (None, rest.get(1)),
        };
        let keys = probe.index.encoder().encode(keys)?;
        let columns = HistoryColumns::new(keys, &rest[0], ingest_time, sequence)?;
        Ok(ColumnarValue::Array(Arc::new(probe.may_win(&columns))))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for MayWin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("may_win(")?;
        for (number, column) in self.columns.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            write!(f, "{comma}{column}")?;
        }
        f.write_str(")")
    }
}

impl fmt::Debug for MayWin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for MayWin {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shown, &other.shown) && self.columns == other.columns
    }
}

impl Eq for MayWin {}

impl Hash for MayWin {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.shown).hash(state);
        self.columns.hash(state);
    }
}
