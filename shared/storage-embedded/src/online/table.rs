//! The one table of all groups' rows, the progress of consumers, and the schemas of groups that have rows.

use std::{collections::HashMap, ops::Bound, path::Path, sync::Arc};

use forebay_model::{Generation, GroupId, GroupSchema, Timestamp, limits::ENCODED_KEY_LENGTH};
use forebay_rows::packed::{self, PackedError, RowHead};
use forebay_storage::{Result, StorageError};
use heed::{
    CommitOrAbort, Database, Env, RoTxn, RwTxn, WithTls,
    byteorder::BE,
    types::{Bytes, I64, Str},
};
use parking_lot::RwLock;

use super::WHAT;
use crate::lmdb;

/// Group and generation, which begin every table key.
pub(super) type Prefix = [u8; PREFIX];

pub(super) const PREFIX: usize = 6;

/// Rows removed in one transaction.
const REMOVED_AT_ONCE: usize = 50_000;

/// The table's beginning for the rows of one generation of a group.
pub(super) fn prefix(group: GroupId, generation: Generation) -> Prefix {
    let [a, b, c, d] = group.0.to_be_bytes();
    let [e, f] = generation.0.to_be_bytes();
    [a, b, c, d, e, f]
}

pub(super) fn prefix_of(schema: &GroupSchema) -> Prefix {
    prefix(schema.id, schema.generation)
}

/// Rows by table key.
pub(super) type RowTable = Database<'static, Bytes, Bytes>;

pub(super) struct Table {
    pub(super) env: Env,
    pub(super) rows: RowTable,
    /// By consumer.
    pub(super) progress: Database<'static, Str, I64<BE>>,
    /// By prefix, as JSON.
    groups: Database<'static, Bytes, Bytes>,
    /// What `groups` holds.
    schemas: RwLock<HashMap<Prefix, Arc<GroupSchema>>>,
}

impl Table {
    pub(super) fn open(folder: &Path, map_bytes: usize) -> Result<Self> {
        let failed = |error| lmdb::failed(WHAT, error);
        let env = lmdb::open(WHAT, folder, map_bytes, 3)?;
        if env.max_key_size() < PREFIX + ENCODED_KEY_LENGTH {
            let detail = format!(
                "LMDB was built for keys of {} bytes; build it with longer keys",
                env.max_key_size()
            );
            return Err(StorageError::corrupt(WHAT, detail));
        }
        let write = env.write_txn().map_err(failed)?;
        let databases = env.create_databases_and_commit(write, |opener, write| {
            let rows = opener.create_database(write, Some("rows"))?;
            let progress = opener.create_database(write, Some("progress"))?;
            let groups = opener.create_database(write, Some("groups"))?;
            Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit((rows, progress, groups)))
        });
        let (rows, progress, groups): (RowTable, _, Database<'static, Bytes, Bytes>) = databases
            .map_err(failed)?
            .commit()
            .ok_or(StorageError::Closed { what: WHAT })?;
        let mut schemas = HashMap::new();
        {
            let read = env.read_txn().map_err(failed)?;
            for group in groups.iter(&read).map_err(failed)? {
                let (prefix, json) = group.map_err(failed)?;
                let prefix = Prefix::try_from(prefix).map_err(|_| StorageError::corrupt(WHAT, "a group's key"))?;
                let schema: GroupSchema = serde_json::from_slice(json)
                    .map_err(|error| StorageError::corrupt(WHAT, format!("a group's schema: {error}")))?;
                schemas.insert(prefix, Arc::new(schema));
            }
        }
        Ok(Self {
            env,
            rows,
            progress,
            groups,
            schemas: RwLock::new(schemas),
        })
    }

    /// The newest schema seen of a group's generation.
    pub(super) fn schema(&self, schema: &GroupSchema) -> Result<Arc<GroupSchema>> {
        let known = self.schemas.read().get(&prefix_of(schema)).cloned();
        known.ok_or_else(|| StorageError::NotProvisioned {
            what: WHAT,
            group: schema.name.clone(),
        })
    }

    /// All schemas, to compare rows of any group.
    pub(super) fn schemas(&self) -> HashMap<Prefix, Arc<GroupSchema>> {
        self.schemas.read().clone()
    }

    /// Notes a group's schema unless a newer one is noted.
    pub(super) fn note(&self, schema: &Arc<GroupSchema>) -> Result<()> {
        let failed = |error| lmdb::failed(WHAT, error);
        let prefix = prefix_of(schema);
        let is_newer = |known: &HashMap<Prefix, Arc<GroupSchema>>| {
            known
                .get(&prefix)
                .is_none_or(|known| known.layout < schema.layout || known.layout == schema.layout && known != schema)
        };
        if !is_newer(&self.schemas.read()) {
            return Ok(());
        }
        let json = serde_json::to_vec(&**schema).map_err(|error| StorageError::corrupt(WHAT, error.to_string()))?;
        let mut write = self.env.write_txn().map_err(failed)?;
        let mut schemas = self.schemas.write();
        if is_newer(&schemas) {
            self.groups.put(&mut write, &prefix, &json).map_err(failed)?;
            write.commit().map_err(failed)?;
            schemas.insert(prefix, schema.clone());
        }
        Ok(())
    }

