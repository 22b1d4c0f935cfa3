use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};

use super::{CACHE_BYTES, Error, Store, replaces};

/// How a merge gets into the tree.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A batch: journal, memtable, and a flush later. The journal's length decides how long opening takes after a kill.
    Batch { journal_bytes: u64, memtable_bytes: u64 },
    /// One sorted table, written past journal and memtable.
    Table,
}

pub const DEFAULT: Way = Way::Batch {
    journal_bytes: 512 << 20,
    memtable_bytes: 64 << 20,
};

pub const SHORT_JOURNAL: Way = Way::Batch {
    journal_bytes: 64 << 20,
    memtable_bytes: 24 << 20,
};

/// Sorts before every row, so that the position is in the table of its rows.
const POSITION: &[u8] = b"\0";

pub struct Fjall {
    database: Database,
    rows: Keyspace,
    way: Way,
}

impl Fjall {
    pub fn open(directory: &Path, way: Way) -> Result<Self, Error> {
        let (journal_bytes, memtable_bytes) = match way {
            Way::Batch {
                journal_bytes,
                memtable_bytes,
            } => (journal_bytes, memtable_bytes),
            Way::Table => (64 << 20, 64 << 20),
        };
        let database = Database::builder(directory)
            .cache_size(CACHE_BYTES as u64)
            .max_journaling_size(journal_bytes)
            .worker_threads(2)
            .open()?;
        let rows = database.keyspace("rows", || {
            KeyspaceCreateOptions::default().max_memtable_size(memtable_bytes)
        })?;
        Ok(Self { database, rows, way })
    }
}

impl Store for Fjall {
    fn merge(&self, rows: &[(Vec<u8>, Vec<u8>)], position: u64) -> Result<(), Error> {
        let snapshot = self.database.snapshot();
        let mut wins = Vec::with_capacity(rows.len());
        for (key, row) in rows {
            wins.push(replaces(row, snapshot.get(&self.rows, key)?.as_deref()));
        }
        let winners = rows.iter().zip(wins).filter_map(|(row, wins)| wins.then_some(row));
        if self.way == Way::Table {
            let mut table = self.rows.start_ingestion()?;
            table.write(POSITION, position.to_be_bytes())?;
            for (key, row) in winners {
                table.write(key.as_slice(), row.as_slice())?;
            }
            return Ok(table.finish()?);
        }
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        batch.insert(&self.rows, POSITION, position.to_be_bytes());
        for (key, row) in winners {
            batch.insert(&self.rows, key.as_slice(), row.as_slice());
        }
        Ok(batch.commit()?)
    }

    fn read(&self, keys: &[[u8; 12]], take: &mut dyn FnMut(Option<&[u8]>)) -> Result<(), Error> {
        let snapshot = self.database.snapshot();
        for key in keys {
            take(snapshot.get(&self.rows, key)?.as_deref());
        }
        Ok(())
    }

    fn position(&self) -> Result<u64, Error> {
        Ok(match self.rows.get(POSITION)? {
            Some(bytes) => u64::from_be_bytes((*bytes).try_into()?),
            None => 0,
        })
    }
}
