//! Objects that this cluster cannot bring to life are shown to its API, which checks them and keeps nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::World;
use super::release::chart;

/// Kinds whose objects the API takes, though nothing here acts on them.
const WITHOUT_EFFECT: [(&str, &str); 3] = [
    (
        "NetworkPolicy",
        "taken by the API; the network plugin does not enforce it",
    ),
    (
        "Ingress",
        "taken by the API; a proxy follows its rules in place of a controller",
    ),
    (
        "HorizontalPodAutoscaler",
        "taken by the API; without metrics-server nothing is scaled",
    ),
];

pub(super) async fn play(world: &mut World) {
    let known = world
        .release
        .kube
        .kubectl(&["api-resources", "--no-headers"])
        .await
        .lines()
        .filter_map(|line| line.split_whitespace().last().map(str::to_owned))
        .collect::<BTreeSet<_>>();
    let mut unknown = BTreeMap::<String, usize>::new();
    let mut shown = BTreeMap::<String, usize>::new();
    for values in values_files() {
        let name = format!(
            "dry run on the server: {}",
            values.file_name().unwrap_or_default().to_string_lossy()
        );
        let kube = world.release.kube.clone();
        let (known, values) = (&known, values.display().to_string());
        let seen = world.report.step(&name, async {
            let chart = chart().display().to_string();
            let rendered = kube
                .helm(&["template", "dry-run-forebay", &chart, "--values", &values])
                .await;
            let objects: Vec<_> = rendered
                .split("\n---")
                .filter_map(|object| Some((kind(object)?, object)))
                .collect();
            let (apply, rest): (Vec<_>, Vec<_>) = objects.into_iter().partition(|(kind, _)| known.contains(*kind));
            let file = kube.cluster.folder().join("dry-run.yaml");
            let text: Vec<_> = apply.iter().map(|(_, object)| *object).collect();
            std::fs::write(&file, text.join("\n---\n")).expect("a file");
            let file = file.display().to_string();
            kube.kubectl(&["apply", "--dry-run=server", "--warnings-as-errors", "--filename", &file])
                .await;
            let kinds =
                |objects: &[(&str, &str)]| objects.iter().map(|(kind, _)| (*kind).to_owned()).collect::<Vec<_>>();
            (kinds(&apply), kinds(&rest))
        });
        if let Some((applied, not)) = seen.await {
            applied
                .into_iter()
                .for_each(|kind| *shown.entry(kind).or_default() += 1);
            not.into_iter().for_each(|kind| *unknown.entry(kind).or_default() += 1);
        }
    }
    let counts = shown.iter().map(|(kind, count)| format!("{count} {kind}"));
    world.report.figure(
        "objects that the API took in a dry run",
        counts.collect::<Vec<_>>().join(", "),
    );
    for (kind, why) in WITHOUT_EFFECT {
        if shown.contains_key(kind) {
            world.report.untested(kind, why);
        }
    }
    for (kind, count) in unknown {
        let why = format!("{count} rendered; the API does not know the kind");
        world.report.untested(&kind, &why);
    }
}

/// The values that the chart's own checks render.
fn values_files() -> Vec<PathBuf> {
    let folder = chart().join("ci");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("charts/forebay/ci")
        .flatten()
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

/// The kind of an object's YAML.
fn kind(object: &str) -> Option<&str> {
    object
        .lines()
        .find_map(|line| line.strip_prefix("kind: "))
        .map(str::trim)
}