    /// The generations of a group that were noted.
    pub(super) fn generations(&self, group: GroupId) -> Vec<Generation> {
        let schemas = self.schemas.read();
        schemas
            .values()
            .filter(|schema| schema.id == group)
            .map(|schema| schema.generation)
            .collect()
    }

    /// Forgets a generation's schema: its rows are unreachable from then on.
    pub(super) fn forget(&self, prefix: &Prefix) -> Result<()> {
        let failed = |error| lmdb::failed(WHAT, error);
        let mut write = self.env.write_txn().map_err(failed)?;
        self.groups.delete(&mut write, prefix).map_err(failed)?;
        write.commit().map_err(failed)?;
        self.schemas.write().remove(prefix);
        Ok(())
    }

    pub(super) fn read(&self) -> Result<RoTxn<'_, WithTls>> {
        self.env.read_txn().map_err(|error| lmdb::failed(WHAT, error))
    }

    pub(super) fn write(&self) -> Result<RwTxn<'_>> {
        self.env.write_txn().map_err(|error| lmdb::failed(WHAT, error))
    }

    /// Removes all rows whose key begins with `prefix`, in transactions of bounded size.
    pub(super) fn remove_rows(&self, prefix: &Prefix) -> Result<()> {
        let failed = |error| lmdb::failed(WHAT, error);
        loop {
            let mut write = self.write()?;
            let mut keys = Vec::new();
            for row in self
                .rows
                .prefix_iter(&write, prefix)
                .map_err(failed)?
                .take(REMOVED_AT_ONCE)
            {
                keys.push(row.map_err(failed)?.0.to_vec());
            }
            for key in &keys {
                self.rows.delete(&mut write, key).map_err(failed)?;
            }
            write.commit().map_err(failed)?;
            if keys.len() < REMOVED_AT_ONCE {
                return Ok(());
            }
        }
    }

    /// Removes rows with an event time before `before` among the `limit` rows after `from`: how many, and the last key looked at if there are more.
    pub(super) fn sweep(
        &self,
        prefix: &Prefix,
        before: Timestamp,
        from: Option<&[u8]>,
        limit: usize,
    ) -> Result<(u64, Option<Vec<u8>>)> {
        let failed = |error| lmdb::failed(WHAT, error);
        let write = self.write()?;
        let mut dead = Vec::new();
        let mut last = None;
        let start = [prefix, from.unwrap_or_default()].concat();
        let start = if from.is_some() {
            Bound::Excluded(&start[..])
        } else {
            Bound::Included(&start[..])
        };
        let bounds: (Bound<&[u8]>, Bound<&[u8]>) = (start, Bound::Unbounded);
        let mut is_whole = true;
        for (seen, row) in self.rows.range(&write, &bounds).map_err(failed)?.enumerate() {
            let (key, row) = row.map_err(failed)?;
            if !key.starts_with(prefix) {
                break;
            }
            if seen == limit {
                is_whole = false;
                break;
            }
            last = Some(key[PREFIX..].to_vec());
            if RowHead::read(row).map_err(corrupt)?.event_time < before {
                dead.push(key.to_vec());
            }
        }
        let removed = self.remove_dead(write, &dead)?;
        Ok((removed, last.filter(|_| !is_whole)))
    }

    fn remove_dead(&self, mut write: RwTxn<'_>, dead: &[Vec<u8>]) -> Result<u64> {
        for key in dead {
            self.rows
                .delete(&mut write, key)
                .map_err(|error| lmdb::failed(WHAT, error))?;
        }
        write.commit().map_err(|error| lmdb::failed(WHAT, error))?;
        Ok(dead.len() as u64)
    }
}

/// Whether a row replaces another of its key, by the newest schema seen of their group.
pub(super) fn wins(
    schemas: &HashMap<Prefix, Arc<GroupSchema>>,
    key: &[u8],
    new: &[u8],
    current: &[u8],
) -> Result<bool> {
    let schema = key
        .first_chunk::<PREFIX>()
        .and_then(|prefix| schemas.get(prefix))
        .ok_or_else(|| StorageError::corrupt(WHAT, "a row of a group that was never made"))?;
    wins_in(schema, new, current)
}

/// Whether a row of the group replaces another of its key.
pub(super) fn wins_in(schema: &Arc<GroupSchema>, new: &[u8], current: &[u8]) -> Result<bool> {
    packed::wins(schema, new, current).map_err(|error| in_group(schema, error))
}

pub(super) fn corrupt(error: PackedError) -> StorageError {
    StorageError::corrupt(WHAT, error.to_string())
}

/// An error of a group's row: one of a newer layout is no damage.
pub(super) fn in_group(schema: &GroupSchema, error: PackedError) -> StorageError {
    match error {
        PackedError::NewerLayout { found, known } => StorageError::NewerLayout {
            group: schema.name.clone(),
            found,
            known,
        },
        error => corrupt(error),
    }
}
