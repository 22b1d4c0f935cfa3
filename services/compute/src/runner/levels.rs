//! Level by level, parallel within a level, every change recorded before the next step.

use std::{collections::BTreeMap, time::Duration};

use forebay_api::runs::RunState;
use forebay_model::GroupName;
use forebay_storage::TableVersion;
use forebay_telemetry::{child_span, failed};
use futures::{StreamExt, stream::FuturesUnordered};
use tracing::{Instrument, Span};

use super::{Active, Runner, RunnerError};
use crate::{
    execution::{Done, Job},
    failure::Failure,
    measures,
};

/// The longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

impl Runner {
    pub(super) async fn run_levels(&self, active: &Active) -> Result<(), RunnerError> {
        let levels = active.record.lock().await.record.levels();
        for level in levels {
            let waiting: Vec<usize> = {
                let versioned = active.record.lock().await;
                let tasks = versioned.record.tasks.iter().enumerate();
                tasks
                    .filter(|(_, task)| task.shown.level == level && task.shown.state == RunState::Queued)
                    .map(|(index, _)| index)
                    .collect()
            };
            let mut running: FuturesUnordered<_> =
                waiting.into_iter().map(|task| self.traced_task(active, task)).collect();
            while let Some(saved) = running.next().await {
                saved?;
            }
        }
        let now = self.compute.clock.now();
        self.save(active, |run| {
            run.state = run.outcome();
            run.finished_at = Some(now);
        })
        .await?;
        Ok(())
    }

    /// The same as [`Self::run_task`], within a span of its own.
    async fn traced_task(&self, active: &Active, task: usize) -> Result<(), RunnerError> {
        let group = active.groups.get(task).map(ToString::to_string).unwrap_or_default();
        let span = child_span!(
            "task",
            otel.name = format_args!("compute {group}"),
            otel.kind = "internal",
            forebay.group = group,
        );
        self.run_task(active, task).instrument(span).await
    }

    /// Runs one task to its end; an error is one of the run store.
    async fn run_task(&self, active: &Active, task: usize) -> Result<(), RunnerError> {
        let (job, blocked_by) = {
            let versioned = active.record.lock().await;
            let record = &versioned.record;
            let upstream: BTreeMap<GroupName, TableVersion> = record.tasks[task]
                .after
                .iter()
                .map(|before| &record.tasks[*before])
                .filter_map(|before| Some((before.group.clone(), before.shown.version_written?)))
                .collect();
            let job = Job {
                run: record.id,
                group: record.tasks[task].group.clone(),
                span: record.tasks[task].span,
                registry_revision: record.registry_revision,
                upstream,
            };
            (job, record.blocked_by(task).cloned())
        };
        let permit = tokio::select! {
            biased;
            () = active.cancel.cancelled() => None,
            permit = self.tasks.acquire() => permit.ok(),
        };
        if permit.is_none() || active.cancel.is_cancelled() {
            return self.finish(active, task, RunState::Cancelled, None).await;
        }
        if let Some(group) = blocked_by {
            let why = format!("`{group}`, which it reads, was not computed");
            return self.finish(active, task, RunState::Skipped, Some(why)).await;
        }
        let mut attempt = 0;
        loop {
            attempt += 1;
            let now = self.compute.clock.now();
            self.save(active, |run| {
                let shown = &mut run.tasks[task].shown;
                shown.state = RunState::Running;
                shown.attempts += 1;
                shown.started_at.get_or_insert(now);
            })
            .await?;
            let executed = tokio::select! {
                biased;
                () = active.cancel.cancelled() => return self.finish(active, task, RunState::Cancelled, None).await,
                executed = self.compute.execute(&job) => executed,
            };
            match executed {
                Ok(done) => return self.succeed(active, task, done).await,
                Err(failure) if failure.is_passing && attempt < self.config.attempts => {
                    self.pause(active, task, attempt, &failure).await?;
                }
                Err(failure) => {
                    tracing::warn!(group = %job.group, run = %job.run, attempt, "a task failed");
                    failed(&Span::current(), "failed");
                    return self.finish(active, task, RunState::Failed, Some(failure.message)).await;
                }
            }
        }
    }

    async fn pause(&self, active: &Active, task: usize, attempt: u32, failure: &Failure) -> Result<(), RunnerError> {
        let message = failure.message.clone();
        self.save(active, |run| {
            let shown = &mut run.tasks[task].shown;
            shown.error = Some(message);
            measures::retried(&shown.group);
        })
        .await?;
        let pause = self
            .config
            .backoff
            .as_std()
            .saturating_mul(1 << (attempt - 1).min(16))
            .min(LONGEST_PAUSE);
        tokio::select! {
            () = active.cancel.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
        Ok(())
    }

    async fn succeed(&self, active: &Active, task: usize, done: Done) -> Result<(), RunnerError> {
        let now = self.compute.clock.now();
        let rows = done.rows_written.unwrap_or_default();
        self.save(active, |run| {
            let shown = &mut run.tasks[task].shown;
            shown.state = RunState::Succeeded;
            shown.finished_at = Some(now);
            shown.error = None;
            shown.start = done.start.or(shown.start);
            shown.end = done.end.or(shown.end);
            shown.rows_read = done.rows_read;
            shown.rows_written = done.rows_written;
            shown.rows_ahead = done.rows_ahead;
            shown.rows_rejected = done.rows_rejected;
            shown.warnings = done.warnings;
            shown.versions_read = done.versions_read;
            shown.version_written = done.version_written;
            measures::task_ended(shown, RunState::Succeeded, now);
            measures::wrote(&shown.group, rows);
        })
        .await?;
        Ok(())
    }

    async fn finish(
        &self,
        active: &Active,
        task: usize,
        state: RunState,
        error: Option<String>,
    ) -> Result<(), RunnerError> {
        let now = self.compute.clock.now();
        self.save(active, |run| {
            let shown = &mut run.tasks[task].shown;
            shown.state = state;
            shown.finished_at = Some(now);
            shown.error = error.or(shown.error.take());
            measures::task_ended(shown, state, now);
        })
        .await?;
        Ok(())
    }
}
