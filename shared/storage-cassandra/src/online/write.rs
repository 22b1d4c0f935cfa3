//! Upserts: one statement per row, many under way at once.

use std::sync::Arc;

use forebay_model::{GroupSchema, limits};
use forebay_storage::{OnlineRow, Result, StorageError};
use futures::{StreamExt, TryStreamExt, stream};
use scylla::errors::ExecutionError;

use super::{
    CassandraOnlineStore, WHAT,
    tables::{Table, not_provisioned, stored},
    values::{KeyValues, UpsertValues},
};
use crate::failure::{failed, is_invalid};

/// Why a row was not written.
enum NotWritten {
    /// What the statement was prepared for is not there any more.
    Stale,
    Error(StorageError),
}

impl CassandraOnlineStore {
    pub(super) async fn upsert_rows(&self, schema: &Arc<GroupSchema>, rows: Vec<OnlineRow>) -> Result<()> {
        let newest = self.tables.newest(schema);
        for again in [false, true] {
            let table = self.tables.get(&self.cluster, &newest).await?;
            match self.write(&table, &rows).await {
                Ok(()) => return Ok(()),
                Err(NotWritten::Error(error)) => return Err(error),
                Err(NotWritten::Stale) if again => break,
                Err(NotWritten::Stale) => self.tables.forget(schema),
            }
        }
        Err(not_provisioned(schema))
    }

    /// Writes all rows; after an error some may be written, which does no harm.
    async fn write(&self, table: &Table, rows: &[OnlineRow]) -> Result<(), NotWritten> {
        stream::iter(0..rows.len())
            .map(|index| self.write_row(table, &rows[index]))
            .buffer_unordered(self.concurrent_writes)
            .try_for_each(|()| async { Ok(()) })
            .await
    }

    async fn write_row(&self, table: &Table, row: &OnlineRow) -> Result<(), NotWritten> {
        if row.key.len() > limits::ENCODED_KEY_LENGTH {
            return Err(NotWritten::Error(StorageError::corrupt(
                WHAT,
                "a key is longer than the limit; rows are checked before they come here",
            )));
        }
        let mut cell = Vec::with_capacity(2 * row.row.len());
        let event_time = table
            .codec
            .encode(&row.row, &mut cell)
            .map_err(|error| NotWritten::Error(stored(&table.schema, error)))?;
        let values = UpsertValues {
            // The smallest number is no timestamp to Cassandra. It lies outside of the times that are admitted.
            timestamp: event_time.micros().max(i64::MIN + 1),
            cell: &cell,
            key: KeyValues {
                key: &row.key,
                types: &table.key_types,
            },
        };
        let _permit = self
            .writes
            .acquire()
            .await
            .map_err(|_| NotWritten::Error(StorageError::Closed { what: WHAT }))?;
        match self.cluster.session.execute_unpaged(&table.upsert, values).await {
            Ok(_) => Ok(()),
            Err(error) => Err(not_written(error)),
        }
    }
}

fn not_written(error: ExecutionError) -> NotWritten {
    if is_invalid(&error) {
        NotWritten::Stale
    } else {
        NotWritten::Error(failed(WHAT, error))
    }
}
