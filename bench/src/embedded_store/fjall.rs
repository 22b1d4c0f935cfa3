use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};

use super::{CACHE_BYTES, Error, Store};

pub struct Fjall {
    database: Database,
    rows: Keyspace,
    positions: Keyspace,
}

impl Fjall {
    pub fn open(directory: &Path) -> Result<Self, Error> {
        let database = Database::builder(directory).cache_size(CACHE_BYTES as u64).open()?;
        let rows = database.keyspace("rows", || {
            KeyspaceCreateOptions::default().expect_point_read_hits(false)
        })?;
        let positions = database.keyspace("positions", KeyspaceCreateOptions::default)?;
        Ok(Self {
            database,
            rows,
            positions,
        })
    }
}

impl Store for Fjall {
    fn merge(&self, rows: &[(Vec<u8>, Vec<u8>)], position: u64) -> Result<(), Error> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for (key, row) in rows {
            batch.insert(&self.rows, key.as_slice(), row.as_slice());
        }
        batch.insert(&self.positions, "rows", position.to_be_bytes());
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
        Ok(match self.positions.get("rows")? {
            Some(bytes) => u64::from_be_bytes((*bytes).try_into()?),
            None => 0,
        })
    }
}
