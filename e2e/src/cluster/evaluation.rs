//! The chart's values for evaluation: all services in one pod with a volume, deleted and back with its data.

use serde_json::{Value, json};

use super::World;
use super::ingress::{self, Rules};
use super::kube::Kube;
use super::readme;
use super::release::{RELEASE, chart};
use crate::http::Http;
use crate::stage::{column, eventually};

/// Who the pods run as, and so who owns the volume.
const USER: u32 = 65532;

/// Definitions as the README's first steps have them.
const DEFINITIONS: &str = "
kind: Domain
name: product
---
kind: Entity
name: product
domain: product
keys: [{name: product_id, type: int64}]
---
kind: FeatureGroup
name: product.value
entities: [product]
features: [{name: rent_price, type: float64}, {name: sale_price, type: float64}]
---
kind: FeatureGroup
name: product.yield
entities: [product]
features: [{name: gross_yield, type: float64}]
batch:
  sql: SELECT product_id, event_time, rent_price * 12 / sale_price AS gross_yield FROM product.value
";

pub(super) async fn play(world: &mut World) {
    let kube = Kube::namespace(&world.cluster, "evaluation").await;
    let step = "evaluation: a volume is there";
    world.report.step(step, volume(&kube, "evaluation")).await;
    let watch = super::watch::Watch::start(&kube);
    let chart = chart();
    let (values, chart) = (chart.join("ci/evaluation-values.yaml"), chart.display().to_string());
    let values = values.display().to_string();
    let install = [
        "install",
        RELEASE,
        &chart,
        "--values",
        &values,
        "--set",
        &format!("image.tag={}", super::TAG),
        "--set",
        "image.pullPolicy=Never",
        "--set",
        "service.type=NodePort",
        "--set",
        "ingress.enabled=true",
        "--set",
        "evaluation.resources.requests.cpu=50m",
        "--set",
        "evaluation.resources.requests.memory=256Mi",
        "--wait",
        "--timeout",
        "300s",
    ];
    let step = "evaluation: helm install";
    if world.report.step(step, kube.helm(&install)).await.is_none() {
        eprintln!("{}", kube.logs().await);
        return;
    }
    let rules = Rules::read(&kube.get(&["ingress", RELEASE]).await, &kube.get(&["services"]).await);
    let http = Http::new(ingress::start(rules.clone()));
    let step = "evaluation: first calls are answered";
    let called = async {
        rules.are_reached().await;
        first_calls(&http).await;
        answers(&http).await
    };
    let before = world.report.step(step, called).await;
    let step = "evaluation: the pod is deleted, comes back and answers as before";
    let comes_back = async {
        let pods = kube.pods_of("evaluation").await;
        kube.kubectl(&["delete", "pod", &pods[0].name]).await;
        kube.has_pods("evaluation", 1).await;
        rules.are_reached().await;
        assert_eq!(Some(answers(&http).await), before);
    };
    world.report.step(step, comes_back).await;
    for (service, times) in watch.times() {
        let times: Vec<_> = times.iter().map(|time| format!("{:.1}", time.as_secs_f64())).collect();
        let figure = format!("{service}: seconds from made to ready, the first time and with data");
        world.report.figure(&figure, times.join(", "));
    }
    let uninstall = ["uninstall", RELEASE, "--wait", "--timeout", "300s"];
    world
        .report
        .step("evaluation: helm uninstall", kube.helm(&uninstall))
        .await;
    let step = "evaluation: only the volume's claim is left";
    world
        .report
        .step(step, kube.has_only(&["persistentvolumeclaim/"]))
        .await;
    let left = kube.objects().await;
    world.report.figure("left behind by evaluation", left.join(", "));
}

/// A volume of this node, made by hand as nothing here makes them on demand.
pub(super) async fn volume(kube: &Kube, name: &str) {
    let folder = kube.cluster.folder().join("volumes").join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    std::os::unix::fs::chown(&folder, Some(USER), Some(USER)).expect("a folder of the pod's user");
    let volume = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "20Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": folder},
        },
    });
    readme::apply(kube, &format!("volume-{name}"), &volume).await;
}

async fn first_calls(http: &Http) {
    http.post_yaml("/v1/apply", &[], DEFINITIONS).await.expect(200);
    let rows: Vec<_> = (1..=100)
        .map(|id| {
            json!({
                "product_id": id,
                "event_time": format!("2026-01-02T03:04:05.{id:06}Z"),
                "rent_price": 1000.0 + f64::from(id),
                "sale_price": 200_000.0,
            })
        })
        .collect();
    // The group's tables are made once the definitions are there.
    eventually(super::kube::PATIENCE, "rows are taken", async || {
        let path = "/v1/rows/product.value?wait=online,offline&timeout=30s";
        let answer = http.post(path, &json!({"rows": rows})).await;
        match answer.status {
            200 => Ok(()),
            _ => Err(answer.text()),
        }
    })
    .await;
    let run = http
        .post("/v1/runs", &json!({"groups": ["product.yield"]}))
        .await
        .expect(202);
    let path = format!("/v1/runs/{}", run["id"].as_str().expect("a run has an id"));
    eventually(super::kube::PATIENCE, "the run succeeds", async || {
        let run = http.get(&path).await.expect(200);
        match run["state"].as_str() {
            Some("succeeded") => Ok(()),
            _ => Err(run.to_string()),
        }
    })
    .await;
    eventually(super::kube::PATIENCE, "what was computed is online", async || {
        let answer = http.post("/v1/online-features", &online()).await.expect(200);
        match answer["results"][2]["statuses"][0].as_str() {
            Some("PRESENT") => Ok(()),
            _ => Err(answer.to_string()),
        }
    })
    .await;
}

fn online() -> Value {
    json!({"features": ["product.value.sale_price", "product.yield.gross_yield"], "entities": {"product_id": [1, 50, 100, 101]}})
}

/// What it knows: definitions, online, offline.
async fn answers(http: &Http) -> [Value; 3] {
    let definitions = http.get("/v1/groups/product.yield").await.expect(200);
    let online = http.post("/v1/online-features", &online()).await.expect(200);
    let asked = json!({"features": ["product.value.rent_price"], "at": "2026-02-01T00:00:00Z"});
    let offline = http.post("/v1/historical-features", &asked).await.expect(200);
    assert_eq!(column(&offline, "product_id").len(), 100);
    [definitions, online["results"].clone(), offline["columns"].clone()]
}
