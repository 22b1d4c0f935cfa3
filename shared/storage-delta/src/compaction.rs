//! Merging small files into large sorted ones.

use std::{collections::HashSet, path::Path as LocalPath, sync::Arc};

use arrow::{compute::SortOptions, datatypes::SchemaRef};
use datafusion::{
    execution::{
        TaskContext,
        disk_manager::{DiskManagerBuilder, DiskManagerMode},
        memory_pool::FairSpillPool,
        runtime_env::RuntimeEnvBuilder,
    },
    physical_expr::{LexOrdering, PhysicalSortExpr, expressions::Column},
    physical_plan::{ExecutionPlan, execute_stream, sorts::sort::SortExec},
    prelude::{SessionConfig, SessionContext},
};
use deltalake::{
    DeltaTable,
    kernel::{Action, LogicalFileView},
    protocol::DeltaOperation,
};
use forebay_model::GroupSchema;
use forebay_rows::arrow_types::EVENT_TIME;
use forebay_storage::{Compacted, Compaction, Result, StorageError};
use futures::StreamExt;
use object_store::path::Path;

use crate::{
    WHAT,
    commit::{self, Commit},
    error,
    files::DataFile,
    location::Location,
    provider::{Scan, scan_files},
    sort::ORDER,
    stats::FileStats,
    table::{Table, is_overtaken, version_of},
    write::{self, WriteColumns, Written},
};

/// At most so many bins are merged by one commit, so that it is short and little work is lost when the table moves.
const BINS: usize = 8;

/// How often the commit is made anew while others append.
const OVERTAKEN: u32 = 20;

struct Candidate {
    view: LogicalFileView,
    file: DataFile,
}

/// Merges what is small, if there is enough of it. Files are brought together by their event times, so that time still prunes the merged ones; within each,
/// rows are sorted by key.
pub(crate) async fn compact(
    table: &Table,
    schema: &GroupSchema,
    columns: &WriteColumns,
    policy: &Compaction,
    spill: Option<&LocalPath>,
) -> Result<Compacted> {
    let base = table.newest().await?.ok_or_else(|| StorageError::NotProvisioned {
        what: WHAT,
        group: schema.name.clone(),
    })?;
    let bins = bins(candidates(table, &base, policy)?, policy);
    if bins.is_empty() {
        return Ok(Compacted::Nothing);
    }
    let mut written = Written::default();
    let mut removes = Vec::new();
    for bin in &bins {
        match merge(table, &base, columns, bin, policy, spill).await {
            Ok(merged) => {
                written.adds.extend(merged.adds);
                written.rows += merged.rows;
            }
            Err(failure) => {
                write::discard(&table.location, &written.adds).await;
                // Somebody's vacuum may have taken a file of the version that was read.
                return match failure {
                    StorageError::Gone { .. } => Ok(Compacted::Moved),
                    failure => Err(failure),
                };
            }
        }
        removes.extend(bin.iter().map(|candidate| candidate.view.remove_action(false)));
    }
    let (files_before, files_after) = (removes.len(), written.adds.len());
    let target_size = i64::try_from(policy.target_bytes).unwrap_or(i64::MAX);
    for add in &mut written.adds {
        add.data_change = false;
    }
    let mut base = base;
    for _ in 0..OVERTAKEN {
        let commit = Commit {
            actions: removes
                .iter()
                .cloned()
                .map(Action::Remove)
                .chain(written.adds.iter().cloned().map(Action::Add))
                .collect(),
            operation: DeltaOperation::Optimize {
                predicate: None,
                target_size,
            },
            transactions: Vec::new(),
            notes: Vec::new(),
        };
        match commit::commit_onto(&base, commit).await {
            Ok(version) => {
                commit::sync_entry(table, version).await?;
                return Ok(Compacted::Merged {
                    version,
                    files_before,
                    files_after,
                });
            }
            Err(failure) if is_overtaken(&failure) => {}
            // It may stand: the files stay, and vacuum takes them if it does not.
            Err(failure) => return Err(error::from_delta(failure)),
        }
        // Others only appended if all files that go are in the newest version still; then the same commit is right against that one, too.
        match table.newest().await? {
            Some(newest) if holds_all(table, &newest, &bins)? => base = newest,
            // A store that answers late may have taken the commit and then said that its version exists.
            Some(newest) if holds_any(table, &newest, &written)? => {
                return Ok(Compacted::Merged {
                    version: version_of(&newest),
                    files_before,
                    files_after,
                });
            }
            _ => break,
        }
    }
    write::discard(&table.location, &written.adds).await;
    Ok(Compacted::Moved)
}

/// Whether a version has all files of the bins.
fn holds_all(table: &Table, version: &DeltaTable, bins: &[Vec<Candidate>]) -> Result<bool> {
    let files = table.files(version)?;
    let held: HashSet<&Path> = files.iter().map(|file| &file.path).collect();
    let mut wanted = bins.iter().flatten().map(|candidate| &candidate.file.path);
    Ok(wanted.all(|path| held.contains(path)))
}

/// Whether a version has one of the files written.
fn holds_any(table: &Table, version: &DeltaTable, written: &Written) -> Result<bool> {
    let files = table.files(version)?;
    let mut paths = written.adds.iter().filter_map(|add| table.location.object(&add.path));
    Ok(paths.any(|path| files.iter().any(|file| file.path == path)))
}

