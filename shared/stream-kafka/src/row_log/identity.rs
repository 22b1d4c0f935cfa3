//! The header that tells which request a row came with.

use forebay_storage::BatchId;
use uuid::Uuid;

/// The header's name. Its value: the batch's id (16 bytes), the row's index in the batch and its ordinal in the partition (u32 each, big-endian).
pub(crate) const BATCH_HEADER: &str = "forebay-batch";

const LENGTH: usize = 24;

/// A row's place in the request that it came with; all zero for records of others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RowIdentity {
    pub(crate) batch: Uuid,
    pub(crate) index: u32,
    pub(crate) ordinal: u32,
}

impl RowIdentity {
    pub(crate) fn batch_id(&self) -> BatchId {
        BatchId(self.batch)
    }

    pub(crate) fn to_bytes(self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..16].copy_from_slice(self.batch.as_bytes());
        bytes[16..20].copy_from_slice(&self.index.to_be_bytes());
        bytes[20..].copy_from_slice(&self.ordinal.to_be_bytes());
        bytes
    }

    /// `None` for what is no such header: then it is somebody else's, and says nothing.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; LENGTH] = bytes.try_into().ok()?;
        let (batch, rest) = bytes.split_first_chunk::<16>()?;
        let (index, rest) = rest.split_first_chunk::<4>()?;
        Some(Self {
            batch: Uuid::from_bytes(*batch),
            index: u32::from_be_bytes(*index),
            ordinal: u32::from_be_bytes(rest.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_written() {
        let identity = RowIdentity {
            batch: Uuid::from_u128(7),
            index: 258,
            ordinal: 3,
        };
        assert_eq!(RowIdentity::from_bytes(&identity.to_bytes()), Some(identity));
        assert_eq!(RowIdentity::from_bytes(&[0; 23]), None);
    }
}
