//! A run while this process drives it.

use std::time::Duration;

use forebay_api::runs::Run;
use forebay_model::GroupName;
use forebay_storage::Saved;
use tokio::sync::{Mutex as AsyncMutex, watch};
use tokio_util::sync::CancellationToken;

use super::{Runner, RunnerError, read, write};
use crate::record::RunRecord;

/// How often a save is tried before the run is left to whoever comes next.
const SAVES: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

pub(super) struct Active {
    pub record: AsyncMutex<Versioned>,
    pub shown: watch::Sender<Run>,
    pub cancel: CancellationToken,
    pub groups: Vec<GroupName>,
}

pub(super) struct Versioned {
    pub record: RunRecord,
    pub version: u64,
}

impl Active {
    pub fn new(record: RunRecord, version: u64) -> Self {
        let cancel = CancellationToken::new();
        if record.cancel_requested {
            cancel.cancel();
        }
        Self {
            shown: watch::Sender::new(record.shown()),
            groups: record.tasks.iter().map(|task| task.group.clone()).collect(),
            record: AsyncMutex::new(Versioned { record, version }),
            cancel,
        }
    }
}

impl Runner {
    /// Changes the record of a run that is driven here, durably, then shows it.
    ///
    /// # Errors
    /// [`RunnerError::Lost`] when another process drives it by now; nothing of the change is kept then.
    pub(super) async fn save(&self, active: &Active, change: impl FnOnce(&mut RunRecord)) -> Result<(), RunnerError> {
        let mut versioned = active.record.lock().await;
        change(&mut versioned.record);
        let mut pause = FIRST_PAUSE;
        let mut failures = 0;
        loop {
            let stored = write(&versioned.record, versioned.version + 1)?;
            match self.store.save(&stored).await {
                Ok(Saved::Done) => {
                    versioned.version = stored.version;
                    break;
                }
                Ok(Saved::Conflict) => {
                    let found = self.store.get(stored.id).await?.ok_or(RunnerError::Lost)?;
                    // The attempt before may have taken effect although it failed.
                    if found == stored {
                        versioned.version = stored.version;
                        break;
                    }
                    let found = read(&found)?;
                    if found.record.driver != versioned.record.driver {
                        return Err(RunnerError::Lost);
                    }
                    // Somebody asked for something while the run went on.
                    versioned.version = found.version;
                    versioned.record.cancel_requested |= found.record.cancel_requested;
                    if versioned.record.cancel_requested {
                        active.cancel.cancel();
                    }
                }
                Err(error) => {
                    failures += 1;
                    if failures >= SAVES {
                        return Err(error.into());
                    }
                    tracing::warn!(run = %stored.id, %error, "a run's state cannot be saved; it is tried again");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
            }
        }
        self.note(&versioned.record, versioned.version);
        active.shown.send_replace(versioned.record.shown());
        Ok(())
    }
}
