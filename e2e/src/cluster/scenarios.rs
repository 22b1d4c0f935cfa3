//! Every scenario that runs on services apart, through the Ingress' rules.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::World;
use super::report::said;
use crate::http::Http;
use crate::scenarios;
use crate::stage::{self, Stage};

/// How one ended.
type Played = (&'static str, Duration, Result<(), String>);

/// A scenario that is yet to be played.
type Play = Box<dyn FnOnce() -> Played + Send>;

/// How many are played side by side.
const AT_ONCE: usize = 3;

/// Scenarios by name, each on a stage of its own.
macro_rules! plays {
    ($world:ident, $($name:ident: |$stage:ident| $scenario:expr),* $(,)?) => {
        vec![$({
            let make = $world.stage_maker();
            Box::new(move || played(stringify!($name), make, async |$stage: &Stage| { $scenario.await; })) as Play
        }),*]
    };
}

/// Plays a scenario in a runtime of its own, as the test harness does: connections live as long as their runtime.
fn played(name: &'static str, make: impl Fn() -> Stage, scenario: impl AsyncFn(&Stage)) -> Played {
    let begin = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let result = std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(async { scenario(&make()).await })));
    (name, begin.elapsed(), result.map_err(|panic| said(&*panic)))
}

/// Whether a pod of ingestion says that a group is stopped.
async fn is_stopped(ingestion: &[String], group: &str) -> bool {
    for pod in ingestion {
        if stage::is_stopped(&Http::new(pod.clone()), group).await {
            return true;
        }
    }
    false
}

pub(super) async fn play(world: &mut World) {
    let pods = world.release.kube.pods_of("ingestion").await;
    let ingestion: Vec<_> = pods
        .iter()
        .filter_map(|pod| Some(format!("http://{}", pod.address?)))
        .collect();
    let mut all = plays!(world,
        tour: |stage| scenarios::tour::plays(stage),
        ingest: |stage| scenarios::ingest::plays(stage),
        serving: |stage| scenarios::serving::plays(stage),
        history: |stage| scenarios::history::plays(stage),
        runs: |stage| scenarios::runs::plays(stage),
        hostile: |stage| scenarios::hostile::plays(stage),
        feast: |stage| scenarios::feast::plays(stage),
        outsiders: |stage| scenarios::outsiders::plays(stage),
        errors: |stage| scenarios::errors::plays(stage),
        parity: |stage| scenarios::parity::Groups::filled(stage, 12),
    );
    let make = world.stage_maker();
    all.push(Box::new(move || {
        played("an outsider's delete", make, async |stage: &Stage| {
            let stopped = async |group: &str| is_stopped(&ingestion, group).await;
            scenarios::outsiders::a_delete_stops_the_group(stage, stopped).await;
        })
    }));
    play_all(world, all).await;
    // It plans and applies at one revision, so that nobody else may apply meanwhile.
    let alone = plays!(world, registry: |stage| scenarios::registry::plays(stage));
    play_all(world, alone).await;
}

/// Plays them in threads of their own, some side by side, and notes how each ended as soon as it has.
async fn play_all(world: &mut World, plays: Vec<Play>) {
    let waiting = Arc::new(Mutex::new(plays.into_iter()));
    let (ended, mut all_ended) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..AT_ONCE {
        let (waiting, ended) = (Arc::clone(&waiting), ended.clone());
        std::thread::spawn(move || {
            loop {
                let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(play) = next else { return };
                if ended.send(play()).is_err() {
                    return;
                }
            }
        });
    }
    drop(ended);
    while let Some((name, took, result)) = all_ended.recv().await {
        world.report.note_step(&format!("scenario {name}"), took, result);
    }
}
