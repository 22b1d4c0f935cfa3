use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The rows of the mix: how many keys, how large a row, how many rows one merge holds.
#[derive(Debug, Clone, Copy)]
pub struct Workload {
    pub keys: u64,
    pub row_bytes: usize,
    pub merge_rows: usize,
    pub seed: u64,
}

impl Default for Workload {
    fn default() -> Self {
        Self {
            keys: 1_000_000,
            row_bytes: 450,
            merge_rows: 25_000,
            seed: 7,
        }
    }
}

impl Workload {
    /// A source of randomness of its own for each part of a phase.
    #[must_use]
    pub fn random(&self, part: u64) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(part);
        random
    }

    /// The group's id, then the key as the model encodes an int64. Keys are spread over their whole range, as hashes and random ids are.
    #[must_use]
    pub fn key(number: u64) -> [u8; 12] {
        let mut key = [0; 12];
        key[..4].copy_from_slice(&1u32.to_be_bytes());
        key[4..].copy_from_slice(&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
        key
    }

    /// A row of the merge `position`: the position, the key's number, then values with two decimals, which compress about as well as prices do.
    #[must_use]
    pub fn row(&self, random: &mut ChaCha8Rng, position: u64, number: u64) -> Vec<u8> {
        let mut row = Vec::with_capacity(self.row_bytes);
        row.extend_from_slice(&position.to_le_bytes());
        row.extend_from_slice(&number.to_le_bytes());
        while row.len() + 8 <= self.row_bytes {
            let value = f64::from(random.random_range(0..100_000_000u32)) / 100.0;
            row.extend_from_slice(&value.to_le_bytes());
        }
        row.resize(self.row_bytes, 0);
        row
    }

    /// The rows of one merge, ascending by key, each key once.
    #[must_use]
    pub fn merge(&self, random: &mut ChaCha8Rng, position: u64) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut numbers: Vec<u64> = (0..self.merge_rows).map(|_| random.next_u64() % self.keys).collect();
        numbers.sort_unstable();
        numbers.dedup();
        self.rows(random, position, numbers.into_iter())
    }

    /// The rows of these keys, ascending by key.
    pub fn rows(
        &self,
        random: &mut ChaCha8Rng,
        position: u64,
        numbers: impl Iterator<Item = u64>,
    ) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut rows: Vec<_> = numbers
            .map(|number| (Self::key(number).to_vec(), self.row(random, position, number)))
            .collect();
        rows.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        rows
    }
}
