//! The suite in a real Kubernetes: images are loaded and the chart installed over Kafka, Cassandra and an object store beside the cluster; the scenarios
//! run through the Ingress' rules; pods die, copies and versions come and go under load; in the end nothing is left but what must be. Ends with figures;
//! `cargo xtask cluster` runs it.

mod callers;
mod disturbances;
mod evaluation;
mod images;
mod ingress;
mod kube;
mod leftovers;
mod pods;
mod readme;
mod release;
mod report;
mod scenarios;
mod servers;
mod telemetry;
mod validation;
mod watch;

use std::sync::Arc;
use std::time::Instant;

use forebay_testbed::Kubernetes;

use self::ingress::Rules;
use self::kube::Kube;
use self::release::{COPIES, RELEASE, Release, SERVICES};
use self::report::Report;
use self::servers::Servers;
use self::watch::Watch;
use crate::collector::Collector;
use crate::http::Http;
use crate::lake::Lake;
use crate::proxy::{self, Upstreams};
use crate::stage::Stage;

/// The tag of the images that are installed.
const TAG: &str = "dev";

/// Another tag of the same images, to upgrade to.
const NEXT: &str = "next";

/// The tag that the chart has without one being named.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What is done, in this order, once the suite is installed.
const PARTS: [&str; 9] = [
    "scenarios",
    "telemetry",
    "kills",
    "scaling",
    "upgrades",
    "validation",
    "uninstall",
    "evaluation",
    "readme",
];

/// What no part can show.
const UNTESTED: [(&str, &str); 3] = [
    ("a second node", "the cluster has one: no spreading, no drained node"),
    (
        "an upgrade between versions",
        "both tags name the same images: no old process beside a new one that speaks otherwise",
    ),
    (
        "a rollback under a migrated schema",
        "no version changes keyspace or topics yet: the migration of each upgrade finds them as they are",
    ),
];

/// The cluster and what runs in it and beside it.
struct World {
    report: Report,
    watch: Watch,
    release: Release,
    lake: Lake,
    /// Where the Ingress' rules are followed.
    base_url: String,
    /// All pods, as they come and go.
    followers: Upstreams,
    servers: Servers,
    collector: Collector,
    cluster: Arc<Kubernetes>,
}

/// Does all of it, or the parts that are named. With `keep`, the cluster then stays, with the suite in it, until somebody ends this.
///
/// # Panics
/// In the end, when a step has failed.
pub async fn plays(parts: &[String], keep: bool) {
    let is_asked = |part: &str| parts.is_empty() || parts.iter().any(|asked| asked == part);
    let mut world = World::start().await;
    images::load(&mut world).await;
    if world.install().await {
        for part in PARTS {
            if !is_asked(part) || (keep && part == "uninstall") {
                continue;
            }
            let failed = world.report.failed();
            match part {
                "scenarios" => scenarios::play(&mut world).await,
                "telemetry" => telemetry::play(&mut world).await,
                "kills" => disturbances::kills(&mut world).await,
                "scaling" => disturbances::scaling(&mut world).await,
                "upgrades" => disturbances::upgrades(&mut world).await,
                "validation" => validation::play(&mut world).await,
                "uninstall" => leftovers::play(&mut world).await,
                "evaluation" => evaluation::play(&mut world).await,
                _ => readme::play(&mut world).await,
            }
            if world.report.failed() > failed {
                eprintln!("{}", world.release.kube.logs().await);
            }
        }
    } else {
        eprintln!("{}", world.release.kube.logs().await);
    }
    world.note_start_times();
    for (what, why) in UNTESTED {
        world.report.untested(what, why);
    }
    world.report.print();
    if keep {
        println!("\nexport KUBECONFIG={}", world.cluster.kubeconfig().display());
        println!(
            "The Ingress' rules are followed at {}. All of it runs until this ends (Ctrl-C).",
            world.base_url
        );
        std::future::pending::<()>().await;
    }
    assert_eq!(world.report.failed(), 0, "some steps failed");
}

