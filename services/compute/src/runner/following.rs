//! A run as it changes, whichever process drives it.

use std::{sync::Arc, time::Duration};

use forebay_api::runs::Run;
use tokio::{sync::watch, time::sleep};
use uuid::Uuid;

use super::{Runner, RunnerError};

/// The longest time between two looks at a run that another process drives.
const LOOK: Duration = Duration::from_millis(500);

pub(crate) struct Following {
    runner: Arc<Runner>,
    id: Uuid,
    last: Option<Run>,
    /// While this process drives it.
    changes: Option<watch::Receiver<Run>>,
}

impl Following {
    pub(super) fn new(runner: Arc<Runner>, id: Uuid) -> Self {
        Self {
            runner,
            id,
            last: None,
            changes: None,
        }
    }

    /// The run as it is, then as it is after every change, or after several; none after its final state.
    ///
    /// # Errors
    /// When there is no such run, or the run store does not answer.
    pub async fn next(&mut self) -> Result<Option<Run>, RunnerError> {
        loop {
            if self.last.as_ref().is_some_and(|run| run.state.is_final()) {
                return Ok(None);
            }
            let run = match &mut self.changes {
                Some(changes) => match changes.changed().await {
                    Ok(()) => changes.borrow_and_update().clone(),
                    Err(_) => {
                        self.changes = None;
                        continue;
                    }
                },
                None => {
                    if self.last.is_some() {
                        sleep(self.runner.pause_between_looks().min(LOOK)).await;
                    }
                    self.look().await?
                }
            };
            if self.last.as_ref() != Some(&run) {
                self.last = Some(run.clone());
                return Ok(Some(run));
            }
        }
    }

    async fn look(&mut self) -> Result<Run, RunnerError> {
        let Some(active) = self.runner.find(self.id) else {
            return Ok(self.runner.load(self.id).await?.record.shown());
        };
        let mut changes = active.shown.subscribe();
        let run = changes.borrow_and_update().clone();
        self.changes = Some(changes);
        Ok(run)
    }
}
