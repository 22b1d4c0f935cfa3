use std::path::Path;

use heed::{
    CommitOrAbort, Database, Env, EnvOpenOptions,
    byteorder::BE,
    types::{Bytes, Str, U64},
};

use super::{Error, Store, replaces};

/// The address space that LMDB maps. A store that reaches it must be closed and opened with more.
const MAP_BYTES: usize = 16 << 30;

pub struct Heed {
    env: Env,
    rows: Database<'static, Bytes, Bytes>,
    positions: Database<'static, Str, U64<BE>>,
}

impl Heed {
    /// LMDB cannot be opened safely: a file that another process truncates is undefined behaviour. Here nobody else has the directory.
    #[allow(unsafe_code)]
    pub fn open(directory: &Path) -> Result<Self, Error> {
        let env = unsafe { EnvOpenOptions::new().map_size(MAP_BYTES).max_dbs(2).open(directory)? };
        let write = env.write_txn()?;
        let databases = env.create_databases_and_commit(write, |opener, write| -> Result<_, heed::Error> {
            let rows = opener.create_database::<Bytes, Bytes>(write, Some("rows"))?;
            let positions = opener.create_database::<Str, U64<BE>>(write, Some("positions"))?;
            Ok(CommitOrAbort::<_, ()>::Commit((rows, positions)))
        })?;
        let (rows, positions) = databases.commit().ok_or("the databases were not made")?;
        Ok(Self { env, rows, positions })
    }
}

impl Store for Heed {
    fn merge(&self, rows: &[(Vec<u8>, Vec<u8>)], position: u64) -> Result<(), Error> {
        let mut write = self.env.write_txn()?;
        for (key, row) in rows {
            if replaces(row, self.rows.get(&write, key)?) {
                self.rows.put(&mut write, key, row)?;
            }
        }
        self.positions.put(&mut write, "rows", &position)?;
        Ok(write.commit()?)
    }

    fn read(&self, keys: &[[u8; 12]], take: &mut dyn FnMut(Option<&[u8]>)) -> Result<(), Error> {
        let read = self.env.read_txn()?;
        for key in keys {
            take(self.rows.get(&read, key)?);
        }
        Ok(())
    }

    fn position(&self) -> Result<u64, Error> {
        let read = self.env.read_txn()?;
        Ok(self.positions.get(&read, "rows")?.unwrap_or(0))
    }
}
