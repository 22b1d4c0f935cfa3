//! Kill -9 of one process after the other, faster than they get ready.

use std::time::Duration;

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::World;
use crate::load::check;
use crate::proxy::SERVICES;

/// How often a process is killed.
const KILLS: usize = 120;

/// After so many kills the callers stop and everything is read back.
const CHECK_EVERY: usize = 30;

/// The services that hold state of others' in their hands are hit more often.
const TARGETS: [&str; 8] = [
    "ingestion",
    "ingestion",
    "ingestion",
    "compute",
    "compute",
    "registry",
    "online-serving",
    "offline-query",
];

pub(super) async fn play(world: &mut World) {
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let mut killed = [0_usize; SERVICES.len()];
    let mut shift = world.load();
    for kill in 1..=KILLS {
        tokio::time::sleep(Duration::from_millis(random.random_range(100..1_500))).await;
        let service = TARGETS.choose(&mut random).expect("there are some");
        let copy = random.random_range(0..2);
        // Killed and started at once; it gets ready while the next one is killed, or is killed again before.
        world.suite.begin(service, copy);
        let place = SERVICES
            .iter()
            .position(|(name, _)| name == service)
            .expect("a service");
        killed[place] += 1;
        if kill % CHECK_EVERY == 0 {
            shift.end().await;
            world.check().await;
            shift = world.load();
        }
    }
    shift.end().await;
    check::tables_were_compacted(&world.stage).await;
    for ((service, _), count) in SERVICES.iter().zip(killed) {
        world.figures.note(&format!("kills -9 of {service}"), count);
    }
    world.figures.note("kills -9 in all", KILLS);
}
