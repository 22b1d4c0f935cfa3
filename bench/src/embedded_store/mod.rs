//! The choice of the embedded store: the online sink's merges beside point reads, on every candidate.
//!
//! The mix is DESIGN's: an overlay of rows is merged in one key-sorted transaction that also holds the stream position, with fsync, while two threads
//! read points. Every phase runs in a process of its own, so that memory is each phase's own and a kill is a kill.

mod fjall;
mod heed;
mod machine;
mod phases;
mod redb;
mod workload;

pub use machine::machine;
pub use phases::{Report, load, mix, reopen, write_until_killed};
pub use workload::Workload;

use std::path::Path;

/// An error of a candidate; the benchmark only shows it.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// One way to hold rows in a directory.
pub trait Store: Send + Sync {
    /// Writes rows, ascending by key, where they replace the stored ones, and the stream position, all in one transaction that is on disk when this
    /// returns.
    ///
    /// # Errors
    /// Whatever the store says.
    fn merge(&self, rows: &[(Vec<u8>, Vec<u8>)], position: u64) -> Result<(), Error>;

    /// Reads the keys from one snapshot and hands the values over in order; `None` for a key without a row.
    ///
    /// # Errors
    /// Whatever the store says.
    fn read(&self, keys: &[[u8; 12]], take: &mut dyn FnMut(Option<&[u8]>)) -> Result<(), Error>;

    /// The position of the last merge; 0 before the first.
    ///
    /// # Errors
    /// Whatever the store says.
    fn position(&self) -> Result<u64, Error>;
}

/// The stores that were considered, by the name on the command line.
pub const CANDIDATES: &[&str] = &[
    "redb",
    "redb-quick-repair",
    "redb-large-cache",
    "heed",
    "fjall",
    "fjall-short-journal",
    "fjall-tables",
];

/// Memory that a store may use for its cache; LMDB uses the page cache instead.
const CACHE_BYTES: usize = 256 << 20;

/// Opens a candidate's store, making it if it is not there.
///
/// # Errors
/// An unknown name, or whatever the store says.
pub fn open(candidate: &str, directory: &Path) -> Result<Box<dyn Store>, Error> {
    Ok(match candidate {
        "redb" => Box::new(redb::Redb::open(directory, CACHE_BYTES, false)?),
        "redb-quick-repair" => Box::new(redb::Redb::open(directory, CACHE_BYTES, true)?),
        "redb-large-cache" => Box::new(redb::Redb::open(directory, 4 * CACHE_BYTES, true)?),
        "heed" => Box::new(heed::Heed::open(directory)?),
        "fjall" => Box::new(fjall::Fjall::open(directory, fjall::DEFAULT)?),
        "fjall-short-journal" => Box::new(fjall::Fjall::open(directory, fjall::SHORT_JOURNAL)?),
        "fjall-tables" => Box::new(fjall::Fjall::open(directory, fjall::Way::Table)?),
        other => return Err(format!("unknown store {other}; one of {CANDIDATES:?}").into()),
    })
}

/// The winning rule as far as the mix needs it: rows begin with the position of their merge, and the later one wins.
fn replaces(row: &[u8], stored: Option<&[u8]>) -> bool {
    let position = |row: &[u8]| row.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    stored.is_none_or(|stored| position(row) > position(stored))
}
