//! The store itself: which table a call means.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use deltalake::DeltaTable;
use forebay_model::{Clock, GroupSchema, Timestamp};
use forebay_query::{ObjectStores, OfflineTable, OfflineTables};
use forebay_rows::arrow_types::EVENT_TIME;
use forebay_storage::{
    Append, AppendError, Changes, Committed, Compacted, Compaction, NotesOut, OfflineStore, Provision, Result,
    Retention, RowsOut, SourceError, SourceTable, SourceTables, StorageError, TableVersion, Tidied,
};
use futures::StreamExt;
use parking_lot::Mutex;

use crate::{
    LakeLocations, Location, WHAT, added, append,
    clock::{SteadyClock, time_of_store},
    columns, compaction, ensure, log,
    provider::GroupTable,
    purge, rows, sources,
    table::{Table, version_of},
    tidy,
    write::WriteColumns,
};

/// Rows that one append gathers before it sorts and writes a file, in bytes.
const APPEND_MEMORY: usize = 64 << 20;
/// Tables that are remembered; beyond it, those nobody uses are forgotten.
const REMEMBERED: usize = 4_096;

/// Groups' tables under the lake's root, and the tables of others. Clones are one store.
#[derive(Clone)]
pub struct DeltaStore {
    inner: Arc<Inner>,
}

struct Inner {
    locations: LakeLocations,
    clock: Arc<SteadyClock>,
    /// Where compactions spill; without it, where the system keeps temporary files.
    spill: Option<PathBuf>,
    tables: Mutex<HashMap<String, Arc<Table>>>,
}

impl DeltaStore {
    #[must_use]
    pub fn new(locations: LakeLocations, clock: Arc<dyn Clock>) -> Self {
        Self {
            inner: Arc::new(Inner {
                locations,
                clock: Arc::new(SteadyClock::new(clock)),
                spill: None,
                tables: Mutex::default(),
            }),
        }
    }

    /// The same store, before it is used: what its compactions cannot hold in memory goes into this folder.
    #[must_use]
    pub fn spilling_into(self, folder: &Path) -> Self {
        Self {
            inner: Arc::new(Inner {
                locations: self.inner.locations.clone(),
                clock: Arc::clone(&self.inner.clock),
                spill: Some(folder.to_owned()),
                tables: Mutex::default(),
            }),
        }
    }

    #[must_use]
    pub fn locations(&self) -> &LakeLocations {
        &self.inner.locations
    }

    /// Asks whether the lake's root can be reached: one listing of what it begins with.
    ///
    /// # Errors
    /// When its server does not answer, refuses, or has no such bucket.
    pub async fn check(&self) -> Result<()> {
        let root = self.inner.locations.root();
        match root.store().list(Some(root.path())).next().await {
            Some(Err(failure)) => Err(StorageError::unavailable(WHAT, failure)),
            _ => Ok(()),
        }
    }

    /// A version of a group's table, the newest unless one is named, with the columns of `schema`. Inadmissible rows are not left out.
    ///
    /// # Errors
    /// [`StorageError::NotProvisioned`]; [`StorageError::Gone`] for a version that cannot be read any more.
    pub async fn open_group(&self, schema: &GroupSchema, version: Option<TableVersion>) -> Result<OfflineTable> {
        let table = self.group(schema);
        let snapshot = table.at(version).await?.ok_or_else(|| not_provisioned(schema))?;
        ensure::missing(&snapshot, schema)?;
        let columns = columns::arrow_schema(schema);
        let provider = GroupTable::new(columns, table.files(&snapshot)?, table.location.store_url());
        Ok(OfflineTable {
            version: version_of(&snapshot),
            provider: Arc::new(provider),
        })
    }

    /// A version of somebody's table, the newest unless one is named, with the columns that it has.
    ///
    /// # Errors
    /// [`SourceError`].
    pub async fn open_source(&self, uri: &str, version: Option<TableVersion>) -> Result<OfflineTable, SourceError> {
        let (_, snapshot) = self.source_table(uri, version).await?;
        Ok(sources::opened(&snapshot)?)
    }

    async fn source_table(
        &self,
        uri: &str,
        version: Option<TableVersion>,
    ) -> Result<(Arc<Table>, DeltaTable), SourceError> {
        let table = self.table(self.inner.locations.of_uri(uri)?);
        let snapshot = table.at(version).await?.ok_or_else(|| sources::not_found(uri))?;
        Ok((table, snapshot))
    }

    fn group(&self, schema: &GroupSchema) -> Arc<Table> {
        self.table(self.inner.locations.of_group(schema))
    }

    async fn group_newest(&self, schema: &GroupSchema) -> Result<(Arc<Table>, DeltaTable)> {
        let table = self.group(schema);
        let newest = table.newest().await?.ok_or_else(|| not_provisioned(schema))?;
        Ok((table, newest))
    }

    async fn read_positions(&self, schema: &GroupSchema, partitions: u32) -> Result<Vec<u64>> {
        let (table, newest) = self.group_newest(schema).await?;
        let mut positions = Vec::new();
        for partition in 0..partitions {
            positions.push(append::position(&table, &newest, schema, partition).await?);
        }
        Ok(positions)
    }

    async fn holds_run(&self, schema: &GroupSchema, run: &str) -> Result<bool> {
        let (table, newest) = self.group_newest(schema).await?;
        append::holds_run(&table, &newest, schema, run).await
    }

    fn table(&self, location: Location) -> Arc<Table> {
        let mut tables = self.inner.tables.lock();
        if tables.len() > REMEMBERED {
            tables.retain(|_, table| Arc::strong_count(table) > 1);
        }
        let table = tables
            .entry(location.url().to_string())
            .or_insert_with(|| Arc::new(Table::new(location)));
        table.clone()
    }
}

