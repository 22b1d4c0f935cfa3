//! One entry of a segment: some rows of one batch, with a checksum.
//!
//! Little endian: magic u32, length of the body u32, xxh3 of the body u64; then the body: first offset u64, durable u64, batch 16 bytes, rows u32; then for
//! each row its index in the batch u32, length of the key u16, length of the row u32, the key, the packed row. `durable` is the length of the segment that
//! was on disk before this entry was written: whatever lies below it was acknowledged, and must be whole.

use forebay_storage::{BatchId, LogRow};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: u32 = 0x5742_4546;
/// Bytes before the body.
pub(super) const HEADER: usize = 16;
/// Bytes of the body before its rows.
const PREAMBLE: usize = 8 + 8 + 16 + 4;
/// Bytes of a row before its key.
const ROW_HEADER: usize = 4 + 2 + 4;
/// A body is closed when it has grown beyond this, so that a reader finds any offset without reading far.
pub(super) const BODY_TARGET: usize = 256 << 10;
/// No body is larger: a length beyond it is no length.
const BODY_LIMIT: usize = 1 << 30;

/// An encoded entry whose place in the log is not known yet.
#[derive(Debug)]
pub(super) struct Entry {
    bytes: Vec<u8>,
    rows: u32,
}

impl Entry {
    pub(super) fn rows(&self) -> u64 {
        u64::from(self.rows)
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes to write, for an entry that begins with offset `first` and follows `durable` durable bytes.
    pub(super) fn place(&mut self, first: u64, durable: u64) -> &[u8] {
        let body = &mut self.bytes[HEADER..];
        body[..8].copy_from_slice(&first.to_le_bytes());
        body[8..16].copy_from_slice(&durable.to_le_bytes());
        let checksum = xxh3_64(body);
        let length = body.len() as u32;
        self.bytes[..4].copy_from_slice(&MAGIC.to_le_bytes());
        self.bytes[4..8].copy_from_slice(&length.to_le_bytes());
        self.bytes[8..16].copy_from_slice(&checksum.to_le_bytes());
        &self.bytes
    }
}

/// Why rows cannot be an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLarge;

/// Encodes the rows of a batch, as few entries as the target size allows.
pub(super) fn encode(batch: BatchId, rows: &[LogRow]) -> Result<Vec<Entry>, TooLarge> {
    let mut entries = Vec::new();
    let mut open: Option<Entry> = None;
    for (index, row) in rows.iter().enumerate() {
        let entry = open.get_or_insert_with(|| begin(batch));
        let index = u32::try_from(index).map_err(|_| TooLarge)?;
        let key_length = u16::try_from(row.key.len()).map_err(|_| TooLarge)?;
        if row.row.len() > BODY_LIMIT - BODY_TARGET - ROW_HEADER - PREAMBLE - usize::from(key_length) {
            return Err(TooLarge);
        }
        entry.bytes.extend_from_slice(&index.to_le_bytes());
        entry.bytes.extend_from_slice(&key_length.to_le_bytes());
        entry.bytes.extend_from_slice(&(row.row.len() as u32).to_le_bytes());
        entry.bytes.extend_from_slice(&row.key);
        entry.bytes.extend_from_slice(&row.row);
        entry.rows += 1;
        if entry.bytes.len() >= BODY_TARGET {
            entries.extend(open.take().map(close));
        }
    }
    entries.extend(open.map(close));
    Ok(entries)
}

fn begin(batch: BatchId) -> Entry {
    let mut bytes = vec![0; HEADER + PREAMBLE];
    bytes[HEADER + 16..HEADER + 32].copy_from_slice(batch.0.as_bytes());
    Entry { bytes, rows: 0 }
}

fn close(mut entry: Entry) -> Entry {
    entry.bytes[HEADER + 32..HEADER + PREAMBLE].copy_from_slice(&entry.rows.to_le_bytes());
    entry
}

/// What the bytes at a place of a segment are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Whole(Frame),
    /// The beginning of an entry of that many bytes, of which some are missing here.
    Cut(usize),
    /// No entry.
    Broken,
}

/// The outside of a whole entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) first: u64,
    pub(super) durable: u64,
    pub(super) rows: u64,
    /// Bytes, header included.
    pub(super) len: usize,
}

