//! `run`: computes groups and shows how far it is.

use std::time::Duration;

use forebay_api::runs::{Run, RunRequest, RunState, RunTask};
use forebay_client::ClientError;
use futures::StreamExt;
use indicatif::ProgressBar;

use super::Session;
use crate::cli::RunArgs;
use crate::exit::Failure;
use crate::progress;
use crate::table::{align_right, table, text};

/// So many of the newest runs are looked at for those that are under way.
const LISTED: u32 = 100;
/// Between two looks at a run whose stream of events has ended.
const POLL: Duration = Duration::from_millis(500);

pub async fn run(session: &Session, args: RunArgs) -> Result<(), Failure> {
    let request = RunRequest {
        groups: (!args.groups.is_empty()).then_some(args.groups),
        start: args.start.as_deref().map(|text| time("--start", text)).transpose()?,
        end: args.end.as_deref().map(|text| time("--end", text)).transpose()?,
        downstream: args.downstream,
    };
    let run = session.client.start_run(&request).await?;
    let under_way = match run.tasks.is_empty() {
        true => session.client.runs(LISTED).await?.items,
        false => Vec::new(),
    };
    let under_way: Vec<Run> = under_way.into_iter().filter(|run| !run.state.is_final()).collect();
    if args.no_wait {
        return Ok(session.output.write(&run, |run| nothing_more(run, &under_way))?);
    }
    // What was due has a run already, which a trigger started: whoever asks for it waits for that one.
    let mut failed = None;
    for other in under_way.iter().rev() {
        let other = follow(session, other.clone()).await?;
        if !session.output.is_json() {
            session.output.text(&rendered(&other))?;
        }
        if other.state != RunState::Succeeded {
            failed = Some(ended(&other));
        }
    }
    let run = follow(session, run).await?;
    session.output.write(&run, |run| nothing_more(run, &under_way))?;
    match failed {
        Some(failure) => Err(failure),
        None => succeeded(&run),
    }
}

/// A run without tasks says what covers them, as far as anything does.
fn nothing_more(run: &Run, under_way: &[Run]) -> String {
    let covering: Vec<String> = under_way
        .iter()
        .map(|other| format!("{} ({})", other.id, other.trigger))
        .collect();
    match covering.is_empty() {
        true => rendered(run),
        false => format!(
            "run {} {}: nothing is due that is not under way already, in {}",
            run.id,
            run.state.as_str(),
            covering.join(", ")
        ),
    }
}

/// A time of the command line.
pub(super) fn time(argument: &str, text: &str) -> Result<forebay_model::Timestamp, Failure> {
    let quoted = serde_json::Value::String(text.to_owned());
    serde_json::from_value(quoted).map_err(|error| Failure::Usage(format!("{argument} {text}: {error}")))
}

/// Shows a finished run; anything but success is a failure.
pub(super) fn conclude(session: &Session, run: &Run) -> Result<(), Failure> {
    session.output.write(run, rendered)?;
    succeeded(run)
}

fn succeeded(run: &Run) -> Result<(), Failure> {
    match run.state {
        RunState::Succeeded => Ok(()),
        _ => Err(ended(run)),
    }
}

fn ended(run: &Run) -> Failure {
    Failure::Failed(format!("run {} has {}", run.id, run.state.as_str()))
}

/// Waits until the run is finished, with a bar of its tasks.
pub(super) async fn follow(session: &Session, mut run: Run) -> Result<Run, ClientError> {
    let bar = progress::count(session.output, 0);
    bar.enable_steady_tick(Duration::from_millis(100));
    show(&bar, &run);
    while !run.state.is_final() {
        // A stream that breaks is no reason to lose sight of the run: it goes on without us.
        if let Ok(mut events) = session.client.run_events(&run.id).await {
            while let Some(Ok(next)) = events.next().await {
                run = next;
                show(&bar, &run);
                if run.state.is_final() {
                    break;
                }
            }
        }
        if !run.state.is_final() {
            tokio::time::sleep(POLL).await;
            run = session.client.run(&run.id).await?;
            show(&bar, &run);
        }
    }
    bar.finish_and_clear();
    Ok(run)
}

fn show(bar: &ProgressBar, run: &Run) {
    let done = run.tasks.iter().filter(|task| task.state.is_final()).count();
    let running: Vec<&str> = run
        .tasks
        .iter()
        .filter(|task| task.state == RunState::Running)
        .map(|task| &*task.group)
        .collect();
    bar.set_length(u64::try_from(run.tasks.len()).unwrap_or(u64::MAX));
    bar.set_position(u64::try_from(done).unwrap_or(u64::MAX));
    bar.set_message(running.join(", "));
}

/// A run and its tasks.
pub(super) fn rendered(run: &Run) -> String {
    let head = format!("run {} {}", run.id, run.state.as_str());
    if run.tasks.is_empty() {
        return format!("{head}: nothing is due");
    }
    let mut table = table(["level", "group", "state", "rows written", "seconds"]);
    for column in [0, 3, 4] {
        align_right(&mut table, column);
    }
    for task in &run.tasks {
        table.add_row([
            task.level.to_string(),
            task.group.clone(),
            task.state.as_str().to_owned(),
            task.rows_written.map(|rows| rows.to_string()).unwrap_or_default(),
            seconds(task),
        ]);
    }
    let mut rendered = text(&table);
    for task in &run.tasks {
        for said in task.error.iter().chain(&task.warnings) {
            rendered.push_str(&format!("\n{}: {said}", task.group));
        }
    }
    format!("{rendered}\n{head}")
}

fn seconds(task: &RunTask) -> String {
    match (task.started_at, task.finished_at) {
        (Some(start), Some(end)) => {
            let micros = end.micros() - start.micros();
            format!("{}.{:02}", micros / 1_000_000, micros / 10_000 % 100)
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_a_table_of_its_tasks() {
        let run: Run = serde_json::from_value(serde_json::json!({
            "id": "0198c0de-0000-7000-8000-000000000001", "state": "failed", "trigger": "request",
            "created_at": "2026-02-01T00:00:00Z",
            "tasks": [
                {"group": "product.value", "level": 0, "state": "succeeded", "rows_written": 2930,
                 "started_at": "2026-02-01T00:00:00Z", "finished_at": "2026-02-01T00:00:01.234567Z"},
                {"group": "product.yield", "level": 1, "state": "failed", "error": "division by zero"},
                {"group": "product.bargain", "level": 2, "state": "skipped"},
            ],
        }))
        .expect("a run");
        insta::assert_snapshot!(rendered(&run));
        let idle = Run {
            tasks: Vec::new(),
            state: RunState::Succeeded,
            ..run.clone()
        };
        assert!(nothing_more(&idle, &[]).ends_with("nothing is due"));
        let by_a_trigger = Run {
            id: "0198c0de-0000-7000-8000-000000000000".to_owned(),
            trigger: "change".to_owned(),
            state: RunState::Running,
            ..run
        };
        assert_eq!(
            nothing_more(&idle, &[by_a_trigger]),
            "run 0198c0de-0000-7000-8000-000000000001 succeeded: nothing is due that is not under way already, in \
             0198c0de-0000-7000-8000-000000000000 (change)"
        );
    }

    #[test]
    fn times_are_checked_before_they_are_sent() {
        assert!(time("--start", "2026-01-01T00:00:00Z").is_ok());
        let error = time("--start", "yesterday").expect_err("an error").to_string();
        assert!(error.contains("--start yesterday"), "{error}");
    }
}
