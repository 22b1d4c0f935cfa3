//! Offline tables in memory, for tests of what reads them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{RecordBatch, new_null_array};
use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::datasource::MemTable;
use forebay_model::GroupSchema;
use forebay_rows::arrow_types::{DELETED, EVENT_TIME, Flavor, INGEST_TIME, SEQUENCE, arrow_type, timestamp_type};
use forebay_storage::{SourceError, StorageError, TableVersion};
use parking_lot::Mutex;

use crate::{OfflineTable, OfflineTables};

/// Tables by a group's name or a source's URI. Every added batch is a version.
#[derive(Debug, Default)]
pub struct MemoryTables {
    tables: Mutex<BTreeMap<String, Vec<RecordBatch>>>,
    /// The only place from which files may be read.
    root: Option<std::path::PathBuf>,
}

impl MemoryTables {
    /// With a folder from which files may be read.
    #[must_use]
    pub fn with_root(root: impl Into<std::path::PathBuf>) -> Self {
        Self {
            root: Some(root.into()),
            ..Self::default()
        }
    }

    /// Adds rows of a group: any of its table's columns, the others become null.
    pub fn append(&self, schema: &GroupSchema, rows: &RecordBatch) {
        let table = table_schema(schema);
        let columns = table
            .fields()
            .iter()
            .map(|field| match rows.column_by_name(field.name()) {
                Some(column) => arrow::compute::cast(column, field.data_type()).expect("a column of the group"),
                None => new_null_array(field.data_type(), rows.num_rows()),
            })
            .collect();
        let batch = RecordBatch::try_new(table, columns).expect("rows of the group");
        self.add(&schema.name.to_string(), batch);
    }

    /// Adds rows of a source.
    pub fn add(&self, name: &str, rows: RecordBatch) {
        self.tables.lock().entry(name.to_owned()).or_default().push(rows);
    }

    fn table(
        &self,
        name: &str,
        schema: Option<SchemaRef>,
        version: Option<TableVersion>,
    ) -> Result<OfflineTable, SourceError> {
        let tables = self.tables.lock();
        let batches = tables.get(name).cloned().unwrap_or_default();
        let Some(schema) = schema.or_else(|| Some(batches.first()?.schema())) else {
            return Err(SourceError::NotFound { uri: name.to_owned() });
        };
        let newest = batches.len();
        let version = version.map_or(newest, |version| version as usize);
        // Several partitions, so that tests see what parallel scans give.
        let partitions = batches[..version.min(newest)].iter().map(|batch| vec![batch.clone()]);
        let mut partitions: Vec<_> = partitions.collect();
        if partitions.is_empty() {
            partitions.push(Vec::new());
        }
        let table = MemTable::try_new(schema, partitions)
            .map_err(|error| SourceError::Storage(StorageError::unavailable("memory", error)))?;
        Ok(OfflineTable {
            version: version as TableVersion,
            provider: Arc::new(table),
        })
    }
}

/// The columns of a group's offline table.
fn table_schema(schema: &GroupSchema) -> SchemaRef {
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    let mut fields: Vec<Field> = schema
        .keys
        .iter()
        .map(|key| field(key.name.as_str(), arrow_type(&key.key_type.into(), Flavor::Delta)))
        .collect();
    fields.push(field(EVENT_TIME, timestamp_type()));
    fields.push(field(INGEST_TIME, timestamp_type()));
    fields.push(field(SEQUENCE, arrow::datatypes::DataType::Int64));
    for slot in schema.slots.iter() {
        fields.push(field(slot.name.as_str(), arrow_type(&slot.data_type, Flavor::Delta)));
    }
    fields.push(field(DELETED, arrow::datatypes::DataType::Boolean));
    Arc::new(Schema::new(fields))
}

#[async_trait]
impl OfflineTables for MemoryTables {
    async fn group(
        &self,
        schema: &Arc<GroupSchema>,
        version: Option<TableVersion>,
    ) -> Result<OfflineTable, SourceError> {
        self.table(&schema.name.to_string(), Some(table_schema(schema)), version)
    }

    async fn source(&self, uri: &str, version: Option<TableVersion>) -> Result<OfflineTable, SourceError> {
        self.table(uri, None, version)
    }

    fn locate(&self, uri: &str) -> Result<String, SourceError> {
        let allowed = self
            .root
            .as_ref()
            .map(|root| root.display().to_string())
            .unwrap_or_default();
        match &self.root {
            Some(root) if !uri.contains("..") && !uri.contains("://") && !uri.starts_with('/') => {
                Ok(format!("file://{}", root.join(uri).display()))
            }
            _ => Err(SourceError::NotAllowed {
                uri: uri.to_owned(),
                allowed,
            }),
        }
    }
}