#[async_trait]
impl Provision for DeltaStore {
    fn what(&self) -> &'static str {
        WHAT
    }

    async fn ensure(&self, schema: &Arc<GroupSchema>) -> Result<()> {
        ensure::ensure(&self.group(schema), schema).await
    }

    async fn purge(&self, schema: &Arc<GroupSchema>) -> Result<()> {
        let table = self.group(schema);
        table.forget().await;
        purge::purge(&table.location).await?;
        table.forget().await;
        Ok(())
    }
}

#[async_trait]
impl OfflineStore for DeltaStore {
    // A part of the log that the known version was read from may have been cleaned up since; then it is read anew.
    async fn positions(&self, schema: &Arc<GroupSchema>, partitions: u32) -> Result<Vec<u64>> {
        match self.read_positions(schema, partitions).await {
            Err(StorageError::Gone { .. }) => {
                self.group(schema).forget().await;
                self.read_positions(schema, partitions).await
            }
            answer => answer,
        }
    }

    async fn version(&self, schema: &Arc<GroupSchema>) -> Result<TableVersion> {
        let (_, newest) = self.group_newest(schema).await?;
        Ok(version_of(&newest))
    }

    async fn append(&self, schema: &Arc<GroupSchema>, append: Append) -> Result<Committed, AppendError> {
        let table = self.group(schema);
        let appended = append::append(&table, schema, &write_columns(schema), append, APPEND_MEMORY).await;
        if let Err(AppendError::Storage(_)) = &appended {
            // A part of the log that the known version was read from may have been cleaned up; the next try begins anew.
            table.forget().await;
        }
        appended
    }

    async fn committed_run(&self, schema: &Arc<GroupSchema>, run: &str) -> Result<bool> {
        match self.holds_run(schema, run).await {
            Err(StorageError::Gone { .. }) => {
                self.group(schema).forget().await;
                self.holds_run(schema, run).await
            }
            answer => answer,
        }
    }

    async fn changes(&self, schema: &Arc<GroupSchema>, since: Option<TableVersion>, limit: usize) -> Result<Changes> {
        let (_, newest) = self.group_newest(schema).await?;
        log::changes(&newest, Some(EVENT_TIME), since, limit).await
    }

    async fn unknown_columns(&self, schema: &Arc<GroupSchema>) -> Result<Vec<String>> {
        let (_, newest) = self.group_newest(schema).await?;
        columns::unknown(&newest, schema)
    }

    async fn added_rows(&self, schema: &Arc<GroupSchema>, version: TableVersion) -> Result<Option<RowsOut>> {
        added::added_rows(&self.group(schema), schema, version).await
    }

    async fn rows(&self, schema: &Arc<GroupSchema>, version: Option<TableVersion>) -> Result<(TableVersion, RowsOut)> {
        let table = self.group(schema);
        let snapshot = table.at(version).await?.ok_or_else(|| not_provisioned(schema))?;
        ensure::missing(&snapshot, schema)?;
        let files = table.files(&snapshot)?;
        let rows = rows::stream(&table.location, &columns::arrow_schema(schema), &files)?;
        Ok((version_of(&snapshot), rows))
    }

    async fn notes(&self, schema: &Arc<GroupSchema>, since: Timestamp) -> Result<NotesOut> {
        let (table, newest) = self.group_newest(schema).await?;
        let positions = append::position_prefix(schema);
        Ok(crate::notes::notes(table, newest, positions, since))
    }

    async fn compact(&self, schema: &Arc<GroupSchema>, policy: &Compaction) -> Result<Compacted> {
        let spill = self.inner.spill.as_deref();
        compaction::compact(&self.group(schema), schema, &write_columns(schema), policy, spill).await
    }

    async fn tidy(&self, schema: &Arc<GroupSchema>, retention: &Retention) -> Result<Tidied> {
        let of_store = time_of_store(self.inner.locations.root()).await?;
        tidy::tidy(&self.group(schema), retention, of_store.min(self.inner.clock.now())).await
    }
}

#[async_trait]
impl SourceTables for DeltaStore {
    async fn describe(&self, uri: &str) -> Result<SourceTable, SourceError> {
        let opened = self.open_source(uri, None).await?;
        Ok(SourceTable {
            version: opened.version,
            schema: opened.provider.schema(),
        })
    }

    async fn changes(
        &self,
        uri: &str,
        event_time: Option<&str>,
        since: Option<TableVersion>,
        limit: usize,
    ) -> Result<Changes, SourceError> {
        let (_, newest) = self.source_table(uri, None).await?;
        Ok(log::changes(&newest, event_time, since, limit).await?)
    }
}

#[async_trait]
impl OfflineTables for DeltaStore {
    async fn group(
        &self,
        schema: &Arc<GroupSchema>,
        version: Option<TableVersion>,
    ) -> Result<OfflineTable, SourceError> {
        Ok(self.open_group(schema, version).await?)
    }

    async fn source(&self, uri: &str, version: Option<TableVersion>) -> Result<OfflineTable, SourceError> {
        self.open_source(uri, version).await
    }

    fn locate(&self, uri: &str) -> Result<String, SourceError> {
        Ok(self.inner.locations.url_of(uri)?)
    }

    fn object_stores(&self) -> ObjectStores {
        self.inner.locations.buckets()
    }
}

fn write_columns(schema: &GroupSchema) -> WriteColumns {
    WriteColumns {
        sort: columns::sort_columns(schema),
        statistics: columns::statistics_columns(schema),
    }
}

fn not_provisioned(schema: &GroupSchema) -> StorageError {
    StorageError::NotProvisioned {
        what: WHAT,
        group: schema.name.clone(),
    }
}