fn candidates(table: &Table, base: &DeltaTable, policy: &Compaction) -> Result<Vec<Candidate>> {
    let files = table.files(base)?;
    let log = base.snapshot().map_err(error::from_delta)?.snapshot();
    let log = log.try_log_data().map_err(error::from_delta)?;
    let mut candidates: Vec<Candidate> = log
        .iter()
        .zip(files.iter())
        .filter(|(_, file)| file.size < policy.target_bytes / 2)
        .map(|(view, file)| Candidate {
            view,
            file: file.clone(),
        })
        .collect();
    candidates.sort_by_key(|candidate| FileStats::times(&candidate.file.stats, EVENT_TIME));
    Ok(candidates)
}

/// Neighbours in time whose sizes add up to about one file each.
fn bins(candidates: Vec<Candidate>, policy: &Compaction) -> Vec<Vec<Candidate>> {
    if candidates.len() < policy.min_files.max(2) {
        return Vec::new();
    }
    let mut bins: Vec<Vec<Candidate>> = Vec::new();
    let mut bytes = u64::MAX;
    for candidate in candidates {
        if bytes >= policy.target_bytes {
            bins.push(Vec::new());
            bytes = 0;
        }
        bytes = bytes.saturating_add(candidate.file.size);
        if let Some(bin) = bins.last_mut() {
            bin.push(candidate);
        }
    }
    bins.retain(|bin| bin.len() > 1);
    bins.truncate(BINS);
    bins
}

async fn merge(
    table: &Table,
    base: &DeltaTable,
    columns: &WriteColumns,
    bin: &[Candidate],
    policy: &Compaction,
    spill: Option<&LocalPath>,
) -> Result<Written> {
    let schema = write::file_schema(base)?;
    let files: Vec<DataFile> = bin.iter().map(|candidate| candidate.file.clone()).collect();
    let plan = sorted_plan(&table.location, &schema, &files, columns)?;
    let context = context(&table.location, policy.memory_bytes, spill)?;
    let mut rows = execute_stream(plan, context).map_err(error::from_datafusion)?;
    let mut writer = write::writer(base, columns, Some(policy.target_bytes.saturating_mul(2)))?;
    let mut written = Written::default();
    while let Some(batch) = rows.next().await {
        let step = match batch {
            Ok(batch) => {
                written.rows += batch.num_rows() as u64;
                writer.write(&batch).await.map_err(error::from_delta)
            }
            Err(failure) => Err(error::from_datafusion(failure)),
        };
        if let Err(failure) = step {
            if let Err(leftover) = writer.abort().await {
                tracing::debug!(failure = %leftover, "an unfinished data file stays until vacuum");
            }
            return Err(failure);
        }
    }
    written.adds = writer.close().await.map_err(error::from_delta)?;
    write::finish(&table.location, columns, &mut written.adds).await?;
    check(&table.location, &files, &written)?;
    Ok(written)
}

/// No row may be lost or doubled, whatever else is wrong.
fn check(location: &Location, files: &[DataFile], written: &Written) -> Result<()> {
    let Some(expected) = files.iter().map(|file| file.stats.rows).sum::<Option<u64>>() else {
        return Ok(());
    };
    if expected == written.rows {
        return Ok(());
    }
    Err(StorageError::corrupt(
        WHAT,
        format!(
            "merging files of the table at {location} made {} rows of {expected}; nothing was committed",
            written.rows
        ),
    ))
}

fn sorted_plan(
    location: &Location,
    schema: &SchemaRef,
    files: &[DataFile],
    columns: &WriteColumns,
) -> Result<Arc<dyn ExecutionPlan>> {
    let scan = scan_files(
        schema,
        files,
        Scan {
            store: location.store_url(),
            projection: None,
            predicate: None,
            limit: None,
            partitions: 1,
            options: Default::default(),
        },
    )
    .map_err(error::from_datafusion)?;
    let order = columns.sort.iter().filter_map(|column| {
        let column = Column::new_with_schema(column, schema).ok()?;
        Some(PhysicalSortExpr::new(Arc::new(column), SortOptions { ..ORDER }))
    });
    Ok(match LexOrdering::new(order) {
        Some(order) => Arc::new(SortExec::new(order, scan)),
        None => scan,
    })
}

/// What does not fit in memory is spilled to temporary files in the folder, or else where the system keeps them.
fn context(location: &Location, memory_bytes: usize, spill: Option<&LocalPath>) -> Result<Arc<TaskContext>> {
    let mode = spill.map_or(DiskManagerMode::OsTmpDirectory, |folder| {
        DiskManagerMode::Directories(vec![folder.to_owned()])
    });
    let runtime = RuntimeEnvBuilder::new()
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(mode))
        .with_memory_pool(Arc::new(FairSpillPool::new(memory_bytes)))
        .build_arc()
        .map_err(error::from_datafusion)?;
    location.register(&runtime);
    let config = SessionConfig::new().with_target_partitions(1);
    Ok(SessionContext::new_with_config_rt(config, runtime).task_ctx())
}
