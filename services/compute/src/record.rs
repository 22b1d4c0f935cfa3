//! A run as it is recorded: saved at every change, so that whatever happens it can go on from there.

use forebay_api::runs::{Run, RunState, RunTask};
use forebay_model::{GroupName, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What asked for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Cause {
    Request,
    Change,
    Every,
    Cron,
}

impl Cause {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Change => "change",
            Self::Every => "every",
            Self::Cron => "cron",
        }
    }
}

/// How a task comes by its interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Span {
    /// As the run was asked for: from `start` (none: the whole past) to `end`.
    Fixed { start: Option<Timestamp>, end: Timestamp },
    /// From where the clock's last successful run ended, to `end`.
    SinceLast { end: Timestamp },
    /// What the data covers that was added since the group was last computed; found when the task starts, so that it takes in what
    /// its upstream wrote.
    Changes,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TaskRecord {
    pub group: GroupName,
    pub span: Span,
    /// The tasks of this run whose groups it reads.
    pub after: Vec<usize>,
    pub shown: RunTask,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RunRecord {
    pub id: Uuid,
    pub cause: Cause,
    pub state: RunState,
    pub created_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    pub registry_revision: u64,
    /// Somebody wants it to stop.
    #[serde(default)]
    pub cancel_requested: bool,
    /// Tells the process that drives it, or did last, from all who drove it before.
    #[serde(default)]
    pub driver: Option<Uuid>,
    /// The `traceparent` of the request that asked for it, if that is sampled.
    #[serde(default)]
    pub trace: Option<String>,
    /// In the order of work.
    pub tasks: Vec<TaskRecord>,
}

impl RunRecord {
    pub fn shown(&self) -> Run {
        Run {
            id: self.id.to_string(),
            state: self.state,
            trigger: self.cause.as_str().to_owned(),
            created_at: self.created_at,
            finished_at: self.finished_at,
            tasks: self.tasks.iter().map(|task| task.shown.clone()).collect(),
        }
    }

    /// The levels of its tasks, ascending, each once.
    pub fn levels(&self) -> Vec<u32> {
        let mut levels: Vec<u32> = self.tasks.iter().map(|task| task.shown.level).collect();
        levels.sort_unstable();
        levels.dedup();
        levels
    }

    /// Why a task cannot be tried: a group that it reads was not computed by this run.
    pub fn blocked_by(&self, task: usize) -> Option<&GroupName> {
        self.tasks[task]
            .after
            .iter()
            .map(|before| &self.tasks[*before])
            .find(|before| before.shown.state != RunState::Succeeded)
            .map(|before| &before.group)
    }

    /// What its tasks make of the run once none of them is left to do.
    pub fn outcome(&self) -> RunState {
        let any = |state| self.tasks.iter().any(|task| task.shown.state == state);
        if any(RunState::Cancelled) {
            RunState::Cancelled
        } else if any(RunState::Failed) || any(RunState::Skipped) {
            RunState::Failed
        } else {
            RunState::Succeeded
        }
    }

    /// Makes `driver` the one who drives it: what ran when the one before was lost waits again.
    pub fn take_over(&mut self, driver: Uuid) {
        self.driver = Some(driver);
        self.state = RunState::Running;
        for task in &mut self.tasks {
            if task.shown.state == RunState::Running {
                task.shown.state = RunState::Queued;
            }
        }
    }

    /// Puts every task back in the queue that has not succeeded.
    pub fn requeue(&mut self) {
        self.state = RunState::Queued;
        self.cancel_requested = false;
        self.driver = None;
        self.finished_at = None;
        for task in &mut self.tasks {
            let shown = &mut task.shown;
            if shown.state != RunState::Succeeded {
                shown.state = RunState::Queued;
                shown.error = None;
                shown.finished_at = None;
                shown.started_at = None;
            }
        }
    }
}
