//! The rows that came after the last merge, in memory: the winning one of each key, as far as the overlay knows.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{BuildHasherDefault, Hasher},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::RwLock;
use xxhash_rust::xxh3::xxh3_64;

/// Locks; a writer of one keeps nobody from the others.
const SHARDS: usize = 32;

/// What a row takes beside its key and itself, about: two boxes and a place in a map that is half full.
const ROW_OVERHEAD: usize = 80;

/// Rows by table key: group, generation, encoded key.
pub(super) type Rows = HashMap<Box<[u8]>, Box<[u8]>, BuildHasherDefault<KeyHasher>>;

/// Two layers: `active` takes rows; `merging` is on its way into the store and does not change. A reader asks both, and the store.
pub(super) struct Overlay {
    shards: Box<[RwLock<Shard>]>,
    bytes: AtomicUsize,
}

#[derive(Default)]
struct Shard {
    active: Rows,
    merging: Arc<Rows>,
}

impl Overlay {
    pub(super) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            bytes: AtomicUsize::new(0),
        }
    }

    /// Bytes of both layers, about. Zero only when everything that was inserted before is in the store.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::SeqCst)
    }

    /// Puts a row in, unless the active one of its key wins; `wins` compares it with that one.
    pub(super) fn insert<E>(
        &self,
        key: &[u8],
        row: &[u8],
        wins: impl FnOnce(&[u8], &[u8]) -> Result<bool, E>,
    ) -> Result<(), E> {
        let mut shard = self.shard(key).write();
        match shard.active.entry(Box::from(key)) {
            Entry::Occupied(mut current) => {
                if wins(row, current.get())? {
                    let (more, less) = (row.len(), current.get().len());
                    self.bytes.fetch_add(more, Ordering::SeqCst);
                    current.insert(Box::from(row));
                    self.bytes.fetch_sub(less, Ordering::SeqCst);
                }
            }
            Entry::Vacant(place) => {
                self.bytes.fetch_add(weight(key, row), Ordering::SeqCst);
                place.insert(Box::from(row));
            }
        }
        Ok(())
    }

    /// Gives the rows of a key to `take`: none, one, or one of each layer.
    pub(super) fn get(&self, key: &[u8], mut take: impl FnMut(&[u8])) {
        let shard = self.shard(key).read();
        for layer in [&shard.active, &*shard.merging] {
            if let Some(row) = layer.get(key) {
                take(row);
            }
        }
    }

    /// Makes the active rows the merging ones and returns them. There must be none on their way.
    pub(super) fn freeze(&self) -> Vec<Arc<Rows>> {
        self.shards
            .iter()
            .map(|shard| {
                let mut shard = shard.write();
                shard.merging = Arc::new(std::mem::take(&mut shard.active));
                shard.merging.clone()
            })
            .collect()
    }

    /// Forgets the merging rows: the store has them.
    pub(super) fn forget_merged(&self) {
        for shard in &self.shards {
            let merged = std::mem::take(&mut shard.write().merging);
            let bytes = merged.iter().map(|(key, row)| weight(key, row)).sum();
            self.bytes.fetch_sub(bytes, Ordering::SeqCst);
        }
    }

    /// Makes the merging rows active again, since they could not be merged; `wins` compares rows of a key.
    pub(super) fn thaw(&self, mut wins: impl FnMut(&[u8], &[u8], &[u8]) -> bool) {
        for shard in &self.shards {
            let mut shard = shard.write();
            let merging = std::mem::take(&mut shard.merging);
            for (key, row) in merging.iter() {
                let kept = match shard.active.entry(key.clone()) {
                    Entry::Vacant(place) => {
                        place.insert(row.clone());
                        continue;
                    }
                    Entry::Occupied(mut current) if wins(key, row, current.get()) => current.insert(row.clone()),
                    Entry::Occupied(_) => row.clone(),
                };
                self.bytes.fetch_sub(weight(key, &kept), Ordering::SeqCst);
            }
        }
    }

    /// Removes the active rows whose key begins with `prefix`. Nothing may be merging.
    pub(super) fn remove(&self, prefix: &[u8]) {
        for shard in &self.shards {
            shard.write().active.retain(|key, row| {
                let keep = !key.starts_with(prefix);
                if !keep {
                    self.bytes.fetch_sub(weight(key, row), Ordering::SeqCst);
                }
                keep
            });
        }
    }

    fn shard(&self, key: &[u8]) -> &RwLock<Shard> {
        // The map below takes the other end of the hash.
        &self.shards[(xxh3_64(key) >> 40) as usize % SHARDS]
    }
}

fn weight(key: &[u8], row: &[u8]) -> usize {
    key.len() + row.len() + ROW_OVERHEAD
}

/// Hashes a key at once. Keys are callers' data, but a map of bounded size bounds what crafted ones can do.
#[derive(Default)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = self.0.rotate_left(29) ^ xxh3_64(bytes);
    }

    /// The length of the key, which the hash of its bytes covers.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greater(new: &[u8], current: &[u8]) -> Result<bool, ()> {
        Ok(new > current)
    }

    fn rows(overlay: &Overlay, key: &[u8]) -> Vec<Vec<u8>> {
        let mut rows = Vec::new();
        overlay.get(key, |row| rows.push(row.to_vec()));
        rows
    }

    #[test]
    fn both_layers_are_read_and_every_byte_is_counted() {
        let overlay = Overlay::new();
        overlay.insert(b"a", b"1", greater).expect("compares");
        overlay.insert(b"a", b"333", greater).expect("compares");
        overlay.insert(b"a", b"2", greater).expect("compares");
        assert_eq!(rows(&overlay, b"a"), [b"333"]);
        assert_eq!(overlay.freeze().iter().map(|rows| rows.len()).sum::<usize>(), 1);
        overlay.insert(b"a", b"0", greater).expect("compares");
        assert_eq!(rows(&overlay, b"a"), [b"0".to_vec(), b"333".to_vec()]);
        overlay.forget_merged();
        assert_eq!(rows(&overlay, b"a"), [b"0"]);
        overlay.remove(b"b");
        assert!(overlay.bytes() > 0);
        overlay.remove(b"a");
        assert_eq!((overlay.bytes(), rows(&overlay, b"a").len()), (0, 0));
    }

    #[test]
    fn what_could_not_be_merged_is_active_again() {
        let overlay = Overlay::new();
        for (key, row) in [(b"a", b"2"), (b"b", b"1"), (b"c", b"1")] {
            overlay.insert(key, row, greater).expect("compares");
        }
        overlay.freeze();
        overlay.insert(b"a", b"1", greater).expect("compares");
        overlay.insert(b"b", b"2", greater).expect("compares");
        overlay.thaw(|_, new, current| new > current);
        assert_eq!(
            (rows(&overlay, b"a"), rows(&overlay, b"b")),
            (vec![b"2".to_vec()], vec![b"2".to_vec()])
        );
        assert_eq!(rows(&overlay, b"c"), [b"1"]);
        overlay.freeze();
        overlay.forget_merged();
        assert_eq!(overlay.bytes(), 0);
    }
}
