//! Tables and types of groups: made, grown and dropped under a lease, so that two registries do not alter one type at once.

use std::{collections::HashMap, sync::Arc};

use forebay_model::{Generation, GroupSchema};
use forebay_storage::{Lease, Result, StorageError};
use scylla::errors::ExecutionError;

use super::{
    CassandraOnlineStore, WHAT, cql_type,
    names::{self, FIXED_FIELDS, ROW, quoted},
};
use crate::{cluster::Statement, failure::failed, leases::CassandraLease};

/// The lease that changes of tables are made under.
const LEASE: &str = "tables";

const FIELDS: Statement = Statement::read(
    WHAT,
    "SELECT field_names, field_types FROM system_schema.types WHERE keyspace_name = ? AND type_name = ?",
);
const COLUMNS: Statement = Statement::read(
    WHAT,
    "SELECT column_name, type FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ?",
);
const TIME_TO_LIVE: Statement = Statement::read(
    WHAT,
    "SELECT default_time_to_live FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?",
);

impl CassandraOnlineStore {
    pub(super) async fn ensure_table(&self, schema: &Arc<GroupSchema>) -> Result<()> {
        if self.lacking(schema).await?.is_empty() {
            return Ok(());
        }
        let _alone = self.changing.lock().await;
        let lease = self.leases.hold(LEASE).await?;
        let made = self.make(schema, &lease).await;
        lease.release().await;
        self.tables.forget(schema);
        made
    }

    async fn make(&self, schema: &Arc<GroupSchema>, lease: &CassandraLease) -> Result<()> {
        // Looked at again: somebody else may have made it while we waited.
        for change in self.lacking(schema).await? {
            if !lease.is_held() {
                return Err(StorageError::TimedOut { what: WHAT });
            }
            self.change(change).await?;
        }
        if self.lacking(schema).await?.is_empty() {
            Ok(())
        } else {
            Err(StorageError::TimedOut { what: WHAT })
        }
    }

    /// The statements that bring type and table to the schema's layout, in order.
    async fn lacking(&self, schema: &GroupSchema) -> Result<Vec<String>> {
        let keyspace = &self.cluster.keyspace;
        let table = names::table(schema);
        let row_type = names::row_type(&table);
        let qualified_type = format!("{keyspace}.{}", quoted(&row_type));
        let altered = |detail: String| StorageError::corrupt(WHAT, format!("table {keyspace}.{table}: {detail}"));
        let mut changes = Vec::new();
        let fields: Option<(Vec<String>, Vec<String>)> = self.cluster.row(&FIELDS, (keyspace, &row_type)).await?;
        match fields {
            None => {
                let fixed = FIXED_FIELDS
                    .iter()
                    .map(|(name, cql_type)| format!("{} {cql_type}", quoted(name)));
                let features = schema.slots.iter().map(|slot| {
                    format!(
                        "{} {}",
                        quoted(slot.name.as_str()),
                        cql_type::of_feature(&slot.data_type)
                    )
                });
                let fields: Vec<_> = fixed.chain(features).collect();
                changes.push(format!(
                    "CREATE TYPE IF NOT EXISTS {qualified_type} ({})",
                    fields.join(", ")
                ));
            }
            Some((names, types)) => {
                let found: HashMap<_, _> = names.into_iter().zip(types).collect();
                for slot in schema.slots.iter() {
                    let wanted = cql_type::of_feature(&slot.data_type);
                    match found.get(slot.name.as_str()) {
                        None => changes.push(format!(
                            "ALTER TYPE {qualified_type} ADD {} {wanted}",
                            quoted(slot.name.as_str())
                        )),
                        Some(found) if !same_type(found, &wanted) => {
                            return Err(altered(format!(
                                "feature `{}` is stored as {found}, not as {wanted}; tables must not be altered by others",
                                slot.name
                            )));
                        }
                        Some(_) => {}
                    }
                }
            }
        }
        let columns: Vec<(String, String)> = self.cluster.rows(&COLUMNS, (keyspace, &table)).await?;
        if columns.is_empty() {
            changes.push(self.create_table(schema, &table, &qualified_type));
            return Ok(changes);
        }
        let columns: HashMap<_, _> = columns.into_iter().collect();
        for key in schema.keys.iter() {
            let wanted = cql_type::of_key(key.key_type);
            if columns.get(key.name.as_str()).is_none_or(|found| found != wanted) {
                return Err(altered(format!("key `{}` is not stored as {wanted}", key.name)));
            }
        }
        let time_to_live: Option<(i32,)> = self.cluster.row(&TIME_TO_LIVE, (keyspace, &table)).await?;
        if time_to_live.is_some_and(|(seconds,)| seconds != 0) {
            return Err(altered(
                "it has a time to live, which breaks which row wins: set default_time_to_live = 0".to_owned(),
            ));
        }
        Ok(changes)
    }

