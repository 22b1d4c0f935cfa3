//! Receipts: names of positions in the stream, complete in themselves, so that none need be stored.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use forebay_model::{Generation, GroupId};
use forebay_storage::{Appended, Topic};
use xxhash_rust::xxh3::xxh3_64;

const VERSION: u8 = 1;

/// Where the rows of a request stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    pub topic: Topic,
    pub rows: Vec<Appended>,
}

impl Receipt {
    /// Rows that it stands for.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.rows.iter().map(|rows| rows.count).sum()
    }

    /// The receipt as a word for URLs.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.topic.group.0.to_le_bytes());
        bytes.extend_from_slice(&self.topic.generation.0.to_le_bytes());
        for rows in &self.rows {
            bytes.extend_from_slice(&rows.partition.to_le_bytes());
            bytes.extend_from_slice(&rows.first.to_le_bytes());
            bytes.extend_from_slice(&rows.count.to_le_bytes());
        }
        bytes.extend_from_slice(&check(&bytes));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a receipt; `None` when it is none of ours or was damaged.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (bytes, sum) = bytes.split_last_chunk::<4>()?;
        if check(bytes) != *sum {
            return None;
        }
        let (&[VERSION, g0, g1, g2, g3, n0, n1], rest) = bytes.split_first_chunk::<7>()? else {
            return None;
        };
        let (chunks, []) = rest.as_chunks::<20>() else {
            return None;
        };
        let rows = chunks
            .iter()
            .map(|chunk| {
                let (partition, rest) = chunk.split_first_chunk::<4>()?;
                let (first, rest) = rest.split_first_chunk::<8>()?;
                let count = u64::from_le_bytes(*rest.first_chunk::<8>()?);
                let first = u64::from_le_bytes(*first);
                first.checked_add(count)?;
                Some(Appended {
                    partition: u32::from_le_bytes(*partition),
                    first,
                    count,
                })
            })
            .collect::<Option<_>>()?;
        Some(Self {
            topic: Topic {
                group: GroupId(u32::from_le_bytes([g0, g1, g2, g3])),
                generation: Generation(u16::from_le_bytes([n0, n1])),
            },
            rows,
        })
    }
}

/// Tells a receipt from other words; it is no secret, since a receipt gives no right.
fn check(bytes: &[u8]) -> [u8; 4] {
    (xxh3_64(bytes) as u32).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn receipts_read_back_and_other_words_do_not(group: u32, generation: u16, rows in vec((any::<u32>(), 0u64..1 << 62, 0u64..1 << 32), 0..4), word in "[A-Za-z0-9_-]{0,60}") {
            let receipt = Receipt {
                topic: Topic { group: GroupId(group), generation: Generation(generation) },
                rows: rows.into_iter().map(|(partition, first, count)| Appended { partition, first, count }).collect(),
            };
            prop_assert_eq!(Receipt::decode(&receipt.encode()), Some(receipt));
            prop_assert_eq!(Receipt::decode(&word), None);
        }
    }
}
