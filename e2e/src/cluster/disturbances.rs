//! What happens to the suite under load: pods die, copies come and go, versions come and go, an upgrade fails.

use std::time::{Duration, Instant};

use serde_json::json;

use super::callers::Callers;
use super::kube::{Kube, PATIENCE};
use super::release::{COPIES, RELEASE, SERVICES};
use super::{NEXT, TAG, World};
use crate::load::shift::Shift;
use crate::stage::eventually;

const DELETE: &str = "pod deleted with force";
const KILL: &str = "kill -9 of the process";

/// How long helm waits for an upgrade that is to fail: some of its versions wait to the end although the hook has failed.
const SOON: &str = "45s";

/// Where the values say where Cassandra is.
const CONTACT_POINTS: &str = "config.cassandra.contact_points";

/// How long callers work before something happens, and after it.
const CALM: Duration = Duration::from_secs(4);

/// Callers at work, and all that is counted of them.
struct Load {
    callers: Callers,
    shift: Shift,
}

impl Load {
    async fn begin(world: &mut World, name: &str) -> Option<Load> {
        let stage = world.stage();
        let step = format!("{name}: callers begin");
        let callers = world.report.step(&step, Callers::hired(stage)).await?;
        let shift = callers.begin();
        tokio::time::sleep(CALM).await;
        let calm = callers.tally.take();
        world.report.figure(&format!("{name}: before"), &calm);
        Some(Load { callers, shift })
    }

    /// Notes how requests ended since the last time; with `must`, a failed one fails a step.
    async fn note(&self, world: &mut World, what: &str, must: bool) {
        tokio::time::sleep(CALM).await;
        let summary = self.callers.tally.take();
        world.report.figure(what, &summary);
        for failure in summary.shown.iter().take(3) {
            eprintln!("        {failure}");
        }
        if must {
            let step = format!("{what}: no request failed");
            let all_answered = async {
                assert!(summary.failed == 0, "{}", summary.shown.join("\n"));
                assert!(summary.requests() > 100, "there was load: {summary}");
            };
            world.report.step(&step, all_answered).await;
        }
    }

    /// Ends the load and checks every row and every key. With `whole`, readers have got every value that they were told is there.
    async fn end(self, world: &mut World, name: &str, whole: bool) {
        let Load { callers, shift } = self;
        let step = format!("{name}: callers saw nothing wrong");
        world.report.step(&step, shift.end()).await;
        world.follow_pods().await;
        let step =
            format!("{name}: every acknowledged row is in both stores, once; online is the point-in-time answer");
        let counted = world.report.step(&step, callers.check()).await;
        if let Some((lost, twice)) = counted {
            let told = format!(
                "{} acknowledged, {lost} lost, {twice} there twice",
                callers.ledger.count()
            );
            world.report.figure(&format!("{name}: rows"), told);
            let step = format!("{name}: no row lost, none doubled");
            world
                .report
                .step(&step, async { assert_eq!((lost, twice), (0, 0)) })
                .await;
        }
        let counts = callers.ledger.counts();
        let (reads, with_values) = (counts.reads, counts.reads_with_values);
        let told = format!(
            "{reads} answers, {} without all values; {} queries, {} runs, {} bundles, {} rows requests sent again",
            reads - with_values,
            counts.queries,
            callers.ledger.runs().len(),
            counts.bundles,
            counts.repeats
        );
        world.report.figure(&format!("{name}: readers and others"), told);
        if whole {
            let step = format!("{name}: every online answer had all values");
            world.report.step(&step, async { assert_eq!(reads, with_values) }).await;
        }
    }
}

fn deployment(service: &str) -> String {
    format!("{RELEASE}-{service}")
}

/// Of each service a pod is deleted at once, then a container's process killed.
pub(super) async fn kills(world: &mut World) {
    let Some(load) = Load::begin(world, "kills").await else {
        return;
    };
    for service in SERVICES {
        for how in [DELETE, KILL] {
            let kube = world.release.kube.clone();
            let name = format!("{service}: {how}");
            let whole = world.report.step(&name, async {
                let pods = kube.pods_of(service).await;
                let pod = pods.iter().find(|pod| pod.ready).expect("a ready pod").clone();
                let begin = Instant::now();
                let start = match how {
                    KILL => Some(kube.kill_process(&pod).await),
                    _ => {
                        kube.delete_at_once(&pod).await;
                        None
                    }
                };
                kube.has_rolled_out(&deployment(service)).await;
                kube.has_pods(service, COPIES).await;
                (begin.elapsed(), start)
            });
            if let Some((whole, start)) = whole.await {
                let told = format!("{:.1} s", whole.as_secs_f64());
                world
                    .report
                    .figure(&format!("{name}: until all copies are ready again"), told);
                if let Some(start) = start {
                    let told = format!("{} ms", start.as_millis());
                    world
                        .report
                        .figure(&format!("{service}: process started until ready"), told);
                }
            }
            load.note(world, &name, false).await;
        }
    }
    load.end(world, "kills", false).await;
}

/// Every service goes to one copy, to three and to one again.
pub(super) async fn scaling(world: &mut World) {
    let Some(load) = Load::begin(world, "scaling").await else {
        return;
    };
    for service in SERVICES {
        let kube = world.release.kube.clone();
        let name = format!("{service} scaled {COPIES} → 1 → 3 → 1 → {COPIES}");
        world
            .report
            .step(&name, async {
                for copies in [1, 3, 1, COPIES] {
                    let path = format!("deployment/{}", deployment(service));
                    kube.kubectl(&["scale", &path, &format!("--replicas={copies}")]).await;
                    kube.has_pods(service, copies).await;
                }
            })
            .await;
        load.note(world, &name, true).await;
    }
    for service in SERVICES {
        let kube = world.release.kube.clone();
        let name = format!("{service}: a copy is evicted, and a second one not before the first is back");
        let evicted = async {
            let pods = kube.pods_of(service).await;
            kube.evict(&pods[0]).await.expect("the first may go");
            let refused = kube.evict(&pods[1]).await.expect_err("the second may not");
            assert!(refused.contains("disruption budget"), "{refused}");
            kube.has_pods(service, COPIES).await;
        };
        world.report.step(&name, evicted).await;
    }
    load.note(world, "evictions", true).await;
    load.end(world, "scaling", true).await;
}

