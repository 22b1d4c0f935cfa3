//! A file of a topic: entries one after the other, named after the offset of its first row.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use forebay_model::{Generation, Sequence};
use forebay_rows::packed::patch_sequence;
use forebay_storage::{LoggedRow, Result, StorageError};
use parking_lot::Mutex;

use super::{
    WHAT,
    entry::{self, BODY_TARGET, Found, Frame, HEADER, RowAt},
};
use crate::failure;

const SUFFIX: &str = ".rows";

/// A segment that is read; the last one of its topic is also written, by the topic's leader.
#[derive(Debug)]
pub(super) struct Segment {
    /// The offset of its first row.
    pub(super) first: u64,
    pub(super) path: PathBuf,
    file: File,
    /// Durable bytes; readers go no further.
    durable: AtomicU64,
    /// Some entries, ascending: the offset of an entry's first row and where it begins. Never empty.
    marks: Mutex<Vec<(u64, u64)>>,
}

/// What the last segment of a topic held when it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recovered {
    /// The offset after its last row.
    pub(super) next: u64,
    /// Bytes of an append that was not finished, and were cut off.
    pub(super) torn: u64,
}

/// The segments in a folder, by the offsets in their names, ascending.
pub(super) fn list(folder: &Path) -> io::Result<Vec<u64>> {
    let mut offsets = Vec::new();
    for file in folder.read_dir()? {
        let name = file?.file_name();
        let offset: Option<u64> = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)?.parse().ok());
        offsets.extend(offset);
    }
    offsets.sort_unstable();
    Ok(offsets)
}

/// Makes changes of a folder's entries durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

impl Segment {
    /// Opens the segment that begins at `first`, making it if it is not there.
    pub(super) fn open(folder: &Path, first: u64) -> io::Result<Self> {
        let path = folder.join(format!("{first:020}{SUFFIX}"));
        let is_new = !path.exists();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)?;
        if is_new {
            file.sync_all()?;
            sync_folder(folder)?;
        }
        let durable = AtomicU64::new(file.metadata()?.len());
        Ok(Self {
            first,
            path,
            file,
            durable,
            marks: Mutex::new(vec![(first, 0)]),
        })
    }

    pub(super) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// Writes placed entries after the durable ones and makes them durable. After an error the bytes may be there, but nobody reads them.
    pub(super) fn append(&self, bytes: &[u8], marks: &[(u64, u64)]) -> io::Result<()> {
        let durable = self.durable();
        self.file.write_all_at(bytes, durable)?;
        self.file.sync_data()?;
        for &(offset, at) in marks {
            self.mark(offset, at);
        }
        self.durable.store(durable + bytes.len() as u64, Ordering::Release);
        Ok(())
    }

    /// Cuts off what a failed append left behind, so that it cannot come back after a restart.
    pub(super) fn discard_unfinished(&self) -> io::Result<()> {
        self.file.set_len(self.durable())?;
        self.file.sync_all()
    }

    fn mark(&self, offset: u64, at: u64) {
        let mut marks = self.marks.lock();
        if marks.last().is_none_or(|&(_, last)| at >= last + BODY_TARGET as u64) {
            marks.push((offset, at));
        }
    }

    /// Reads the last segment of a topic after a start: checks every entry, and cuts off an append that was not finished.
    ///
    /// An entry that is damaged although a later one says that it was durable is an error: it was acknowledged.
    pub(super) fn recover(&self) -> Result<Recovered> {
        let bytes = self
            .read_at(0, self.durable() as usize)
            .map_err(|error| failure::io(WHAT, error))?;
        let (mut at, mut next) = (0, self.first);
        while at < bytes.len() {
            match entry::inspect(&bytes[at..], true) {
                Found::Whole(frame) if frame.first == next => {
                    self.mark(next, at as u64);
                    at += frame.len;
                    next += frame.rows;
                }
                _ => break,
            }
        }
        let torn = (bytes.len() - at) as u64;
        if torn > 0 {
            if let Some(later) = acknowledged_after(&bytes[at..], at as u64) {
                return Err(self.corrupt(format!(
                    "the entry at byte {at} is damaged, and rows up to offset {} were acknowledged after it",
                    later.first + later.rows
                )));
            }
            self.durable.store(at as u64, Ordering::Release);
            self.discard_unfinished().map_err(|error| failure::io(WHAT, error))?;
        }
        Ok(Recovered { next, torn })
    }

    /// Rows from offset `from` on, about `max_bytes` of them, of this segment alone; none when it has none.
    pub(super) fn read(&self, generation: Generation, from: u64, max_bytes: usize) -> Result<Vec<LoggedRow>> {
        let mut at = {
            let marks = self.marks.lock();
            let after = marks.partition_point(|&(offset, _)| offset <= from);
            marks[after.saturating_sub(1)].1
        };
        let mut want = max_bytes.max(BODY_TARGET);
        while at < self.durable() {
            let available = (self.durable() - at).min(want as u64) as usize;
            let mut block = self.read_at(at, available).map_err(|error| failure::io(WHAT, error))?;
            let mut rows = Vec::new();
            let mut read = 0;
            loop {
                match entry::inspect(&block[read..], false) {
                    Found::Whole(frame) => {
                        if frame.first + frame.rows > from {
                            self.take(&mut block, read, frame, generation, from, &mut rows)?;
                        }
                        self.mark(frame.first, at + read as u64);
                        read += frame.len;
                    }
                    Found::Cut(_) if read > 0 => break,
                    Found::Cut(length) if at + length as u64 <= self.durable() => {
                        want = length;
                        break;
                    }
                    Found::Cut(_) | Found::Broken => return Err(self.damaged(at + read as u64)),
                }
                if read == block.len() || read >= max_bytes && !rows.is_empty() {
                    break;
                }
            }
            if !rows.is_empty() {
                return Ok(logged(block, rows));
            }
            at += read as u64;
        }
        Ok(Vec::new())
    }

    /// Verifies an entry and takes its rows from offset `from` on, their sequences set in place.
    fn take(
        &self,
        block: &mut [u8],
        start: usize,
        frame: Frame,
        generation: Generation,
        from: u64,
        taken: &mut Vec<RowAt>,
    ) -> Result<()> {
        let damaged = || self.damaged(start as u64);
        let Found::Whole(_) = entry::inspect(&block[start..], true) else {
            return Err(damaged());
        };
        let rows = entry::rows(block, start, frame).ok_or_else(damaged)?;
        for row in rows.into_iter().filter(|row| row.offset >= from) {
            let sequence = Sequence::of_position(generation, row.offset).ok_or_else(damaged)?;
            patch_sequence(&mut block[row.row.clone()], sequence).map_err(|_| damaged())?;
            taken.push(row);
        }
        Ok(())
    }

    fn read_at(&self, at: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, at)?;
        Ok(bytes)
    }

    fn damaged(&self, at: u64) -> StorageError {
        self.corrupt(format!("there is no whole entry at byte {at}"))
    }

    fn corrupt(&self, detail: String) -> StorageError {
        StorageError::corrupt(
            WHAT,
            format!("{}: {detail}; restore it from a backup", self.path.display()),
        )
    }
}