    fn create_table(&self, schema: &GroupSchema, table: &str, row_type: &str) -> String {
        let mut columns = String::new();
        let mut names = Vec::new();
        for key in schema.keys.iter() {
            let name = quoted(key.name.as_str());
            columns += &format!("{name} {}, ", cql_type::of_key(key.key_type));
            names.push(name);
        }
        let options = self.table_options.trim();
        let options = if options.is_empty() {
            String::new()
        } else {
            format!(" WITH {options}")
        };
        format!(
            "CREATE TABLE IF NOT EXISTS {}.{} ({columns}{} frozen<{row_type}>, PRIMARY KEY (({}))){options}",
            self.cluster.keyspace,
            quoted(table),
            quoted(ROW),
            names.join(", "),
        )
    }

    /// Drops the tables of this generation and those before it.
    pub(super) async fn drop_tables(&self, schema: &Arc<GroupSchema>) -> Result<()> {
        let _alone = self.changing.lock().await;
        let lease = self.leases.hold(LEASE).await?;
        let dropped = self.drop_generations(schema).await;
        lease.release().await;
        dropped
    }

    async fn drop_generations(&self, schema: &Arc<GroupSchema>) -> Result<()> {
        let keyspace = &self.cluster.keyspace;
        for generation in 0..=schema.generation.0 {
            let table = names::table_of(schema, Generation(generation));
            self.change(format!("DROP TABLE IF EXISTS {keyspace}.{}", quoted(&table)))
                .await?;
            self.change(format!(
                "DROP TYPE IF EXISTS {keyspace}.{}",
                quoted(&names::row_type(&table))
            ))
            .await?;
            self.tables.forget(&GroupSchema {
                generation: Generation(generation),
                ..(**schema).clone()
            });
        }
        Ok(())
    }

    async fn change(&self, cql: String) -> Result<()> {
        self.cluster
            .change(cql)
            .await
            .map_err(|error: ExecutionError| failed(WHAT, error))
    }
}

/// Whether two texts of a type mean the same: servers write them with or without spaces, and leave `frozen` out of types in which all is frozen.
fn same_type(found: &str, wanted: &str) -> bool {
    let plain = |text: &str| {
        let mut text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        while let Some(start) = text.find("frozen<") {
            let inner = start + "frozen<".len();
            let mut depth = 1;
            let end = text[inner..].find(|c| {
                match c {
                    '<' => depth += 1,
                    '>' => depth -= 1,
                    _ => {}
                }
                depth == 0
            });
            match end {
                Some(end) => {
                    text.remove(inner + end);
                    text.replace_range(start..inner, "");
                }
                None => break,
            }
        }
        text
    };
    plain(found) == plain(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_the_same_however_they_are_written() {
        assert!(same_type(
            "list<frozen<tuple<int>>>",
            "frozen<list<frozen<tuple<int>>>>"
        ));
        assert!(same_type("vector<float,3>", "vector<float, 3>"));
        assert!(!same_type("int", "bigint"));
        assert!(!same_type("frozen<list<float>>", "frozen<list<double>>"));
    }
}
