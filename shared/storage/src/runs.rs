use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Result;

/// A run as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRun {
    /// A UUID of version 7, so that runs are ordered by their creation.
    pub id: Uuid,
    /// Counts the saves of this run, from 1.
    pub version: u64,
    /// Whether nothing remains to be done.
    pub finished: bool,
    /// JSON, meaningful to compute alone.
    pub content: String,
}

/// What became of a save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    Done,
    /// Somebody else saved this version first; load the run again.
    Conflict,
}

/// The record of every run, and small marks of the scheduler.
#[async_trait]
pub trait RunStore: Send + Sync {
    /// Stores a run durably if the stored version is the one before (none for version 1).
    async fn save(&self, run: &StoredRun) -> Result<Saved>;

    async fn get(&self, id: Uuid) -> Result<Option<StoredRun>>;

    /// Runs created before `before` (all if `None`), newest first, at most `limit`.
    async fn list(&self, before: Option<Uuid>, limit: usize) -> Result<Vec<StoredRun>>;

    /// All runs that are not finished, oldest first.
    async fn unfinished(&self) -> Result<Vec<StoredRun>>;

    /// Removes finished runs created before `before`, and tells how many.
    async fn remove_finished(&self, before: Uuid) -> Result<u64>;

    /// What was last put under `name`, such as the last Delta version that triggered a group.
    async fn mark(&self, name: &str) -> Result<Option<String>>;

    /// Puts a mark, durably.
    async fn set_mark(&self, name: &str, value: &str) -> Result<()>;
}