/// All pods are replaced by those of another version, and back; then by those with another setting.
pub(super) async fn upgrades(world: &mut World) {
    let Some(load) = Load::begin(world, "upgrades").await else {
        return;
    };
    let name = "helm upgrade to another image tag";
    world.release.set("image.tag", json!(NEXT));
    let begin = Instant::now();
    if world.report.step(name, world.release.upgrade()).await.is_some() {
        runs_only(world, NEXT).await;
        let took = begin.elapsed();
        world.report.figure(name, format!("{:.0} s", took.as_secs_f64()));
    }
    load.note(world, name, true).await;

    let name = "helm rollback";
    let begin = Instant::now();
    if world.report.step(name, world.release.rollback()).await.is_some() {
        runs_only(world, TAG).await;
        let took = begin.elapsed();
        world.report.figure(name, format!("{:.0} s", took.as_secs_f64()));
    }
    load.note(world, name, true).await;

    let name = "helm upgrade with another setting";
    world.release.set("image.tag", json!(TAG));
    world.release.set("config.logs", json!({"filter": "warn,forebay=info"}));
    world.report.step(name, world.release.upgrade()).await;
    load.note(world, name, true).await;

    failed_upgrade(world, &load).await;
    load.end(world, "upgrades", true).await;
}

/// An upgrade whose migration finds no Cassandra changes nothing but leaves what tells why, and does not hinder the next.
async fn failed_upgrade(world: &mut World, load: &Load) {
    let kube = world.release.kube.clone();
    let name = "helm upgrade with wrong contact points fails in its hook and changes no pod";
    let right = world.release.get(CONTACT_POINTS);
    let nobody = format!("{}:1", kube.cluster.gateway());
    world.release.set(CONTACT_POINTS, json!([nobody]));
    // One attempt of a few seconds, so that the hook fails soon.
    let soon = json!({"patienceSeconds": 5, "backoffLimit": 0, "activeDeadlineSeconds": 40});
    world.release.set("migration", soon);
    let fails = async {
        // The pods of before the last upgrade may still be draining.
        kube.is_settled().await;
        let before = pods(&kube).await;
        let begin = Instant::now();
        let upgraded = world.release.try_upgrade(SOON).await;
        let said = upgraded.expect_err("no Cassandra is there");
        assert!(said.contains("pre-upgrade"), "not the hook's failure: {said}");
        assert_eq!(pods(&kube).await, before);
        (begin.elapsed(), said)
    };
    if let Some((took, said)) = world.report.step(name, fails).await {
        let told = said.lines().last().unwrap_or_default();
        let told = format!("{:.0} s; {told}", took.as_secs_f64());
        world.report.figure(name, told);
    }
    load.note(world, name, true).await;

    let step = "the failed hook leaves what the chart's README says";
    let leaves = async {
        let left = left_by_hook(&kube).await;
        let expected = ["job.batch/", "pod/", "secret/", "serviceaccount/"];
        let is_expected = |object: &String| expected.iter().any(|kind| object.starts_with(kind));
        assert!(left.iter().all(is_expected), "{left:?}");
        for kind in expected {
            assert!(
                left.iter().any(|object| object.starts_with(kind)),
                "no {kind}: {left:?}"
            );
        }
        left.join(", ")
    };
    if let Some(left) = world.report.step(step, leaves).await {
        world.report.figure("left behind by the failed hook", left);
    }

    let name = "helm upgrade with the right contact points again";
    world.release.set(CONTACT_POINTS, right);
    world.release.set("migration", json!({}));
    world.report.step(name, world.release.upgrade()).await;
    let step = "nothing of the failed hook is left";
    let gone = eventually(PATIENCE, step, async || match left_by_hook(&kube).await {
        left if left.is_empty() => Ok(()),
        left => Err(format!("{left:?}")),
    });
    world.report.step(step, gone).await;
    load.note(world, name, true).await;
}

/// All pods of services and how often each was started again, by name.
async fn pods(kube: &Kube) -> Vec<(String, u64)> {
    let mut pods: Vec<_> = kube
        .pods()
        .await
        .into_iter()
        .map(|pod| (pod.name, pod.restarts))
        .collect();
    pods.sort();
    pods
}

/// The objects of the migration that are there, its pods among them.
async fn left_by_hook(kube: &Kube) -> Vec<String> {
    let mut left = kube.objects().await;
    left.retain(|object| object.contains(&format!("/{RELEASE}-migration")));
    left
}

/// All pods are of this tag, and those of the other are gone.
async fn runs_only(world: &mut World, tag: &str) {
    let kube = world.release.kube.clone();
    let name = format!("all pods run {tag}");
    world
        .report
        .step(&name, async {
            kube.is_settled().await;
            let path = "jsonpath={range .items[*]}{.spec.containers[0].image}{\"\\n\"}{end}";
            let images = kube.kubectl(&["get", "pods", "--output", path]).await;
            assert!(
                images.lines().all(|image| image.ends_with(&format!(":{tag}"))),
                "{images}"
            );
            assert_eq!(images.lines().count(), SERVICES.len() * COPIES, "{images}");
        })
        .await;
}
