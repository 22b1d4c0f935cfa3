//! One execution of a group's batch query.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::catalog::{MemorySchemaProvider, SchemaProvider};
use datafusion::common::{Result, ScalarValue, internal_datafusion_err, plan_err};
use datafusion::datasource::TableProvider;
use datafusion::execution::context::SQLOptions;
use datafusion::physical_plan::SendableRecordBatchStream;
use forebay_model::{Duration, GroupSchema, Timestamp};
use forebay_sql::{BatchSql, END, START, TableName};
use forebay_storage::{SourceError, TableVersion};

use crate::engine::BARE_NAMES;
use crate::{AsOfInput, Engine, GroupHistory, InputGroup, WinningRows};

/// What a name in a batch query stands for. Without a version: the newest.
#[derive(Debug, Clone)]
pub enum BatchTable {
    /// A Delta table of others, as it is.
    Source { uri: String, version: Option<TableVersion> },
    /// A group's winning rows.
    Group {
        schema: Arc<GroupSchema>,
        version: Option<TableVersion>,
    },
    /// An input of the query's own.
    Input(Vec<InputFeature>),
}

/// One feature of an input, in the order of its definition.
#[derive(Debug, Clone)]
pub struct InputFeature {
    pub schema: Arc<GroupSchema>,
    pub version: Option<TableVersion>,
    /// The group's.
    pub ttl: Option<Duration>,
    pub feature: String,
    /// Its name in the input.
    pub name: String,
}

/// A batch query over an interval, with all that its names stand for.
#[derive(Debug, Clone)]
pub struct BatchQuery {
    pub sql: BatchSql,
    /// `{{ start }}`, inclusive.
    pub start: Timestamp,
    /// `{{ end }}`, exclusive.
    pub end: Timestamp,
    pub tables: BTreeMap<TableName, BatchTable>,
}

/// A batch query that is running.
pub struct BatchRows {
    /// In no particular order.
    pub rows: SendableRecordBatchStream,
    /// The versions read, by a source's URI or a group's name.
    pub versions: BTreeMap<String, TableVersion>,
}

/// Why a query cannot run.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    #[error(transparent)]
    Table(#[from] SourceError),
    #[error(transparent)]
    Engine(#[from] datafusion::error::DataFusionError),
}

impl Engine {
    /// Starts a batch query. Rows come with the types that planning gave; errors of single rows end the stream.
    ///
    /// # Errors
    /// When a table cannot be opened, or the query does not fit the tables.
    pub async fn run_batch(&self, query: &BatchQuery) -> Result<BatchRows, QueryError> {
        let context = self.session();
        let mut versions = BTreeMap::new();
        for (name, table) in &query.tables {
            let provider = self.open(table, &mut versions).await?;
            let (schema, table) = match name {
                TableName::Bare(table) => (BARE_NAMES, table),
                TableName::Group { domain, group } => (domain.as_str(), group),
                TableName::Other(name) => {
                    return Err(plan_err!("Nothing is called {name}.").unwrap_or_else(QueryError::from));
                }
            };
            register(&context, schema, table, provider)?;
        }
        let read_only = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        let bound = |time: Timestamp| ScalarValue::TimestampMicrosecond(Some(time.micros()), Some("UTC".into()));
        let rows = context
            .sql_with_options(query.sql.engine_sql(), read_only)
            .await?
            .with_param_values(vec![(START, bound(query.start)), (END, bound(query.end))])?
            .execute_stream()
            .await?;
        Ok(BatchRows { rows, versions })
    }

    async fn open(
        &self,
        table: &BatchTable,
        versions: &mut BTreeMap<String, TableVersion>,
    ) -> Result<Arc<dyn TableProvider>, QueryError> {
        match table {
            BatchTable::Source { uri, version } => {
                let table = self.tables().source(uri, *version).await?;
                versions.insert(uri.clone(), table.version);
                Ok(table.provider)
            }
            BatchTable::Group { schema, version } => {
                let history = self.history(schema, *version, versions).await?;
                Ok(Arc::new(WinningRows::new(history, None)))
            }
            BatchTable::Input(features) => {
                let mut groups: Vec<InputGroup> = Vec::new();
                for asked in features {
                    let column = (asked.feature.clone(), asked.name.clone());
                    match groups
                        .iter_mut()
                        .find(|group| group.history.schema.name == asked.schema.name)
                    {
                        Some(group) => group.features.push(column),
                        None => groups.push(InputGroup {
                            history: self.history(&asked.schema, asked.version, versions).await?,
                            ttl: asked.ttl,
                            features: vec![column],
                        }),
                    }
                }
                let order: Vec<String> = features.iter().map(|asked| asked.name.clone()).collect();
                Ok(Arc::new(AsOfInput::try_new(groups, &order)?))
            }
        }
    }

    /// Opens a group's table; within one query all readers see the version that was opened first.
    async fn history(
        &self,
        schema: &Arc<GroupSchema>,
        version: Option<TableVersion>,
        versions: &mut BTreeMap<String, TableVersion>,
    ) -> Result<GroupHistory, QueryError> {
        let name = schema.name.to_string();
        let version = version.or_else(|| versions.get(&name).copied());
        let table = self.tables().group(schema, version).await?;
        versions.insert(name, table.version);
        Ok(GroupHistory {
            schema: Arc::clone(schema),
            table,
        })
    }
}

fn register(
    context: &datafusion::prelude::SessionContext,
    schema: &str,
    table: &str,
    provider: Arc<dyn TableProvider>,
) -> Result<()> {
    let catalog = context
        .catalog_names()
        .first()
        .and_then(|name| context.catalog(name))
        .ok_or_else(|| internal_datafusion_err!("a session has a catalog"))?;
    let tables = match catalog.schema(schema) {
        Some(tables) => tables,
        None => {
            let tables: Arc<dyn SchemaProvider> = Arc::new(MemorySchemaProvider::new());
            catalog.register_schema(schema, Arc::clone(&tables))?;
            tables
        }
    };
    tables.register_table(table.to_owned(), provider)?;
    Ok(())
}
