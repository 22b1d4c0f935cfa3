//! Kill -9 of the one process at random moments, while rows come in, tables are compacted, runs are under way and definitions are applied: after each start
//! every acknowledged row is in both stores, once, no bundle is applied by half, and runs go on.

use std::path::Path;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::lake::Lake;
use crate::load::ledger::Ledger;
use crate::load::{check, work};
use crate::process::Launch;
use crate::stage::Stage;

/// How often the server is killed.
const KILLS: usize = 32;

/// After so many kills everything is read back; the rest of the checks follow every one.
const FULL_CHECK_EVERY: usize = 8;

/// The latest moment of a kill, counted from when work began.
const LATEST_KILL: Duration = Duration::from_millis(1_500);

/// Everything that happens now and then happens all the time.
pub const BUSY: [(&str, &str); 6] = [
    ("SINKS__FLUSH_INTERVAL_MS", "50"),
    ("SINKS__EARLY_FLUSH_INTERVAL_MS", "20"),
    ("SINKS__FOLLOW_INTERVAL_MS", "20"),
    ("SINKS__UPKEEP_INTERVAL_MS", "50"),
    ("SINKS__COMPACTION_MIN_FILES", "3"),
    ("SINKS__CHECKPOINT_EVERY", "4"),
];

/// Plays on a folder of its own.
pub async fn plays(data_dir: &Path) {
    let launch = BUSY.iter().fold(Launch::new(data_dir), |launch, (name, value)| {
        launch.setting(&format!("FOREBAY_{name}"), value)
    });
    let mut random = ChaCha8Rng::seed_from_u64(9);
    let ledger = Ledger::default();
    let mut process = launch.start().await;
    let mut stage = Stage::new(process.http.clone(), Lake::folder(data_dir.join("lake")));
    work::define(&stage).await;
    for kill in 1..=KILLS {
        let shift = work::start(&stage, &ledger);
        let moment = Duration::from_millis(random.random_range(20..LATEST_KILL.as_millis() as u64));
        tokio::time::sleep(moment).await;
        process.kill();
        shift.end().await;
        let start = Instant::now();
        process = launch.start().await;
        eprintln!(
            "kill {kill} after {moment:?}: ready after {:?}; {}",
            start.elapsed(),
            ledger.summary()
        );
        stage.http = process.http.clone();
        check::the_last_bundle_is_there(&stage, &ledger).await;
        work::repeat_what_was_not_answered(&stage, &ledger).await;
        check::some_rows_are_online(&stage, &ledger).await;
        if kill % FULL_CHECK_EVERY == 0 {
            check::runs_have_ended(&stage, &ledger).await;
            check::every_row_is_in_both_stores_once(&stage, &ledger).await;
        }
    }
    assert!(
        ledger.rows().len() > 1_000 && ledger.runs().len() > 10 && ledger.applied() > 30,
        "{}",
        ledger.summary()
    );
    check::computed_rows_are_there_once(&stage, &ledger).await;
    check::online_is_the_point_in_time_answer(&stage, &ledger).await;
    check::tables_were_compacted(&stage).await;
    assert!(process.terminate(), "after all that it still ends in good order");
}
