use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, PoisonError, RwLock},
};

/// Things compiled from a snapshot, such as read plans, kept until the registry revision moves on. Bounded: at `limit` it starts over.
#[derive(Debug)]
pub struct PerRevision<K, V> {
    limit: usize,
    entries: RwLock<(u64, HashMap<K, Arc<V>>)>,
}

impl<K: Eq + Hash, V> PerRevision<K, V> {
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            entries: RwLock::new((0, HashMap::new())),
        }
    }

    /// What was compiled for `key` at this registry revision.
    pub fn get<Q>(&self, registry_revision: u64, key: &Q) -> Option<Arc<V>>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        (entries.0 == registry_revision)
            .then(|| entries.1.get(key).cloned())
            .flatten()
    }

    /// Keeps what was compiled, unless the registry has moved on in the meantime.
    pub fn insert(&self, registry_revision: u64, key: K, value: Arc<V>) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if entries.0 < registry_revision || entries.1.len() >= self.limit {
            *entries = (registry_revision.max(entries.0), HashMap::new());
        }
        if entries.0 == registry_revision {
            entries.1.insert(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_live_as_long_as_their_revision_and_are_bounded() {
        let plans = PerRevision::new(2);
        plans.insert(1, "a", Arc::new(1));
        assert_eq!(plans.get(1, "a").as_deref(), Some(&1));
        plans.insert(2, "b", Arc::new(2));
        assert_eq!((plans.get(1, "a"), plans.get(2, "a")), (None, None));
        plans.insert(1, "a", Arc::new(1));
        assert_eq!(
            plans.get(1, "a"),
            None,
            "a late compilation of an older revision is dropped"
        );
        plans.insert(2, "c", Arc::new(3));
        plans.insert(2, "d", Arc::new(4));
        assert_eq!((plans.get(2, "b"), plans.get(2, "d").as_deref()), (None, Some(&4)));
    }
}
