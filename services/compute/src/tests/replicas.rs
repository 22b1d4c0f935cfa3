//! Several processes over the same stores.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use forebay_storage::RunStore;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    gate::Gate,
    leases::{LeaseTable, ProcessView},
    world::{World, config, diamond, states, task},
};
use crate::ComputeConfig;

/// Two processes; the queries of each wait for its gate.
struct Two {
    leases: Arc<LeaseTable>,
    one: World,
    two: World,
    gates: [Arc<Gate>; 2],
    views: [Arc<ProcessView>; 2],
}

impl Two {
    async fn start(config: ComputeConfig, open: [usize; 2]) -> Self {
        let definitions = match config.scheduler {
            true => diamond(Some(json!({"on_change": true}))),
            false => diamond(None),
        };
        let leases = Arc::<LeaseTable>::default();
        let views = [1, 2].map(|process| ProcessView::new(&leases, process));
        let ground = World::ground();
        let gates = open.map(|open| Gate::new(&ground.0, &ground.2, open, 0));
        let [one, two] = [0, 1].map(|index| {
            let (lake, stores, clock) = ground.clone();
            let (engine, view) = (gates[index].clone(), views[index].clone());
            World::with(
                definitions.clone(),
                config.clone(),
                lake,
                stores,
                clock,
                Some(engine),
                view,
            )
        });
        let (one, two) = (one.await, two.await);
        one.list(&[(Some(1), 1, Some(100.0), 1000.0)]).await;
        Self {
            leases,
            one,
            two,
            gates,
            views,
        }
    }

    /// Starts a run through the first process, and waits until that drives it.
    async fn run(&self, body: Value) -> String {
        let (status, run) = self.one.post("/v1/runs", Some(&body)).await;
        assert_eq!(status, 202, "{run}");
        let id = run["id"].as_str().unwrap().to_owned();
        self.driven(&id, 1).await;
        id
    }

