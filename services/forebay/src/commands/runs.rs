//! `runs`: lists runs, shows one, cancels or resumes it.

use forebay_api::Page;
use forebay_api::runs::{Run, RunState};

use super::Session;
use super::run::{conclude, follow, rendered};
use crate::cli::RunsArgs;
use crate::exit::Failure;
use crate::table::{table, text};

pub async fn runs(session: &Session, args: RunsArgs) -> Result<(), Failure> {
    let Some(id) = args.id else {
        let page = session.client.runs(args.limit).await?;
        return Ok(session.output.write(&page, listed)?);
    };
    if args.resume {
        let run = session.client.resume_run(&id).await?;
        let run = follow(session, run).await?;
        return conclude(session, &run);
    }
    let run = match args.cancel {
        true => session.client.cancel_run(&id).await?,
        false => session.client.run(&id).await?,
    };
    Ok(session.output.write(&run, rendered)?)
}

fn listed(page: &Page<Run>) -> String {
    let mut table = table(["run", "created", "trigger", "state", "tasks"]);
    for run in &page.items {
        let done = run
            .tasks
            .iter()
            .filter(|task| task.state == RunState::Succeeded)
            .count();
        table.add_row([
            run.id.clone(),
            run.created_at.to_string(),
            run.trigger.clone(),
            run.state.as_str().to_owned(),
            format!("{done}/{} succeeded", run.tasks.len()),
        ]);
    }
    text(&table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_a_table() {
        let page: Page<Run> = serde_json::from_value(serde_json::json!({"items": [
            {"id": "0198c0de-0000-7000-8000-000000000002", "state": "running", "trigger": "cron",
             "created_at": "2026-02-01T00:00:00Z", "tasks": [
                {"group": "product.value", "level": 0, "state": "succeeded"},
                {"group": "product.yield", "level": 1, "state": "running"}]},
        ]}))
        .expect("runs");
        insta::assert_snapshot!(listed(&page));
    }
}
