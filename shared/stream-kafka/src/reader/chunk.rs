//! Records as they came from the brokers, many in one piece.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;

use forebay_storage::Traced;

use crate::row_log::{identity::RowIdentity, origin::Origin};

/// A record within a chunk. Ranges are of the chunk's bytes.
#[derive(Clone, Debug)]
pub(crate) struct RawRecord {
    pub(crate) offset: u64,
    /// When the broker appended it, ms; `None` when the topic keeps the producers' times instead.
    pub(crate) appended_ms: Option<i64>,
    pub(crate) key: Option<Range<u32>>,
    pub(crate) value: Range<u32>,
    pub(crate) identity: RowIdentity,
}

/// Records of one partition in the order of their offsets.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    bytes: Bytes,
    records: Arc<[RawRecord]>,
    /// Which of them came with sampled requests.
    traces: Arc<[Traced]>,
    /// Those that were not taken yet.
    left: Range<usize>,
}

impl Chunk {
    pub(crate) fn records(&self) -> &[RawRecord] {
        &self.records[self.left.clone()]
    }

    /// Which of the records came with sampled requests.
    pub(crate) fn traces(&self) -> Vec<Traced> {
        let (Some(first), Some(last)) = (self.records().first(), self.records().last()) else {
            return Vec::new();
        };
        let within = self
            .traces
            .iter()
            .filter_map(|traced| traced.within(first.offset, last.offset));
        within.collect()
    }

    pub(crate) fn key(&self, record: &RawRecord) -> Option<Bytes> {
        record.key.as_ref().map(|key| self.slice(key))
    }

    pub(crate) fn key_bytes(&self, record: &RawRecord) -> Option<&[u8]> {
        record
            .key
            .as_ref()
            .map(|key| &self.bytes[key.start as usize..key.end as usize])
    }

    pub(crate) fn value_bytes(&self, record: &RawRecord) -> &[u8] {
        &self.bytes[record.value.start as usize..record.value.end as usize]
    }

    pub(crate) fn value(&self, record: &RawRecord) -> Bytes {
        self.slice(&record.value)
    }

    fn slice(&self, range: &Range<u32>) -> Bytes {
        self.bytes.slice(range.start as usize..range.end as usize)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// Takes records off the front up to about `max_bytes`, at least one.
    pub(crate) fn take(&mut self, max_bytes: usize) -> Self {
        let mut bytes = 0;
        let count = self
            .records()
            .iter()
            .take_while(|record| {
                let fits = bytes == 0 || bytes + record.bytes() <= max_bytes;
                bytes += record.bytes();
                fits
            })
            .count();
        let middle = self.left.start + count;
        let taken = Self {
            left: self.left.start..middle,
            ..self.clone()
        };
        self.left.start = middle;
        taken
    }

    /// Leaves out what stands below `offset`; tells how many bytes.
    pub(crate) fn skip_to(&mut self, offset: u64) -> usize {
        let count = self.records().partition_point(|record| record.offset < offset);
        let skipped = self.records()[..count].iter().map(RawRecord::bytes).sum();
        self.left.start += count;
        skipped
    }

    pub(crate) fn bytes(&self) -> usize {
        self.records().iter().map(RawRecord::bytes).sum()
    }
}

impl RawRecord {
    /// Memory that the record takes.
    pub(crate) fn bytes(&self) -> usize {
        let key = self.key.as_ref().map_or(0, ExactSizeIterator::len);
        key + self.value.len() + size_of::<Self>()
    }
}

/// A chunk that is being filled.
#[derive(Debug, Default)]
pub(crate) struct OpenChunk {
    bytes: Vec<u8>,
    records: Vec<RawRecord>,
    traces: Vec<Traced>,
}

/// Sampled requests that a chunk remembers; rows of more go without a span.
const TRACES: usize = 64;

/// Bytes from which on a chunk is closed.
const CHUNK_BYTES: usize = 256 << 10;

impl OpenChunk {
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= CHUNK_BYTES
    }

    /// Copies a record in; tells its bytes.
    pub(crate) fn push(
        &mut self,
        offset: u64,
        appended_ms: Option<i64>,
        key: Option<&[u8]>,
        value: &[u8],
        origin: Origin,
    ) -> usize {
        if self.bytes.capacity() == 0 {
            self.bytes.reserve(CHUNK_BYTES / 4);
        }
        let mut put = |part: &[u8]| {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(part);
            // A chunk is closed long before, and a record is smaller than 2 GiB by Kafka's format.
            start as u32..self.bytes.len() as u32
        };
        let record = RawRecord {
            offset,
            appended_ms,
            key: key.map(&mut put),
            value: put(value),
            identity: origin.identity,
        };
        if let Some(context) = origin.trace {
            Traced::add(&mut self.traces, offset, context, TRACES);
        }
        let bytes = record.bytes();
        self.records.push(record);
        bytes
    }

    pub(crate) fn close(&mut self) -> Chunk {
        let records: Arc<[RawRecord]> = std::mem::take(&mut self.records).into();
        Chunk {
            bytes: std::mem::take(&mut self.bytes).into(),
            left: 0..records.len(),
            traces: std::mem::take(&mut self.traces).into(),
            records,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_taken_in_pieces() {
        let mut open = OpenChunk::default();
        for offset in 10..20 {
            open.push(offset, Some(1), Some(b"key"), b"value", Origin::default());
        }
        let mut chunk = open.close();
        assert!(open.is_empty());
        let each = chunk.bytes() / 10;
        let offsets = |chunk: &Chunk| chunk.records().iter().map(|record| record.offset).collect::<Vec<_>>();
        assert_eq!(offsets(&chunk.take(1)), [10]);
        assert_eq!(offsets(&chunk.take(3 * each)), [11, 12, 13]);
        assert_eq!(chunk.skip_to(16), 2 * each);
        let rest = chunk.take(usize::MAX);
        assert_eq!(offsets(&rest), [16, 17, 18, 19]);
        assert_eq!(rest.key_bytes(&rest.records()[0]), Some(&b"key"[..]));
        assert_eq!(rest.value(&rest.records()[3]), &b"value"[..]);
        assert!(chunk.is_empty());
    }
}
