//! The statements of each group's table, and how its cells are to be read and written.

use std::{collections::HashMap, sync::Arc};

use forebay_model::{Generation, GroupId, GroupSchema, KeyType, LayoutNumber};
use forebay_storage::{Result, StorageError};
use parking_lot::RwLock;
use scylla::{
    frame::response::result::{ColumnType, UserDefinedType},
    statement::prepared::PreparedStatement,
};

use super::{
    WHAT,
    cell::{CellCodec, CellError},
    cql_type,
    names::{self, ROW, quoted},
};
use crate::{
    cluster::Cluster,
    failure::{prepare_is_invalid, unprepared},
};

/// A group's table as it was when its statements were prepared.
pub(super) struct Table {
    /// The newest schema that this process knows.
    pub schema: Arc<GroupSchema>,
    pub key_types: Vec<KeyType>,
    pub codec: CellCodec,
    pub upsert: PreparedStatement,
    pub select: PreparedStatement,
}

type Identity = (GroupId, Generation);

/// All tables that this process has used.
#[derive(Default)]
pub(super) struct Tables {
    known: RwLock<HashMap<Identity, Arc<Table>>>,
    /// One preparation at a time: a hundred requests after a start need one.
    preparing: tokio::sync::Mutex<()>,
}

fn identity(schema: &GroupSchema) -> Identity {
    (schema.id, schema.generation)
}

impl Tables {
    /// The group's table for the newest of the given schema and those given before, prepared if it is not.
    ///
    /// # Errors
    /// [`StorageError::NotProvisioned`] when there is no table, or its type has not all features of the schema yet.
    pub(super) async fn get(&self, cluster: &Cluster, schema: &Arc<GroupSchema>) -> Result<Arc<Table>> {
        if let Some(table) = self.current(schema) {
            return Ok(table);
        }
        let _alone = self.preparing.lock().await;
        if let Some(table) = self.current(schema) {
            return Ok(table);
        }
        let table = Arc::new(prepare(cluster, schema).await?);
        self.known.write().insert(identity(schema), table.clone());
        Ok(table)
    }

    fn current(&self, schema: &GroupSchema) -> Option<Arc<Table>> {
        let known = self.known.read();
        let table = known.get(&identity(schema))?;
        (table.schema.layout >= schema.layout).then(|| table.clone())
    }

    /// The newest schema of the group that this process was told of.
    pub(super) fn newest(&self, schema: &Arc<GroupSchema>) -> Arc<GroupSchema> {
        self.current(schema)
            .map_or_else(|| schema.clone(), |table| table.schema.clone())
    }

    /// A reader has found that the type has more features than when the statements were prepared. They still do; only the cells are longer.
    pub(super) fn grow(&self, table: &Table, codec: CellCodec) {
        let grown = Arc::new(Table {
            schema: table.schema.clone(),
            key_types: table.key_types.clone(),
            codec,
            upsert: table.upsert.clone(),
            select: table.select.clone(),
        });
        let mut known = self.known.write();
        if let Some(current) = known.get_mut(&identity(&table.schema))
            && current.schema.layout == table.schema.layout
        {
            *current = grown;
        }
    }

    /// The table has changed: its statements are to be prepared again. Statements of others that are under way go on with theirs.
    pub(super) fn forget(&self, schema: &GroupSchema) {
        self.known.write().remove(&identity(schema));
    }
}

async fn prepare(cluster: &Cluster, schema: &Arc<GroupSchema>) -> Result<Table> {
    let table = format!("{}.{}", cluster.keyspace, quoted(&names::table(schema)));
    let row = quoted(ROW);
    let keys: Vec<_> = schema
        .keys
        .iter()
        .map(|key| format!("{} = ?", quoted(key.name.as_str())))
        .collect();
    let keys = keys.join(" AND ");
    let upsert = statement(
        cluster,
        schema,
        format!("UPDATE {table} USING TIMESTAMP ? SET {row} = ? WHERE {keys}"),
    )
    .await?;
    let mut select = statement(
        cluster,
        schema,
        format!("SELECT {row}, writetime({row}) FROM {table} WHERE {keys}"),
    )
    .await?;
    select.set_execution_profile_handle(cluster.speculative());
    let altered = |detail: &str| StorageError::corrupt(WHAT, format!("table {table}: {detail}"));
    let columns = upsert.get_variable_col_specs();
    for (index, key) in schema.keys.iter().enumerate() {
        if !columns
            .get_by_index(index + 2)
            .is_some_and(|column| cql_type::is_of_key(column.typ(), key.key_type))
        {
            return Err(altered(&format!("key `{}` is not what it was made as", key.name)));
        }
    }
    let definition = columns
        .get_by_index(1)
        .and_then(|column| row_type(column.typ()))
        .ok_or_else(|| altered("the row is not of a frozen user type"))?;
    let codec = CellCodec::new(schema, definition).map_err(|error| stored(schema, error))?;
    if !codec.is_complete() {
        return Err(not_provisioned(schema));
    }
    Ok(Table {
        key_types: schema.key_types(),
        schema: schema.clone(),
        codec,
        upsert,
        select,
    })
}

/// Cached metadata would tell an old shape of the type after another process has added a feature, so every answer brings its own.
async fn statement(cluster: &Cluster, schema: &GroupSchema, cql: String) -> Result<PreparedStatement> {
    let prepared = tokio::time::timeout(cluster.request_timeout, cluster.session.prepare(cql))
        .await
        .map_err(|_| StorageError::TimedOut { what: WHAT })?;
    let mut prepared = prepared.map_err(|error| {
        if prepare_is_invalid(&error) {
            not_provisioned(schema)
        } else {
            unprepared(WHAT, error)
        }
    })?;
    prepared.set_use_cached_result_metadata(false);
    prepared.set_is_idempotent(true);
    Ok(prepared)
}

/// The definition of the type that rows are of.
pub(super) fn row_type<'a, 'b>(told: &'a ColumnType<'b>) -> Option<&'a UserDefinedType<'b>> {
    match told {
        ColumnType::UserDefinedType { definition, .. } => Some(definition),
        _ => None,
    }
}

pub(super) fn not_provisioned(schema: &GroupSchema) -> StorageError {
    StorageError::NotProvisioned {
        what: WHAT,
        group: schema.name.clone(),
    }
}

/// What is wrong with a cell or type, for callers.
pub(super) fn stored(schema: &GroupSchema, error: CellError) -> StorageError {
    let newer = |found| StorageError::NewerLayout {
        group: schema.name.clone(),
        found,
        known: schema.layout,
    };
    match error {
        CellError::OlderType(_) => not_provisioned(schema),
        CellError::NewerRow(found) => newer(found),
        // A cell does not tell the number of its layout, only that it is a later one.
        CellError::NewerCell => newer(LayoutNumber(schema.layout.0.saturating_add(1))),
        other => StorageError::corrupt(WHAT, format!("group {}: {other}", schema.name)),
    }
}