/// Looks at the beginning of `bytes`. With `verify` the checksum is computed, otherwise the frame is only as good as the disk.
pub(super) fn inspect(bytes: &[u8], verify: bool) -> Found {
    let Some(header) = bytes.first_chunk::<HEADER>() else {
        return Found::Cut(HEADER + PREAMBLE);
    };
    let length = u32_at(header, 4) as usize;
    if u32_at(header, 0) != MAGIC || !(PREAMBLE..=BODY_LIMIT).contains(&length) {
        return Found::Broken;
    }
    let len = HEADER + length;
    if bytes.len() < len {
        return Found::Cut(len);
    }
    let body = &bytes[HEADER..len];
    if verify && xxh3_64(body) != u64_at(header, 8) {
        return Found::Broken;
    }
    Found::Whole(Frame {
        first: u64_at(body, 0),
        durable: u64_at(body, 8),
        rows: u64::from(u32_at(body, 32)),
        len,
    })
}

/// A row within a block of entries: where its key and its packed row are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RowAt {
    pub(super) offset: u64,
    pub(super) batch: BatchId,
    pub(super) index: u32,
    pub(super) key: std::ops::Range<usize>,
    pub(super) row: std::ops::Range<usize>,
}

/// The rows of the whole, verified entry that begins at `start` of `block`; `None` when its lengths contradict each other.
pub(super) fn rows(block: &[u8], start: usize, frame: Frame) -> Option<Vec<RowAt>> {
    let end = start + frame.len;
    let body = start + HEADER;
    let batch = BatchId(Uuid::from_bytes(*block.get(body + 16..)?.first_chunk()?));
    let mut at = body + PREAMBLE;
    let mut rows = Vec::with_capacity(frame.rows.min(BODY_TARGET as u64) as usize);
    for number in 0..frame.rows {
        let header = block.get(at..end)?.first_chunk::<ROW_HEADER>()?;
        let key = at + ROW_HEADER..at + ROW_HEADER + usize::from(u16::from_le_bytes([header[4], header[5]]));
        let row = key.end..key.end + u32_at(header, 6) as usize;
        at = row.end;
        rows.push(RowAt {
            offset: frame.first + number,
            batch,
            index: u32_at(header, 0),
            key,
            row,
        });
    }
    (at == end).then_some(rows)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn row(key: &[u8], row: &[u8]) -> LogRow {
        LogRow {
            key: Bytes::copy_from_slice(key),
            row: Bytes::copy_from_slice(row),
        }
    }

    #[test]
    fn rows_come_back_with_their_places() {
        let batch = BatchId(Uuid::from_u128(7));
        let mut entries = encode(batch, &[row(b"a", b"first"), row(b"", b"second")]).expect("small");
        assert_eq!(entries.len(), 1);
        let bytes = entries[0].place(40, 8).to_vec();
        let Found::Whole(frame) = inspect(&bytes, true) else {
            panic!("a whole entry")
        };
        assert_eq!(
            (frame.first, frame.durable, frame.rows, frame.len),
            (40, 8, 2, bytes.len())
        );
        let rows = rows(&bytes, 0, frame).expect("its lengths agree");
        assert_eq!(
            rows.iter().map(|r| (r.offset, r.index)).collect::<Vec<_>>(),
            [(40, 0), (41, 1)]
        );
        assert_eq!(
            (&bytes[rows[0].key.clone()], &bytes[rows[0].row.clone()]),
            (&b"a"[..], &b"first"[..])
        );
        assert_eq!(&bytes[rows[1].row.clone()], b"second");
        assert!(rows.iter().all(|row| row.batch == batch));
    }

    #[test]
    fn a_large_batch_becomes_several_entries() {
        let rows: Vec<_> = (0..10).map(|_| row(b"k", &[1; BODY_TARGET / 4])).collect();
        let entries = encode(BatchId(Uuid::nil()), &rows).expect("fits");
        assert_eq!(entries.iter().map(Entry::rows).collect::<Vec<_>>(), [4, 4, 2]);
    }

    proptest! {
        #[test]
        fn damage_is_seen(at in any::<prop::sample::Index>(), bit in 0..8u8) {
            let mut entries = encode(BatchId(Uuid::nil()), &[row(b"key", b"value")]).expect("small");
            let mut bytes = entries[0].place(1, 0).to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(!matches!(inspect(&bytes, true), Found::Whole(_)));
        }

        #[test]
        fn any_bytes_are_no_entry(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(!matches!(inspect(&bytes, true), Found::Whole(_)));
        }
    }
}
