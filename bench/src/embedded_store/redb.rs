use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::{Error, Store, replaces};

const ROWS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("rows");
const POSITIONS: TableDefinition<&str, u64> = TableDefinition::new("positions");

pub struct Redb {
    database: Database,
    quick_repair: bool,
}

impl Redb {
    pub fn open(directory: &Path, cache_bytes: usize, quick_repair: bool) -> Result<Self, Error> {
        let database = Database::builder()
            .set_cache_size(cache_bytes)
            .create(directory.join("store.redb"))?;
        let write = database.begin_write()?;
        write.open_table(ROWS)?;
        write.open_table(POSITIONS)?;
        write.commit()?;
        Ok(Self { database, quick_repair })
    }
}

impl Store for Redb {
    fn merge(&self, rows: &[(Vec<u8>, Vec<u8>)], position: u64) -> Result<(), Error> {
        let mut write = self.database.begin_write()?;
        write.set_quick_repair(self.quick_repair);
        {
            let mut table = write.open_table(ROWS)?;
            for (key, row) in rows {
                let wins = replaces(row, table.get(key.as_slice())?.as_ref().map(|stored| stored.value()));
                if wins {
                    table.insert(key.as_slice(), row.as_slice())?;
                }
            }
            write.open_table(POSITIONS)?.insert("rows", position)?;
        }
        Ok(write.commit()?)
    }

    fn read(&self, keys: &[[u8; 12]], take: &mut dyn FnMut(Option<&[u8]>)) -> Result<(), Error> {
        let read = self.database.begin_read()?;
        let table = read.open_table(ROWS)?;
        for key in keys {
            take(table.get(key.as_slice())?.as_ref().map(|row| row.value()));
        }
        Ok(())
    }

    fn position(&self) -> Result<u64, Error> {
        let read = self.database.begin_read()?;
        Ok(read
            .open_table(POSITIONS)?
            .get("rows")?
            .map_or(0, |position| position.value()))
    }
}
