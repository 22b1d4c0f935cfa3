//! The plans of one registry revision. They live with its snapshot.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use crate::{openings::Openings, plan::Plan};

/// Plans kept per registry revision; at this number all are forgotten, since lists of features come from callers.
const PLANS: usize = 1_000;

/// A longer text is planned anew each time instead of being kept.
const KEY_LENGTH: usize = 64 << 10;

/// Plans by what asked for them: the text of a list of features, or a view and its revision.
#[derive(Debug, Default)]
pub struct Plans {
    by_text: RwLock<HashMap<Vec<u8>, Arc<Plan>>>,
    pub openings: Openings,
}

impl Plans {
    /// The plan for `key`, if it was compiled before.
    pub fn get(&self, key: &[u8]) -> Option<Arc<Plan>> {
        let plans = self.by_text.read().unwrap_or_else(PoisonError::into_inner);
        plans.get(key).map(Arc::clone)
    }

    /// The plan for `key`, compiled if it is the first request for it.
    ///
    /// # Errors
    /// What `compile` answers; errors are not kept.
    pub fn get_or_compile<E>(&self, key: &[u8], compile: impl FnOnce() -> Result<Plan, E>) -> Result<Arc<Plan>, E> {
        if let Some(plan) = self.get(key) {
            return Ok(plan);
        }
        let plan = Arc::new(compile()?);
        if key.len() <= KEY_LENGTH {
            let mut plans = self.by_text.write().unwrap_or_else(PoisonError::into_inner);
            if plans.len() >= PLANS {
                plans.clear();
            }
            plans.insert(key.to_vec(), Arc::clone(&plan));
        }
        Ok(plan)
    }
}
