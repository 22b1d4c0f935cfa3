use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Refusal;

const KIB: usize = 1 << 10;

/// The memory that all requests under way share. What does not fit is refused at once rather than waited for.
#[derive(Debug)]
pub struct Budget {
    kibibytes: Arc<Semaphore>,
    /// All of it.
    limit: usize,
}

/// A request's part of the budget, given back when it is dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
}

impl Budget {
    pub fn new(bytes: usize) -> Self {
        let limit = (bytes / KIB).min(Semaphore::MAX_PERMITS);
        Self {
            kibibytes: Arc::new(Semaphore::new(limit)),
            limit,
        }
    }

    /// All of it, in bytes.
    pub fn limit(&self) -> usize {
        self.limit * KIB
    }

    /// What is reserved of it, in bytes.
    pub fn used(&self) -> usize {
        self.limit.saturating_sub(self.kibibytes.available_permits()) * KIB
    }

    pub fn reserve(&self) -> Reservation {
        Reservation {
            budget: self.kibibytes.clone(),
            held: None,
        }
    }
}

impl Reservation {
    /// # Errors
    /// [`Refusal::Full`] when so much is not left.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        let permits = u32::try_from(bytes.div_ceil(KIB)).map_err(|_| Refusal::Full)?;
        let more = self
            .budget
            .clone()
            .try_acquire_many_owned(permits)
            .map_err(|_| Refusal::Full)?;
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }
}
