//! A group's table as DataFusion sees it: the group's columns, whatever the files were written with.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::{
    catalog::Session,
    common::{DFSchema, Statistics, config::TableParquetOptions, stats::Precision},
    datasource::{
        TableProvider, TableType,
        listing::PartitionedFile,
        physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource},
        source::DataSourceExec,
    },
    error::Result,
    execution::object_store::ObjectStoreUrl,
    logical_expr::{Expr, TableProviderFilterPushDown, utils::conjunction},
    physical_expr::PhysicalExpr,
    physical_plan::{ExecutionPlan, empty::EmptyExec},
};

use crate::{files::DataFile, pruning};

/// One version of a group's table: exactly the columns of the schema it was opened with, absent ones null. Filters on keys and times prune files, row groups
/// and pages; they are not exact, so they stay in the plan. It holds inadmissible rows too.
pub struct GroupTable {
    schema: SchemaRef,
    files: Arc<Vec<DataFile>>,
    store: ObjectStoreUrl,
}

impl std::fmt::Debug for GroupTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GroupTable")
            .field("files", &self.files.len())
            .finish_non_exhaustive()
    }
}

impl GroupTable {
    pub(crate) fn new(schema: SchemaRef, files: Arc<Vec<DataFile>>, store: ObjectStoreUrl) -> Self {
        Self { schema, files, store }
    }

    /// How many rows it has, where the statistics of all files tell.
    #[must_use]
    pub fn rows(&self) -> Option<u64> {
        self.files.iter().map(|file| file.stats.rows).sum()
    }

    /// How many bytes its files have.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

#[async_trait]
impl TableProvider for GroupTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    fn statistics(&self) -> Option<Statistics> {
        Some(statistics(&self.schema, &self.files))
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let predicate = conjunction(filters.iter().cloned())
            .map(|filter| {
                let schema = DFSchema::try_from(self.schema.as_ref().clone())?;
                session.create_physical_expr(filter, &schema)
            })
            .transpose()?;
        let files = pruning::matching(&self.files, predicate.as_ref(), &self.schema);
        let options = session.table_options().parquet.clone();
        scan_files(
            &self.schema,
            &files,
            Scan {
                store: self.store.clone(),
                projection,
                predicate,
                limit,
                partitions: session.config().target_partitions(),
                options,
            },
        )
    }
}

pub(crate) struct Scan<'a> {
    /// The store that the files lie in.
    pub(crate) store: ObjectStoreUrl,
    pub(crate) projection: Option<&'a Vec<usize>>,
    pub(crate) predicate: Option<Arc<dyn PhysicalExpr>>,
    pub(crate) limit: Option<usize>,
    /// At most so many files are read at once.
    pub(crate) partitions: usize,
    pub(crate) options: TableParquetOptions,
}

/// Reads files as batches of `schema`, columns matched by name, cast where their type differs and null where a file lacks them.
pub(crate) fn scan_files(schema: &SchemaRef, files: &[DataFile], scan: Scan<'_>) -> Result<Arc<dyn ExecutionPlan>> {
    if files.is_empty() {
        let projected = match scan.projection {
            Some(projection) => Arc::new(schema.project(projection)?),
            None => schema.clone(),
        };
        return Ok(Arc::new(EmptyExec::new(projected)));
    }
    let mut options = scan.options;
    // Spark writes times as INT96 unless it is told not to.
    options.global.coerce_int96 = Some("us".to_owned());
    options.global.coerce_int96_tz = Some("UTC".to_owned());
    let mut source = ParquetSource::new(schema.clone()).with_table_parquet_options(options);
    if let Some(predicate) = scan.predicate {
        source = source.with_predicate(predicate);
    }
    let partitioned = files.iter().map(partitioned_file).collect();
    let groups = FileGroup::new(partitioned).split_files(scan.partitions.max(1));
    let config = FileScanConfigBuilder::new(scan.store, Arc::new(source))
        .with_file_groups(groups)
        .with_statistics(statistics(schema, files))
        .with_limit(scan.limit)
        .with_projection_indices(scan.projection.cloned())?
        .build();
    Ok(DataSourceExec::from_data_source(config))
}

fn partitioned_file(file: &DataFile) -> PartitionedFile {
    let mut partitioned = PartitionedFile::new(String::new(), file.size);
    partitioned.object_meta.location = file.path.clone();
    partitioned
}

/// Never exact: others' statistics may be wrong, and no answer may be taken from them.
fn statistics(schema: &SchemaRef, files: &[DataFile]) -> Statistics {
    let mut statistics = Statistics::new_unknown(schema);
    if let Some(rows) = files.iter().map(|file| file.stats.rows).sum::<Option<u64>>() {
        statistics.num_rows = Precision::Inexact(usize::try_from(rows).unwrap_or(usize::MAX));
    }
    statistics
}
