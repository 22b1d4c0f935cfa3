//! Point reads: one statement per key, sent to a replica that holds it, many under way at once, all within the deadline.

use std::time::Instant;

use forebay_model::{LayoutNumber, Timestamp, limits};
use forebay_rows::{RowBatch, RowsWriter};
use forebay_storage::{OnlineAnswer, OnlineRead, Result, StorageError};
use futures::{StreamExt, TryStreamExt, future::join_all, stream};
use scylla::{deserialize::row::ColumnIterator, response::query_result::QueryRowsResult};

use super::{
    CassandraOnlineStore, WHAT,
    cell::{CellCodec, at_layout},
    tables::{Table, not_provisioned, row_type, stored},
    values::KeyValues,
};
use crate::failure::{failed, is_invalid};

impl CassandraOnlineStore {
    pub(super) async fn read_groups(&self, reads: &[OnlineRead], deadline: Instant, answer: &mut OnlineAnswer) {
        let groups = join_all(reads.iter().map(|read| self.read_in_time(read, deadline))).await;
        for rows in groups {
            answer.begin();
            match rows {
                Ok(rows) => rows.push_to(answer),
                Err(error) => answer.fail(error),
            }
        }
    }

    async fn read_in_time(&self, read: &OnlineRead, deadline: Instant) -> Result<Rows> {
        if Instant::now() >= deadline {
            return Err(StorageError::TimedOut { what: WHAT });
        }
        if read.is_empty() {
            return Ok(Rows::default());
        }
        tokio::time::timeout_at(deadline.into(), self.read_group(read))
            .await
            .map_err(|_| StorageError::TimedOut { what: WHAT })?
    }

    async fn read_group(&self, read: &OnlineRead) -> Result<Rows> {
        let table = self.tables.get(&self.cluster, &read.schema).await?;
        let found: Vec<_> = stream::iter(0..read.len())
            .map(|index| self.read_key(&table, read.key(index)))
            .buffered(self.concurrent_reads)
            .try_collect()
            .await?;
        let mut rows = Rows::default();
        let mut decoder = Decoder::new(&table);
        for found in &found {
            rows.keys.push(match found {
                Some(result) => decoder.decode(result)?,
                None => None,
            });
        }
        if let Some(codec) = decoder.grown.take() {
            self.tables.grow(&table, codec);
        }
        rows.batches = decoder.finish();
        Ok(rows)
    }

    async fn read_key(&self, table: &Table, key: &[u8]) -> Result<Option<QueryRowsResult>> {
        if key.len() > limits::ENCODED_KEY_LENGTH {
            return Ok(None);
        }
        let _permit = self
            .reads
            .acquire()
            .await
            .map_err(|_| StorageError::Closed { what: WHAT })?;
        let values = KeyValues {
            key,
            types: &table.key_types,
        };
        let result = self.cluster.session.execute_unpaged(&table.select, values).await;
        let result = result.map_err(|error| {
            if is_invalid(&error) {
                self.tables.forget(&table.schema);
                not_provisioned(&table.schema)
            } else {
                failed(WHAT, error)
            }
        })?;
        result.into_rows_result().map(Some).map_err(corrupt)
    }
}

fn corrupt(error: impl std::fmt::Display) -> StorageError {
    StorageError::corrupt(WHAT, error.to_string())
}

/// The rows of one group, packed, and where each key's is.
#[derive(Default)]
struct Rows {
    batches: Vec<RowBatch>,
    /// Batch and index.
    keys: Vec<Option<(usize, usize)>>,
}

impl Rows {
    fn push_to(&self, answer: &mut OnlineAnswer) {
        for key in &self.keys {
            answer.push(key.map(|(batch, row)| self.batches[batch].row(row)));
        }
    }
}

/// Packs the cells of a group's rows, each in the layout that it was written with.
struct Decoder<'a> {
    table: &'a Table,
    /// For a type that has grown since the statements were prepared.
    grown: Option<CellCodec>,
    /// One for each layout that was met: nearly always one in all.
    writers: Vec<(LayoutNumber, RowsWriter)>,
}

impl<'a> Decoder<'a> {
    fn new(table: &'a Table) -> Self {
        Self {
            table,
            grown: None,
            writers: Vec::new(),
        }
    }

    /// Batch and index of the row, if there is one.
    fn decode(&mut self, result: &QueryRowsResult) -> Result<Option<(usize, usize)>> {
        let Some(mut row) = result.maybe_first_row::<ColumnIterator>().map_err(corrupt)? else {
            return Ok(None);
        };
        let mut column = || row.next().transpose().map_err(corrupt);
        let (cell, written) = (column()?, column()?);
        let Some((cell, cell_slice)) = cell.and_then(|cell| cell.slice.map(|slice| (cell, slice))) else {
            // What a deleted row leaves behind for a while.
            return Ok(None);
        };
        let written = written.and_then(|written| written.slice?.as_slice().try_into().ok());
        let written = written.ok_or_else(|| corrupt("a row has no write time"))?;
        let event_time = Timestamp::from_micros(i64::from_be_bytes(written));
        let definition = row_type(cell.spec.typ()).ok_or_else(|| corrupt("a row is not of a user type"))?;
        let codec = self.grown.as_ref().unwrap_or(&self.table.codec);
        if definition.field_types.len() > codec.fields() {
            let grown = CellCodec::new(&self.table.schema, definition);
            self.grown = Some(grown.map_err(|error| stored(&self.table.schema, error))?);
        }
        let codec = self.grown.as_ref().unwrap_or(&self.table.codec);
        let failed = |error| stored(&self.table.schema, error);
        let layout = codec.layout(cell_slice.as_slice()).map_err(failed)?;
        let batch = match self.writers.iter().position(|(of, _)| *of == layout) {
            Some(batch) => batch,
            None => {
                let layouts = if layout == self.table.schema.layout {
                    codec.layouts().clone()
                } else {
                    at_layout(&self.table.schema, layout)
                };
                self.writers.push((layout, RowsWriter::new(layouts)));
                self.writers.len() - 1
            }
        };
        let writer = &mut self.writers[batch].1;
        codec
            .decode(event_time, cell_slice.as_slice(), writer)
            .map_err(failed)?;
        Ok(Some((batch, writer.len() - 1)))
    }

    fn finish(self) -> Vec<RowBatch> {
        self.writers
            .into_iter()
            .map(|(_, writer)| writer.into_batch())
            .collect()
    }
}
