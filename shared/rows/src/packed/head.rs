use forebay_model::{LayoutNumber, RowVersion, Sequence, Timestamp};

use super::{FORMAT, PackedError, chunk};

/// Bytes in the head of a packed row.
pub const HEAD_LENGTH: usize = 28;

/// The sequence of a row whose position in the log is not known yet.
pub const UNSET_SEQUENCE: Sequence = match Sequence::from_raw(0) {
    Some(zero) => zero,
    None => panic!(),
};

const EVENT_TIME: usize = 4;
const INGEST_TIME: usize = 12;
const SEQUENCE: usize = 20;
const DELETED: u8 = 1;

/// What every reader must know of a row before it looks at its features.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowHead {
    pub layout: LayoutNumber,
    pub deleted: bool,
    pub event_time: Timestamp,
    pub ingest_time: Timestamp,
    /// [`UNSET_SEQUENCE`] while the row's position in the log is not known.
    pub sequence: Sequence,
}

impl RowHead {
    /// Reads the head of a packed row.
    ///
    /// # Errors
    /// [`PackedError::Format`], or [`PackedError::Corrupt`] when the bytes are too few or the sequence is negative.
    pub fn read(row: &[u8]) -> Result<Self, PackedError> {
        let head: &[u8; HEAD_LENGTH] = row
            .first_chunk()
            .ok_or(PackedError::Corrupt("shorter than the head of a row"))?;
        if head[0] != FORMAT {
            return Err(PackedError::Format(head[0]));
        }
        if head[1] & !DELETED != 0 {
            return Err(PackedError::Corrupt("unknown flags"));
        }
        let long = |at| i64::from_le_bytes(chunk(head, at).unwrap_or_default());
        Ok(Self {
            layout: LayoutNumber(u16::from_le_bytes([head[2], head[3]])),
            deleted: head[1] & DELETED != 0,
            event_time: Timestamp::from_micros(long(EVENT_TIME)),
            ingest_time: Timestamp::from_micros(long(INGEST_TIME)),
            sequence: Sequence::from_raw(long(SEQUENCE)).ok_or(PackedError::Corrupt("the sequence is negative"))?,
        })
    }

    /// What decides between two rows of one key.
    #[must_use]
    pub fn version(&self) -> RowVersion {
        RowVersion {
            event_time: self.event_time,
            sequence: self.sequence,
        }
    }

    pub(crate) fn bytes(&self) -> [u8; HEAD_LENGTH] {
        let mut head = [0; HEAD_LENGTH];
        head[0] = FORMAT;
        head[1] = if self.deleted { DELETED } else { 0 };
        head[2..4].copy_from_slice(&self.layout.0.to_le_bytes());
        head[EVENT_TIME..INGEST_TIME].copy_from_slice(&self.event_time.micros().to_le_bytes());
        head[INGEST_TIME..SEQUENCE].copy_from_slice(&self.ingest_time.micros().to_le_bytes());
        head[SEQUENCE..].copy_from_slice(&self.sequence.raw().to_le_bytes());
        head
    }
}

/// Sets the sequence of a packed row in place, once its position is known.
///
/// # Errors
/// [`PackedError::Corrupt`] when the bytes are too few for a row.
pub fn patch_sequence(row: &mut [u8], sequence: Sequence) -> Result<(), PackedError> {
    patch(row, SEQUENCE, sequence.raw())
}

/// Sets the ingest time of a packed row in place, once it is known.
///
/// # Errors
/// [`PackedError::Corrupt`] when the bytes are too few for a row.
pub fn patch_ingest_time(row: &mut [u8], ingest_time: Timestamp) -> Result<(), PackedError> {
    patch(row, INGEST_TIME, ingest_time.micros())
}

/// Sets the event time of a packed row in place, for rows that take the moment of their arrival.
///
/// # Errors
/// [`PackedError::Corrupt`] when the bytes are too few for a row.
pub fn patch_event_time(row: &mut [u8], event_time: Timestamp) -> Result<(), PackedError> {
    patch(row, EVENT_TIME, event_time.micros())
}

fn patch(row: &mut [u8], at: usize, value: i64) -> Result<(), PackedError> {
    let head: &mut [u8; HEAD_LENGTH] = row
        .first_chunk_mut()
        .ok_or(PackedError::Corrupt("shorter than the head of a row"))?;
    head[at..at + 8].copy_from_slice(&value.to_le_bytes());
    Ok(())
}
