//! Callers of all services at a steady pace, who keep book of what they were told and of every request that failed.

use std::time::Duration;

use crate::http::Http;
use crate::load::ledger::Ledger;
use crate::load::shift::Shift;
use crate::load::tally::Tally;
use crate::load::{check, work};
use crate::stage::Stage;

/// How long a caller waits for an answer before it takes the request for failed.
const CALLER_PATIENCE: Duration = Duration::from_secs(30);

/// How many read online features side by side.
const READERS: usize = 3;

/// Callers with a domain of their own.
pub(super) struct Callers {
    /// As a check sees it.
    stage: Stage,
    /// As a caller sees it, whose requests are counted.
    callers: Stage,
    pub ledger: Ledger,
    pub tally: Tally,
}

impl Callers {
    /// Defines what they work on.
    pub async fn hired(stage: Stage) -> Callers {
        work::define(&stage).await;
        let tally = Tally::default();
        let mut callers = stage.clone();
        callers.http = Http::with_timeout(stage.http.base_url.clone(), CALLER_PATIENCE).noted_in(&tally);
        Callers {
            stage,
            callers,
            ledger: Ledger::default(),
            tally,
        }
    }

    /// Starts them. Most requests find a connection that was used a moment ago, some one that was idle for a second.
    pub fn begin(&self) -> Shift {
        let mut shift = Shift::default();
        let every = Duration::from_millis;
        let both = || (self.callers.clone(), self.ledger.clone());
        for pusher in 0..work::PUSHERS {
            let (stage, ledger) = both();
            shift.work_every(every(150), move |over| {
                work::push(stage.clone(), ledger.clone(), pusher, over)
            });
        }
        for _ in 0..READERS {
            let (stage, ledger) = both();
            shift.work_every(every(20), move |_| work::read(stage.clone(), ledger.clone()));
        }
        let (stage, ledger) = both();
        shift.work_every(every(400), move |_| work::apply(stage.clone(), ledger.clone()));
        let (stage, ledger) = both();
        shift.work_every(every(400), move |over| work::run(stage.clone(), ledger.clone(), over));
        let (stage, ledger) = both();
        shift.work_every(every(500), move |_| work::query(stage.clone(), ledger.clone()));
        let (stage, _) = both();
        shift.work_every(every(50), move |_| look(stage.clone()));
        shift
    }

    /// Once they have stopped: everything that they were told is true. Returns how many acknowledged rows the table lacks, and how many it has twice.
    pub async fn check(&self) -> (usize, usize) {
        let (stage, ledger) = (&self.stage, &self.ledger);
        work::repeat_what_was_not_answered(stage, ledger).await;
        check::another_bundle_is_applied(stage, ledger).await;
        check::runs_have_ended(stage, ledger).await;
        check::every_row_is_in_both_stores_once(stage, ledger).await;
        check::computed_rows_are_there_once(stage, ledger).await;
        check::online_is_the_point_in_time_answer(stage, ledger).await;
        check::lost_and_twice(stage, ledger)
    }
}

/// Reads a definition.
async fn look(stage: Stage) -> bool {
    let path = format!("/v1/groups/{}", stage.group("facts"));
    let answer = stage.http.try_send("GET", &path, &[], Vec::new()).await;
    answer.is_ok_and(|answer| answer.status == 200)
}
