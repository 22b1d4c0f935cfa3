//! What a release leaves behind when it is uninstalled.

use std::time::Duration;

use super::World;
use super::kube::Kube;
use crate::stage::eventually;

/// What every namespace has, and what the API forgets by itself.
fn is_of_every_namespace(object: &str) -> bool {
    object == "configmap/kube-root-ca.crt" || object == "serviceaccount/default" || object.starts_with("event")
}

impl Kube {
    /// All objects in the namespace that somebody put there.
    pub async fn objects(&self) -> Vec<String> {
        let kinds = self
            .kubectl(&["api-resources", "--verbs=list", "--namespaced", "--output", "name"])
            .await;
        let kinds: Vec<_> = kinds.lines().collect();
        let listed = self
            .kubectl(&["get", &kinds.join(","), "--output", "name", "--ignore-not-found"])
            .await;
        listed
            .lines()
            .filter(|object| !is_of_every_namespace(object))
            .map(str::to_owned)
            .collect()
    }

    /// Waits until nothing else is left, and gives what is.
    pub async fn has_only(&self, expected: &[&str]) {
        eventually(Duration::from_secs(120), "nothing else is left", async || {
            let left = self.objects().await;
            match left
                .iter()
                .all(|object| expected.iter().any(|start| object.starts_with(start)))
            {
                true => Ok(()),
                false => Err(format!("{left:?}")),
            }
        })
        .await;
    }
}

/// Uninstalls the suite: nothing is left in the cluster; keyspace, topics and lake are, since they are not the release's.
pub(super) async fn play(world: &mut World) {
    world.report.step("helm uninstall", world.release.uninstall()).await;
    let kube = world.release.kube.clone();
    world
        .report
        .step("the release leaves nothing in the cluster", kube.has_only(&[]))
        .await;
    let environment = world.release.environment.clone();
    let (servers, lake) = (&world.servers, &world.lake);
    let left = world.report.step("what holds data is left where it is", async {
        let keyspaces = servers.cassandra.keyspaces().expect("its folder");
        let topics = servers.kafka.topics().expect("its folder");
        assert_eq!(keyspaces, [format!("{environment}_forebay")]);
        assert!(!topics.is_empty());
        let foreign: Vec<_> = topics
            .iter()
            .filter(|topic| !topic.starts_with(&format!("{environment}-forebay-")))
            .collect();
        assert!(foreign.is_empty(), "topics of other names: {foreign:?}");
        let objects = lake.count().await;
        format!(
            "in Cassandra the keyspace {}; in Kafka {} topics {environment}-forebay-…; in the bucket {objects} objects under {environment}/",
            keyspaces.join(", "),
            topics.len()
        )
    });
    if let Some(left) = left.await {
        world
            .report
            .figure("left behind by helm uninstall, besides nothing in the cluster", left);
    }
}
