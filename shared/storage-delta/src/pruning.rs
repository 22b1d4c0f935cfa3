//! Which files a predicate can match at all, by the statistics in their log entries.

use std::{collections::HashSet, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, BooleanArray, UInt64Array},
    datatypes::SchemaRef,
};
use datafusion::{
    common::{Column, pruning::PruningStatistics},
    error::Result,
    physical_expr::PhysicalExpr,
    physical_optimizer::pruning::PruningPredicateBuilder,
    scalar::ScalarValue,
};

use crate::{files::DataFile, stats::FileStats};

/// The files that may hold rows for which `predicate` is true.
pub(crate) fn matching(
    files: &[DataFile],
    predicate: Option<&Arc<dyn PhysicalExpr>>,
    schema: &SchemaRef,
) -> Vec<DataFile> {
    let keep = predicate.map(|predicate| keep(files, predicate, schema));
    match keep {
        Some(Ok(keep)) => {
            let kept = files.iter().zip(keep).filter(|(_, keep)| *keep);
            kept.map(|(file, _)| file.clone()).collect()
        }
        Some(Err(failure)) => {
            tracing::debug!(%failure, "a predicate prunes no files");
            files.to_vec()
        }
        None => files.to_vec(),
    }
}

fn keep(files: &[DataFile], predicate: &Arc<dyn PhysicalExpr>, schema: &SchemaRef) -> Result<Vec<bool>> {
    PruningPredicateBuilder::new()
        .with_file_schema(schema.clone())
        .try_build(predicate.clone())?
        .prune(&Statistics { files, schema })
}

struct Statistics<'a> {
    files: &'a [DataFile],
    schema: &'a SchemaRef,
}

impl Statistics<'_> {
    fn bounds(
        &self,
        column: &Column,
        bound: impl Fn(&FileStats, &str, &arrow::datatypes::DataType) -> Option<ScalarValue>,
    ) -> Option<ArrayRef> {
        let data_type = self.schema.field_with_name(&column.name).ok()?.data_type();
        let absent = ScalarValue::try_from(data_type).ok()?;
        let values = self
            .files
            .iter()
            .map(|file| bound(&file.stats, &column.name, data_type).unwrap_or_else(|| absent.clone()));
        let values = ScalarValue::iter_to_array(values).ok()?;
        (values.null_count() < values.len()).then_some(values)
    }
}

impl PruningStatistics for Statistics<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, FileStats::min)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, FileStats::max)
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let counts: UInt64Array = self.files.iter().map(|file| file.stats.nulls(&column.name)).collect();
        (counts.null_count() < counts.len()).then(|| Arc::new(counts) as ArrayRef)
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let counts: UInt64Array = self.files.iter().map(|file| file.stats.rows).collect();
        (counts.null_count() < counts.len()).then(|| Arc::new(counts) as ArrayRef)
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
