//! Announcements between processes.

use std::time::Duration;

use bytes::Bytes;
use forebay_storage::{Channel, Heard};
use forebay_testbed::KafkaOptions;
use futures::StreamExt;

use super::place::{Environment, OwnCluster, at, shared_cluster};

async fn next(heard: &mut futures::stream::BoxStream<'static, Heard>) -> Heard {
    tokio::time::timeout(Duration::from_secs(30), heard.next())
        .await
        .expect("something is heard")
        .expect("it goes on")
}

fn message(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn are_heard_by_other_processes_until_the_end() {
    let environment = Environment::migrated(shared_cluster()).await;
    let (one, other) = (environment.connect().await, environment.connect().await);
    let mut heard = other.announcements.listen(Channel::Signals).await.expect("listening");
    one.announcements
        .announce(Channel::Signals, message("a"))
        .await
        .expect("announced");
    assert_eq!(next(&mut heard).await, Heard::Message(message("a")));
    drop(other);
    let ended = tokio::time::timeout(Duration::from_secs(5), heard.next()).await;
    assert_eq!(ended.expect("it ends"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn go_on_after_the_brokers_died_and_tell_when_the_topic_was_made_again() {
    let cluster = OwnCluster::start(KafkaOptions::default()).await;
    let kafka = &cluster.kafka;
    let environment = Environment::migrated(at(&kafka.addresses())).await;
    let (one, other) = (environment.connect().await, environment.connect().await);
    let mut heard = other
        .announcements
        .listen(Channel::RegistryChanges)
        .await
        .expect("listening");
    kafka.kill();
    let lost = one.announcements.announce(Channel::RegistryChanges, message("a"));
    let (lost, restarted) = tokio::join!(lost, async { tokio::task::block_in_place(|| kafka.restart()) });
    restarted.expect("Kafka");
    if lost.is_err() {
        one.announcements
            .announce(Channel::RegistryChanges, message("a"))
            .await
            .expect("announced");
    }
    assert_eq!(next(&mut heard).await, Heard::Message(message("a")));

    let topics = environment.topics();
    topics
        .delete(&[environment.names().registry_changes()])
        .await
        .expect("deleted");
    crate::migrate(&environment.config, Some(&environment.name))
        .await
        .expect("made again");
    assert_eq!(next(&mut heard).await, Heard::Missed);
    one.announcements
        .announce(Channel::RegistryChanges, message("b"))
        .await
        .expect("announced");
    assert_eq!(next(&mut heard).await, Heard::Message(message("b")));
}
