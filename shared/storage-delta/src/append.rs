//! Appending, once per identity.

use std::time::Duration;

use deltalake::{
    DeltaTable,
    kernel::{Action, Transaction},
    protocol::{DeltaOperation, SaveMode},
};
use forebay_model::GroupSchema;
use forebay_storage::{Append, AppendError, CommitIdentity, Committed, Result, StorageError};

use crate::{
    WHAT,
    commit::{self, Commit},
    error,
    table::{Table, is_overtaken, version_of},
    transactions::transaction,
    write::{self, WriteColumns, Written},
};

/// How often a commit is tried while others commit first. Each time somebody else made progress.
const OVERTAKEN: u32 = 100;
/// How often it is tried after errors of which it is unknown whether the commit stands.
const UNCLEAR: u32 = 3;

/// Whether the table holds what an identity stands for.
enum Standing {
    Open,
    Done,
}

pub(crate) async fn append(
    table: &Table,
    schema: &GroupSchema,
    columns: &WriteColumns,
    append: Append,
    memory_bytes: usize,
) -> Result<Committed, AppendError> {
    let base = newest(table, schema).await?;
    if let Standing::Done = standing(table, &base, schema, &append.identity).await? {
        return Ok(repeated(&base));
    }
    let written = write::write_sorted(&base, &table.location, columns, append.rows, memory_bytes).await?;
    let transactions = transactions(schema, &append.identity)?;
    let notes: Vec<_> = append.notes.into_iter().collect();
    let (mut overtaken, mut unclear) = (0, 0);
    // The version that a request of unknown fate would still make, were it carried out late.
    let mut pending = None;
    let mut base = base;
    loop {
        let commit = Commit {
            actions: written.adds.iter().cloned().map(Action::Add).collect(),
            operation: DeltaOperation::Write {
                mode: SaveMode::Append,
                partition_by: None,
                predicate: None,
            },
            transactions: transactions.clone(),
            notes: notes.clone(),
        };
        let failure = match commit::commit_onto(&base, commit).await {
            Ok(version) => return stands(table, version, &written).await,
            Err(failure) => failure,
        };
        if is_overtaken(&failure) {
            overtaken += 1;
        } else {
            unclear += 1;
            pending = Some(version_of(&base) + 1);
            tracing::warn!(group = %schema.name, %failure, "a commit failed; the table is looked at again");
        }
        pause(overtaken, unclear).await;
        base = newest(table, schema).await?;
        // The table tells whether the commit stands, whatever the error said.
        match standing(table, &base, schema, &append.identity).await {
            Ok(Standing::Done) => return stands(table, version_of(&base), &written).await,
            Ok(Standing::Open) if overtaken < OVERTAKEN && unclear < UNCLEAR => {}
            Ok(Standing::Open) => {
                // Otherwise the files stay: the commit may yet come to be, and vacuum takes them if it does not.
                if pending.is_none_or(|pending| pending <= version_of(&base)) {
                    write::discard(&table.location, &written.adds).await;
                }
                return Err(error::from_delta(failure).into());
            }
            Err(moved) => return Err(moved),
        }
    }
}

/// Whether the identity's commit stands in this version.
///
/// # Errors
/// [`AppendError::Moved`] when the log's positions are neither before nor after it.
async fn standing(
    table: &Table,
    base: &DeltaTable,
    schema: &GroupSchema,
    identity: &CommitIdentity,
) -> Result<Standing, AppendError> {
    match identity {
        CommitIdentity::Run(run) => Ok(match transaction(table, base, &run_id(schema, run)).await? {
            Some(_) => Standing::Done,
            None => Standing::Open,
        }),
        CommitIdentity::Positions(advances) => {
            let mut done = 0;
            let mut moved = None;
            for advance in advances {
                let found = position(table, base, schema, advance.partition).await?;
                // A position that does not move says nothing about whether the commit stands.
                if found == advance.to && advance.to != advance.from {
                    done += 1;
                } else if found != advance.from {
                    moved = Some(AppendError::Moved {
                        partition: advance.partition,
                        expected: advance.from,
                        found,
                    });
                }
            }
            let moving = advances.iter().filter(|advance| advance.to != advance.from).count();
            match moved {
                Some(moved) => Err(moved),
                None if done == 0 => Ok(Standing::Open),
                None if done == moving => Ok(Standing::Done),
                None => Err(StorageError::corrupt(
                    WHAT,
                    format!("the table of {} holds a part of one commit's positions", schema.name),
                )
                .into()),
            }
        }
    }
}

/// The offset that a partition of the log stands at in this version.
pub(crate) async fn position(table: &Table, base: &DeltaTable, schema: &GroupSchema, partition: u32) -> Result<u64> {
    let found = transaction(table, base, &position_id(schema, partition)).await?;
    Ok(found.map_or(0, |position| u64::try_from(position).unwrap_or_default()))
}

/// Whether a run's commit stands in this version.
pub(crate) async fn holds_run(table: &Table, base: &DeltaTable, schema: &GroupSchema, run: &str) -> Result<bool> {
    Ok(transaction(table, base, &run_id(schema, run)).await?.is_some())
}

/// What the identifiers of a topic's positions begin with; the partition follows.
pub(crate) fn position_prefix(schema: &GroupSchema) -> String {
    format!("forebay/{}.{}/", schema.id.0, schema.generation.0)
}

fn position_id(schema: &GroupSchema, partition: u32) -> String {
    format!("{}{partition}", position_prefix(schema))
}

fn run_id(schema: &GroupSchema, run: &str) -> String {
    format!("forebay/run/{run}/{}", schema.name)
}

fn transactions(schema: &GroupSchema, identity: &CommitIdentity) -> Result<Vec<Transaction>> {
    Ok(match identity {
        CommitIdentity::Run(run) => vec![Transaction::new(run_id(schema, run), 1)],
        CommitIdentity::Positions(advances) => advances
            .iter()
            .map(|advance| {
                let to = i64::try_from(advance.to)
                    .map_err(|_| StorageError::corrupt(WHAT, format!("offset {} is too large", advance.to)))?;
                Ok(Transaction::new(position_id(schema, advance.partition), to))
            })
            .collect::<Result<_>>()?,
    })
}

async fn newest(table: &Table, schema: &GroupSchema) -> Result<DeltaTable> {
    table.newest().await?.ok_or_else(|| StorageError::NotProvisioned {
        what: WHAT,
        group: schema.name.clone(),
    })
}

async fn stands(table: &Table, version: u64, written: &Written) -> Result<Committed, AppendError> {
    commit::sync_entry(table, version).await?;
    Ok(Committed {
        version,
        rows: written.rows,
        repeated: false,
    })
}

fn repeated(base: &DeltaTable) -> Committed {
    Committed {
        version: version_of(base),
        rows: 0,
        repeated: true,
    }
}

async fn pause(overtaken: u32, unclear: u32) {
    let millis = u64::from(overtaken.min(20)) + 100 * u64::from(unclear);
    tokio::time::sleep(Duration::from_millis(millis)).await;
}
