//! The as-of join from Parquet to Parquet, as one peer of `bench/pit/run.py`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::RecordBatch;
use clap::Parser;
use datafusion::common::{DataFusionError, Result};
use datafusion::config::TableParquetOptions;
use datafusion::dataframe::DataFrameWriteOptions;
use datafusion::datasource::{TableProvider, provider_as_source};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::prelude::{DataFrame, ParquetReadOptions, SessionConfig, SessionContext};
use forebay_query::InOrderExec;
use forebay_query::asof::{AsOfJoinExec, HistoryRoles, KnownAt, SpineRoles, TieHash, Told};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
struct Arguments {
    /// The folder with spine.parquet and feats.parquet.
    data: PathBuf,
    /// The answer, one Parquet file.
    answer: PathBuf,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// 0: rows of any age.
    #[arg(long, default_value_t = 0)]
    ttl_hours: i64,
    /// Over this the join spills.
    #[arg(long, default_value_t = 4096)]
    memory_mb: usize,
    /// Prints the plan with its metrics.
    #[arg(long)]
    explain: bool,
}

/// The recipe has no two rows of one key and time that would need it.
#[derive(Debug)]
struct NoTies;

impl TieHash for NoTies {
    fn hash(&self, rows: &RecordBatch) -> Result<Vec<u64>> {
        Ok(vec![0; rows.num_rows()])
    }
}

#[derive(Debug)]
struct Joined(Arc<dyn ExecutionPlan>);

#[async_trait::async_trait]
impl TableProvider for Joined {
    fn schema(&self) -> arrow::datatypes::SchemaRef {
        self.0.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        _state: &dyn datafusion::catalog::Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match projection {
            Some(columns) if columns.len() < self.schema().fields().len() => Err(DataFusionError::NotImplemented(
                "the benchmark reads all columns".to_owned(),
            )),
            _ => Ok(Arc::clone(&self.0)),
        }
    }
}

async fn scan(state: SessionState, path: PathBuf) -> Result<Arc<dyn ExecutionPlan>> {
    let context = SessionContext::new_with_state(state);
    let path = path
        .to_str()
        .ok_or_else(|| DataFusionError::External("a path in UTF-8".into()))?
        .to_owned();
    context
        .read_parquet(path, ParquetReadOptions::default())
        .await?
        .create_physical_plan()
        .await
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(arguments.threads)
        .enable_all()
        .build()?
        .block_on(run(arguments))
}

async fn run(arguments: Arguments) -> Result<()> {
    let started = Instant::now();
    let mut config = SessionConfig::new().with_target_partitions(arguments.threads);
    // As Forebay's engine sets it.
    config.options_mut().execution.parquet.pushdown_filters = true;
    config.options_mut().execution.parquet.reorder_filters = true;
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(arguments.memory_mb << 20)))
        .build_arc()?;
    let state = SessionStateBuilder::new()
        .with_config(config.clone())
        .with_runtime_env(Arc::clone(&runtime))
        .with_default_features()
        .build();
    let one_partition = SessionStateBuilder::new()
        .with_config(config.with_target_partitions(1))
        .with_runtime_env(runtime)
        .with_default_features()
        .build();
    let spine = scan(one_partition, arguments.data.join("spine.parquet")).await?;
    let spine = Arc::new(InOrderExec::try_new(spine)?);
    let history = scan(state.clone(), arguments.data.join("feats.parquet")).await?;
    let join = AsOfJoinExec::try_new(
        spine,
        history,
        SpineRoles {
            keys: vec![1],
            time: 2,
            known_at: KnownAt::Always,
        },
        HistoryRoles {
            keys: vec![0],
            event_time: 1,
            ingest_time: Some(2),
            sequence: None,
            deleted: None,
            features: (0..10).map(|number| (3 + number, format!("f{number}"))).collect(),
        },
        (arguments.ttl_hours > 0).then_some(arguments.ttl_hours * 3_600_000_000),
        Told::default(),
        Arc::new(NoTies),
    )?;
    let join = Arc::new(Joined(Arc::new(join)));
    let plan = LogicalPlanBuilder::scan("joined", provider_as_source(join), None)?.build()?;
    let mut writer = TableParquetOptions::default();
    writer.global.compression = Some("zstd(3)".to_owned());
    writer.global.maximum_parallel_row_group_writers = 1;
    let frame = DataFrame::new(state, plan);
    let answer = arguments.answer.to_string_lossy().into_owned();
    let options = DataFrameWriteOptions::new().with_single_file_output(true);
    if arguments.explain {
        let physical = frame.clone().create_physical_plan().await?;
        let rows: usize = datafusion::physical_plan::collect(Arc::clone(&physical), frame.task_ctx().into())
            .await?
            .iter()
            .map(RecordBatch::num_rows)
            .sum();
        println!("{rows} rows in {:?}, not written", started.elapsed());
        println!(
            "{}",
            DisplayableExecutionPlan::with_metrics(physical.as_ref()).indent(true)
        );
        return Ok(());
    }
    frame.write_parquet(&answer, options, Some(writer)).await?;
    println!("{{\"seconds\": {:.3}}}", started.elapsed().as_secs_f64());
    Ok(())
}