    async fn driven(&self, id: &str, process: u32) {
        let name = format!("runs/{id}");
        for _ in 0..500 {
            if self.leases.holder(&name) == Some(process) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{name} is held by {:?}", self.leases.holder(&name));
    }
}

const ALL: &str = r#"{"groups": ["product.value"], "downstream": true}"#;

fn all() -> Value {
    serde_json::from_str(ALL).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_goes_on_in_another_process_when_its_own_dies() {
    let both = Two::start(config(), [1, 100]).await;
    let id = both.run(all()).await;
    let path = format!("/v1/runs/{id}");
    both.two
        .until(&path, |run| task(run, "product.yield")["state"] == "running")
        .await;
    // It is shown by either, and driven by the first alone.
    assert_eq!(both.gates[1].started.load(Ordering::SeqCst), 0);
    both.views[0].dead.store(true, Ordering::SeqCst);
    both.leases.expire(1);
    let run = both.two.finished(&id).await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
    assert_eq!(
        task(&run, "product.value")["attempts"],
        1,
        "what has succeeded is not done again"
    );
    assert_eq!(
        both.two.rows("product.value", "sale_price").await,
        [(1, 1, Some(1000.0))]
    );
    assert_eq!(both.two.rows("product.mix", "mix").await, [(1, 1, Some(2.2))]);
    assert_eq!(both.one.finished(&id).await, run);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_process_commits_that_lost_its_run_counts_once() {
    let both = Two::start(config(), [0, 100]).await;
    let id = both.run(json!({"groups": ["product.value"]})).await;
    let path = format!("/v1/runs/{id}");
    both.two
        .until(&path, |run| task(run, "product.value")["state"] == "running")
        .await;
    // The first does not notice that its leases have run out, and stands still before its query.
    both.views[0].blind.store(true, Ordering::SeqCst);
    both.leases.expire(1);
    let run = both.two.finished(&id).await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
    let id: Uuid = id.parse().unwrap();
    let stored = both.two.stores.runs.get(id).await.unwrap().unwrap();
    both.gates[0].open.add_permits(100);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(
        both.two.rows("product.value", "sale_price").await,
        [(1, 1, Some(1000.0))]
    );
    let after = both.two.stores.runs.get(id).await.unwrap().unwrap();
    assert_eq!(after, stored, "it saves nothing any more");
    // It goes on with other work as if nothing had been.
    both.views[0].blind.store(false, Ordering::SeqCst);
    both.views[1].dead.store(true, Ordering::SeqCst);
    let run = both.one.run(all()).await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_cancelled_followed_and_resumed_through_any_process() {
    let both = Two::start(config(), [1, 0]).await;
    let id = both.run(all()).await;
    let path = format!("/v1/runs/{id}");
    both.two
        .until(&path, |run| task(run, "product.yield")["state"] == "running")
        .await;
    let events = format!("{path}/events");
    let (events, cancelled) = tokio::join!(both.two.events(&events), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        both.two.post(&format!("{path}/cancel"), None).await
    });
    assert_eq!((cancelled.0, cancelled.1["state"].as_str()), (200, Some("cancelled")));
    assert_eq!(states(&cancelled.1)[0].1, "succeeded");
    let shown: Vec<Value> = events
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|event| serde_json::from_str(event).unwrap())
        .collect();
    assert_eq!(shown.first().unwrap()["state"], "running");
    assert_eq!(shown.last().unwrap(), &cancelled.1);

    both.gates[0].open.add_permits(100);
    both.gates[1].open.add_permits(100);
    let (status, _) = both.two.post(&format!("{path}/resume"), None).await;
    assert_eq!(status, 200);
    let run = both.one.finished(&id).await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
    assert_eq!(both.one.rows("product.mix", "mix").await, [(1, 1, Some(2.2))]);
    let (status, _) = both.two.post(&format!("{path}/cancel"), None).await;
    assert_eq!(status, 409);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_nobody_drives_is_cancelled_too() {
    let both = Two::start(config(), [0, 0]).await;
    let id = both.run(all()).await;
    both.views[0].dead.store(true, Ordering::SeqCst);
    both.views[1].dead.store(true, Ordering::SeqCst);
    both.leases.expire(1);
    let path = format!("/v1/runs/{id}/cancel");
    let asked = tokio::spawn({
        let both = Arc::new(both);
        let asking = Arc::clone(&both);
        let cancelled = tokio::spawn(async move { asking.two.post(&path, None).await });
        async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            both.views[1].dead.store(false, Ordering::SeqCst);
            cancelled.await.unwrap()
        }
    });
    let (status, run) = asked.await.unwrap();
    assert_eq!((status, run["state"].as_str()), (200, Some("cancelled")), "{run:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_computed_by_one_process_at_a_time() {
    let both = Two::start(config(), [0, 0]).await;
    let body = json!({"groups": ["product.value"]});
    let (_, first) = both.one.post("/v1/runs", Some(&body)).await;
    let (_, second) = both.two.post("/v1/runs", Some(&body)).await;
    let (first, second) = (first["id"].as_str().unwrap(), second["id"].as_str().unwrap());
    both.driven(first, 1).await;
    both.driven(second, 2).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let started = || {
        both.gates
            .iter()
            .map(|gate| gate.started.load(Ordering::SeqCst))
            .sum::<u32>()
    };
    assert_eq!(started(), 1, "the other waits for its turn");
    both.gates.iter().for_each(|gate| gate.open.add_permits(10));
    let runs = [both.two.finished(first).await, both.one.finished(second).await];
    assert!(runs.iter().all(|run| run["state"] == "succeeded"), "{runs:#?}");
    assert_eq!(started(), 2);
    assert_eq!(
        both.one.rows("product.value", "sale_price").await,
        [(1, 1, Some(1000.0))]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_for_which_its_process_has_no_place_is_driven_by_another() {
    let config = ComputeConfig {
        parallel_runs: 1,
        ..config()
    };
    let both = Two::start(config, [0, 100]).await;
    both.run(json!({"groups": ["product.value"]})).await;
    let (_, second) = both
        .one
        .post("/v1/runs", Some(&json!({"groups": ["product.yield"]})))
        .await;
    let run = both.one.finished(second["id"].as_str().unwrap()).await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
    assert_eq!(both.gates[1].started.load(Ordering::SeqCst), 1);
}

/// Waits until everything is computed and nothing follows; the number of runs until then.
async fn idle(world: &World) -> usize {
    let mut quiet = 0;
    let mut count = 0;
    for _ in 0..150 {
        let (_, schedule) = world.get("/v1/schedule").await;
        let (_, runs) = world.get("/v1/runs").await;
        let (schedule, runs) = (schedule["items"].as_array().unwrap(), runs["items"].as_array().unwrap());
        let is_done = schedule
            .iter()
            .all(|item| item["due"] == false && item["last_success"].is_string())
            && runs.iter().all(|run| run["state"] == "succeeded")
            && runs.len() == count;
        count = runs.len();
        quiet = if is_done { quiet + 1 } else { 0 };
        if quiet == 5 {
            return count;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("work goes on and on: {:#}", world.get("/v1/runs").await.1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_is_the_scheduler_and_another_when_it_is_gone() {
    let config = ComputeConfig {
        scheduler: true,
        ..config()
    };
    let both = Two::start(config, [100, 100]).await;
    let first = idle(&both.one).await;
    both.one.list(&[(Some(1), 2, Some(100.0), 2000.0)]).await;
    both.two
        .until("/v1/runs", |page| page["items"].as_array().unwrap().len() > first)
        .await;
    assert_eq!(idle(&both.two).await, first + 1, "not one for each process");

    let scheduler = both.leases.holder("scheduler").unwrap();
    both.views[scheduler as usize - 1].dead.store(true, Ordering::SeqCst);
    both.leases.expire(scheduler);
    both.one.list(&[(Some(1), 3, Some(100.0), 3000.0)]).await;
    both.two
        .until("/v1/runs", |page| page["items"].as_array().unwrap().len() > first + 1)
        .await;
    let (_, runs) = both.two.get("/v1/runs").await;
    let run = both.two.finished(runs["items"][0]["id"].as_str().unwrap()).await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
    assert_eq!(both.leases.holder("scheduler"), Some(3 - scheduler));
}
