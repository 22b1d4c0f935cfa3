//! What announcements between processes must do.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, future::join_all, stream::BoxStream};
use tokio::time::timeout;

use super::Installation;
use crate::{Announcements, Channel, Heard};

type Place = dyn Installation<dyn Announcements>;

/// A message that was announced is heard within this time, or never.
const SOON: Duration = Duration::from_secs(20);

/// Bytes of the largest message that everybody must carry.
const LARGE: usize = 1_000_000;

/// Runs the whole suite; `fresh` gives a place for an installation in which nothing was announced each time.
pub async fn announcements<I: Installation<dyn Announcements> + 'static>(fresh: impl AsyncFn() -> I) {
    listeners_hear_everything_in_order(&fresh().await).await;
    what_nobody_hears_is_no_failure(&fresh().await).await;
    channels_are_apart(&fresh().await).await;
    announcers_beside_each_other_lose_nothing(&fresh().await).await;
    large_messages_are_carried(&fresh().await).await;
    a_slow_listener_is_told_what_it_missed(&fresh().await).await;
}

fn message(number: usize) -> Bytes {
    Bytes::from(format!("message {number}"))
}

async fn next(heard: &mut BoxStream<'static, Heard>) -> Heard {
    timeout(SOON, heard.next())
        .await
        .expect("something is heard")
        .expect("it goes on")
}

async fn listen(announcements: &Arc<dyn Announcements>, channel: Channel) -> BoxStream<'static, Heard> {
    announcements.listen(channel).await.expect("listening")
}

async fn listeners_hear_everything_in_order(place: &Place) {
    let announcements = place.open().await;
    let mut first = listen(&announcements, Channel::Signals).await;
    let mut second = listen(&announcements, Channel::Signals).await;
    for number in 0..100 {
        announcements
            .announce(Channel::Signals, message(number))
            .await
            .expect("announced");
    }
    for heard in [&mut first, &mut second] {
        for number in 0..100 {
            assert_eq!(next(heard).await, Heard::Message(message(number)));
        }
    }
    drop(first);
    announcements
        .announce(Channel::Signals, message(100))
        .await
        .expect("announced");
    assert_eq!(
        next(&mut second).await,
        Heard::Message(message(100)),
        "one goes, the other hears on"
    );
}

async fn what_nobody_hears_is_no_failure(place: &Place) {
    let announcements = place.open().await;
    announcements
        .announce(Channel::RegistryChanges, message(0))
        .await
        .expect("announced to nobody");
    let mut heard = listen(&announcements, Channel::RegistryChanges).await;
    announcements
        .announce(Channel::RegistryChanges, message(1))
        .await
        .expect("announced");
    assert_eq!(
        next(&mut heard).await,
        Heard::Message(message(1)),
        "what was before is not heard"
    );
}

async fn channels_are_apart(place: &Place) {
    let announcements = place.open().await;
    let mut changes = listen(&announcements, Channel::RegistryChanges).await;
    let mut signals = listen(&announcements, Channel::Signals).await;
    announcements
        .announce(Channel::Signals, message(1))
        .await
        .expect("announced");
    announcements
        .announce(Channel::RegistryChanges, message(2))
        .await
        .expect("announced");
    assert_eq!(next(&mut changes).await, Heard::Message(message(2)));
    assert_eq!(next(&mut signals).await, Heard::Message(message(1)));
}

async fn announcers_beside_each_other_lose_nothing(place: &Place) {
    const ANNOUNCERS: usize = 8;
    const EACH: usize = 50;
    let announcements = place.open().await;
    let mut listeners = [
        listen(&announcements, Channel::Signals).await,
        listen(&announcements, Channel::Signals).await,
    ];
    let announcers = (0..ANNOUNCERS).map(|announcer| {
        let announcements = announcements.clone();
        tokio::spawn(async move {
            for number in 0..EACH {
                let message = message(announcer * EACH + number);
                announcements
                    .announce(Channel::Signals, message)
                    .await
                    .expect("announced");
            }
        })
    });
    for announcer in join_all(announcers).await {
        announcer.expect("an announcer");
    }
    let mut all = Vec::new();
    for listener in &mut listeners {
        let mut heard = Vec::new();
        for _ in 0..ANNOUNCERS * EACH {
            heard.push(next(listener).await);
        }
        all.push(heard);
    }
    assert_eq!(all[0], all[1], "everybody hears the same order");
    for announcer in 0..ANNOUNCERS {
        let own = |number: usize| Heard::Message(message(announcer * EACH + number));
        let places: Vec<_> = (0..EACH)
            .map(|number| all[0].iter().position(|heard| *heard == own(number)).expect("heard"))
            .collect();
        assert!(places.is_sorted(), "each announcer's messages are in its order");
    }
}

async fn large_messages_are_carried(place: &Place) {
    let announcements = place.open().await;
    let mut heard = listen(&announcements, Channel::RegistryChanges).await;
    for sent in [Bytes::from(vec![b'x'; LARGE]), Bytes::new()] {
        announcements
            .announce(Channel::RegistryChanges, sent.clone())
            .await
            .expect("announced");
        assert_eq!(next(&mut heard).await, Heard::Message(sent));
    }
}

async fn a_slow_listener_is_told_what_it_missed(place: &Place) {
    const MANY: usize = 10_000;
    let announcements = place.open().await;
    let mut heard = listen(&announcements, Channel::Signals).await;
    for batch in (0..MANY).collect::<Vec<_>>().chunks(100) {
        let announced = batch
            .iter()
            .map(|number| announcements.announce(Channel::Signals, message(*number)));
        for announced in join_all(announced).await {
            announced.expect("announced");
        }
    }
    let last = message(MANY);
    announcements
        .announce(Channel::Signals, last.clone())
        .await
        .expect("announced");
    let (mut messages, mut missed) = (0, false);
    loop {
        match next(&mut heard).await {
            Heard::Message(message) if message == last => break,
            Heard::Message(_) => messages += 1,
            Heard::Missed => missed = true,
        }
    }
    assert!(
        messages == MANY || missed,
        "of {MANY} messages {messages} were heard, and nothing was said"
    );
}
