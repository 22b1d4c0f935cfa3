//! A process is paused past its leases, others take over, and it wakes and goes on with what it had in hand.

use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{LEASE, World};

/// How often each of two copies of a service is paused.
const ROUNDS: usize = 5;

pub(super) async fn play(world: &mut World) {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let shift = world.load();
    let mut zombies = 0;
    for service in ["ingestion", "compute", "registry"] {
        for copy in (0..ROUNDS).flat_map(|_| [0, 1]) {
            tokio::time::sleep(Duration::from_millis(random.random_range(200..1_500))).await;
            let process = world.suite.copies_of(service)[copy].clone();
            process.pause();
            tokio::time::sleep(2 * LEASE).await;
            process.resume();
            zombies += 1;
        }
    }
    shift.end().await;
    world
        .figures
        .note("zombies: processes paused past their leases, and woken", zombies);
}
