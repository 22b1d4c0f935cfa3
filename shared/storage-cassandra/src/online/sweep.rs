//! Removing rows that nobody can see any more.

use std::{fmt::Write as _, sync::Arc};

use bytes::Bytes;
use forebay_model::{GroupSchema, Timestamp};
use forebay_storage::{Result, StorageError, Swept};
use futures::{StreamExt, TryStreamExt, stream};
use scylla::{deserialize::row::ColumnIterator, statement::prepared::PreparedStatement};

use super::{
    CassandraOnlineStore, WHAT,
    names::{self, ROW, quoted},
    tables::not_provisioned,
    values::DeleteValues,
};
use crate::failure::{failed, is_invalid, prepare_is_invalid, unprepared};

/// Deletes under way at once: a sweep has time.
const AT_ONCE: usize = 8;

impl CassandraOnlineStore {
    /// Looks at the next rows in the order of their tokens, and deletes those that are old with their own event time: a newer row that comes meanwhile has a
    /// greater timestamp and stays. The partition is deleted, not the cell, since scans count the tombstones of cells and give up when there are too many.
    ///
    /// Where to go on is the token of the last row. Should another row have the same token and not have been looked at, it stays, and changes no answer.
    pub(super) async fn sweep_table(
        &self,
        schema: &Arc<GroupSchema>,
        before: Timestamp,
        from: Option<Bytes>,
        limit: usize,
    ) -> Result<Swept> {
        let table = self.tables.get(&self.cluster, schema).await?;
        let from = match &from {
            Some(token) => i64::from_be_bytes(
                token[..]
                    .try_into()
                    .map_err(|_| StorageError::corrupt(WHAT, "a sweep goes on where none has been"))?,
            ),
            None => i64::MIN,
        };
        let (select, delete) = self.sweep_statements(&table.schema).await?;
        let limit = i32::try_from(limit.max(1)).unwrap_or(i32::MAX);
        let result = self
            .cluster
            .session
            .execute_unpaged(&select, (from, limit))
            .await
            .map_err(|error| {
                if is_invalid(&error) {
                    not_provisioned(schema)
                } else {
                    failed(WHAT, error)
                }
            })?;
        let corrupt = |error: &dyn std::fmt::Display| StorageError::corrupt(WHAT, error.to_string());
        let rows = result.into_rows_result().map_err(|error| corrupt(&error))?;
        let (mut seen, mut last, mut old) = (0, None, Vec::new());
        for row in rows.rows::<ColumnIterator>().map_err(|error| corrupt(&error))? {
            let mut columns = row.map_err(|error| corrupt(&error))?;
            let mut long = || -> Result<Option<i64>> {
                let Some(column) = columns.next() else { return Ok(None) };
                let slice = column.map_err(|error| corrupt(&error))?.slice;
                Ok(slice
                    .and_then(|slice| slice.as_slice().try_into().ok())
                    .map(i64::from_be_bytes))
            };
            let (token, written) = (long()?, long()?);
            seen += 1;
            last = token.or(last);
            let Some(written) = written else { continue };
            if written < before.micros() {
                let key = columns
                    .map(|column| {
                        let slice = column.map_err(|error| corrupt(&error))?.slice;
                        Ok(slice.map_or_else(Vec::new, |slice| slice.as_slice().to_vec()))
                    })
                    .collect::<Result<Vec<_>>>()?;
                old.push((written, key));
            }
        }
        let removed = old.len() as u64;
        stream::iter(old)
            .map(|(timestamp, key)| {
                let delete = &delete;
                async move {
                    let values = DeleteValues {
                        timestamp,
                        columns: &key,
                    };
                    self.cluster.session.execute_unpaged(delete, values).await
                }
            })
            .buffer_unordered(AT_ONCE)
            .try_for_each(|_| async { Ok(()) })
            .await
            .map_err(|error| failed(WHAT, error))?;
        Ok(Swept {
            removed,
            next: last
                .filter(|_| seen >= limit)
                .map(|token| Bytes::copy_from_slice(&token.to_be_bytes())),
        })
    }

    async fn sweep_statements(&self, schema: &GroupSchema) -> Result<(PreparedStatement, PreparedStatement)> {
        let table = format!("{}.{}", self.cluster.keyspace, quoted(&names::table(schema)));
        let row = quoted(ROW);
        let (mut keys, mut equal) = (String::new(), String::new());
        for (index, key) in schema.keys.iter().enumerate() {
            let name = quoted(key.name.as_str());
            let comma = if index == 0 { "" } else { ", " };
            let and = if index == 0 { "" } else { " AND " };
            // Writing to a string does not fail.
            let _ = write!(keys, "{comma}{name}");
            let _ = write!(equal, "{and}{name} = ?");
        }
        let select =
            format!("SELECT token({keys}), writetime({row}), {keys} FROM {table} WHERE token({keys}) > ? LIMIT ?");
        let delete = format!("DELETE FROM {table} USING TIMESTAMP ? WHERE {equal}");
        Ok((
            self.prepare_sweep(schema, select).await?,
            self.prepare_sweep(schema, delete).await?,
        ))
    }

    async fn prepare_sweep(&self, schema: &GroupSchema, cql: String) -> Result<PreparedStatement> {
        let mut prepared = self.cluster.session.prepare(cql).await.map_err(|error| {
            if prepare_is_invalid(&error) {
                not_provisioned(schema)
            } else {
                unprepared(WHAT, error)
            }
        })?;
        prepared.set_is_idempotent(true);
        prepared.set_use_cached_result_metadata(false);
        Ok(prepared)
    }
}