/// Of the bytes from `at` on, which begin with a damaged entry: an entry further on that was written when that one was durable already.
fn acknowledged_after(bytes: &[u8], at: u64) -> Option<Frame> {
    (1..bytes.len().saturating_sub(HEADER)).find_map(|start| match entry::inspect(&bytes[start..], true) {
        Found::Whole(frame) if frame.durable > at => Some(frame),
        _ => None,
    })
}

fn logged(block: Vec<u8>, rows: Vec<RowAt>) -> Vec<LoggedRow> {
    let block = Bytes::from(block);
    rows.into_iter()
        .map(|row| LoggedRow {
            offset: row.offset,
            key: block.slice(row.key),
            row: block.slice(row.row),
            batch: row.batch,
            index: row.index,
            // There is one partition.
            ordinal: row.index,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use forebay_storage::{
        BatchId, LogRow,
        conformance::{rows::PlainRow, schemas},
    };
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    /// A segment with so many appends of one row each, and where each of them ends.
    fn segment(folder: &Path, appends: u64) -> (Segment, Vec<u64>) {
        let segment = Segment::open(folder, 0).expect("a file");
        let mut ends = Vec::new();
        for offset in 0..appends {
            let packed = PlainRow::price(offset as i64, 1, 0, 1.0).packed(&schemas::prices(0));
            let row = LogRow {
                key: packed.key,
                row: Bytes::from(packed.row.to_vec()),
            };
            let mut entries = entry::encode(BatchId(Uuid::nil()), &[row]).expect("small");
            let at = segment.durable();
            segment
                .append(entries[0].place(offset, at), &[(offset, at)])
                .expect("appended");
            ends.push(segment.durable());
        }
        (segment, ends)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn a_torn_end_is_cut_off_and_nothing_else(cut in any::<prop::sample::Index>(), garbage in prop::collection::vec(any::<u8>(), 0..200)) {
            let folder = tempfile::tempdir().expect("a folder");
            let (written, ends) = segment(folder.path(), 5);
            let length = cut.index(written.durable() as usize + 1) as u64;
            written.file.set_len(length).expect("cut");
            written.file.write_all_at(&garbage, length).expect("garbage");
            let opened = Segment::open(folder.path(), 0).expect("a file");
            let recovered = opened.recover().expect("it is a torn end");
            let whole = ends.iter().filter(|end| **end <= length).count() as u64;
            prop_assert_eq!(recovered.next, whole);
            prop_assert_eq!(opened.read(Generation(0), 0, usize::MAX).expect("whole").len() as u64, whole);
            let again = Segment::open(folder.path(), 0).expect("a file").recover().expect("whole");
            prop_assert_eq!(again, Recovered { next: whole, torn: 0 });
        }
    }

    #[test]
    fn damage_below_acknowledged_rows_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let (written, ends) = segment(folder.path(), 5);
        written.file.write_all_at(b"?", ends[1] + 40).expect("damage");
        let error = written
            .recover()
            .expect_err("rows after it were acknowledged")
            .to_string();
        assert!(error.contains("were acknowledged after it"), "{error}");
        assert!(
            written.read(Generation(0), 2, 1).is_err(),
            "a reader does not take it for a row either"
        );
        assert_eq!(written.read(Generation(0), 0, 1).expect("the rows before it").len(), 1);
    }
}
