//! Every scenario that runs on services apart, through the Ingress' rules.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use super::World;
use super::report::said;
use crate::http::Http;
use crate::scenarios;
use crate::stage::{self, Stage};

/// How one ended.
type Played = (&'static str, Duration, Result<(), String>);

/// Plays a scenario in a thread and runtime of its own, as the test harness does: connections live as long as their runtime.
macro_rules! play {
    ($threads:ident, $world:ident, $($name:ident: |$stage:ident| $scenario:expr),* $(,)?) => {
        $({
            let make = $world.stage_maker();
            $threads.push(std::thread::spawn(move || {
                played(stringify!($name), make, async |$stage: &Stage| { $scenario.await; })
            }));
        })*
    };
}

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
    let mut threads = Vec::new();
    play!(threads, world,
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
    threads.push(std::thread::spawn(move || {
        played("an outsider's delete", make, async |stage: &Stage| {
            let stopped = async |group: &str| is_stopped(&ingestion, group).await;
            scenarios::outsiders::a_delete_stops_the_group(stage, stopped).await;
        })
    }));
    finish(world, threads).await;
    // It plans and applies at one revision, so that nobody else may apply meanwhile.
    let mut threads = Vec::new();
    play!(threads, world, registry: |stage| scenarios::registry::plays(stage));
    finish(world, threads).await;
}

async fn finish(world: &mut World, threads: Vec<std::thread::JoinHandle<Played>>) {
    for thread in threads {
        let waited = tokio::task::spawn_blocking(|| thread.join());
        let (name, took, result) = waited.await.expect("no panic").expect("no panic");
        world.report.note_step(&format!("scenario {name}"), took, result);
    }
}
