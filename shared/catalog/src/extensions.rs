//! What services derive from a snapshot and keep as long as it: compiled read plans, table providers, codecs.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    sync::Arc,
};

use parking_lot::RwLock;

/// One value per type. It lives and dies with its snapshot, so that nothing derived outlives the revision it was
/// derived from.
#[derive(Default)]
pub struct Extensions(RwLock<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl Extensions {
    /// The value of this type, made first if nobody has. `make` may run more than once when many ask at once; all of
    /// them get the same value.
    pub fn get_or_insert_with<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        if let Some(found) = self.get::<T>() {
            return found;
        }
        // Made outside the lock, so that a slow one holds nobody up.
        let made: Arc<T> = Arc::new(make());
        let kept = self
            .0
            .write()
            .entry(TypeId::of::<T>())
            .or_insert_with(|| Arc::clone(&made) as _)
            .clone();
        kept.downcast().unwrap_or(made)
    }

    #[must_use]
    pub fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let found = self.0.read().get(&TypeId::of::<T>())?.clone();
        found.downcast().ok()
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extensions").field("len", &self.0.read().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_made_once_per_type() {
        let extensions = Extensions::default();
        let first = extensions.get_or_insert_with(|| 1u32);
        let second = extensions.get_or_insert_with(|| 2u32);
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(*extensions.get_or_insert_with(|| 3u64), 3);
        assert!(extensions.get::<String>().is_none());
    }
}