impl World {
    async fn start() -> World {
        let mut report = Report::new();
        let begin = Instant::now();
        let started = tokio::task::spawn_blocking(|| {
            let cluster = Kubernetes::start().unwrap_or_else(|error| panic!("{error}"));
            let up = Instant::now();
            let servers = Servers::start(cluster.gateway());
            (Arc::new(cluster), up, servers)
        });
        let (cluster, up, servers) = started.await.expect("the cluster and the servers start");
        let seconds = |from: Instant, to: Instant| format!("{:.0} s", (to - from).as_secs_f64());
        report.figure("Kubernetes is up after", seconds(begin, up));
        report.figure(
            "Cassandra, Kafka and S3 are up after another",
            seconds(up, Instant::now()),
        );
        let kube = Kube::namespace(&cluster, "suite").await;
        let collector = Collector::start_at(cluster.gateway()).await;
        let release = Release::suite(kube.clone(), &servers, &collector, TAG);
        let folder = format!("cluster/{}", release.environment);
        World {
            report,
            watch: Watch::start(&kube),
            lake: Lake::s3(&servers.s3.address(), &folder),
            release,
            base_url: String::new(),
            followers: Upstreams::default(),
            servers,
            collector,
            cluster,
        }
    }

    /// Installs the suite and begins to follow its Ingress. Returns whether it runs.
    async fn install(&mut self) -> bool {
        let begin = Instant::now();
        if self.report.step("helm install", self.release.install()).await.is_none() {
            return false;
        }
        self.report.figure(
            "helm install until all pods are ready",
            format!("{:.0} s", begin.elapsed().as_secs_f64()),
        );
        let kube = self.release.kube.clone();
        let all_there = async {
            for service in SERVICES {
                kube.has_pods(service, COPIES).await;
            }
        };
        self.report.step("all pods are ready", all_there).await;
        self.note_start_times();
        let read = async {
            let rules = Rules::read(&kube.get(&["ingress", RELEASE]).await, &kube.get(&["services"]).await);
            rules.are_reached().await;
            rules
        };
        let Some(rules) = self.report.step("the Ingress is read", read).await else {
            return false;
        };
        self.report
            .figure("paths of the Ingress that the proxy follows", rules.len());
        self.base_url = ingress::start(rules);
        self.follow_pods().await;
        let http = Http::new(self.base_url.clone());
        let contracts = async {
            for service in SERVICES {
                let contract = http.get(&format!("/openapi/{service}.json")).await.expect(200);
                let first = contract["paths"].as_object().and_then(|paths| paths.keys().next());
                assert!(
                    first.is_some_and(|path| proxy::service_of(path) == service),
                    "{first:?}"
                );
            }
        };
        let step = "the Ingress brings each contract to its own service";
        self.report.step(step, contracts).await;
        self.report.step("helm test", kube.helm(&["test", RELEASE])).await;
        true
    }

    /// Learns where pods are, to ask them what they have heard of the registry.
    async fn follow_pods(&self) {
        for service in SERVICES {
            let pods = self.release.kube.pods_of(service).await;
            let addresses = pods.iter().filter_map(|pod| pod.address).collect();
            self.followers.set(service, addresses);
        }
    }

    /// The whole of it, and a domain of one's own.
    fn stage(&self) -> Stage {
        self.stage_maker()()
    }

    /// Makes stages in other threads.
    fn stage_maker(&self) -> impl Fn() -> Stage + Send + 'static {
        let (base_url, followers, lake) = (self.base_url.clone(), self.followers.clone(), self.lake.clone());
        move || Stage::new(Http::new(base_url.clone()).heard_by(followers.clone()), lake.clone())
    }

    /// Notes how long pods took to get ready since the last time.
    fn note_start_times(&mut self) {
        for (service, times) in self.watch.times() {
            let (Some(first), Some(last)) = (times.first(), times.last()) else {
                continue;
            };
            let middle = times[times.len() / 2];
            let told = format!(
                "{} pods: {:.1} to {:.1} s, half within {:.1} s",
                times.len(),
                first.as_secs_f64(),
                last.as_secs_f64(),
                middle.as_secs_f64()
            );
            self.report.figure(&format!("{service}: from made to ready"), told);
        }
        self.watch.begin_again();
    }
}
