//! What every claim store must do.

use bytes::Bytes;
use forebay_model::Timestamp;
use futures::future::join_all;
use uuid::Uuid;

use super::Installation;
use crate::{BatchId, Claim, ClaimKey, ClaimOutcome, ClaimStore};

type Place = dyn Installation<dyn ClaimStore>;

/// Runs the whole suite; `fresh` gives a place for an empty store each time.
pub async fn claim_store<I: Installation<dyn ClaimStore> + 'static>(fresh: impl AsyncFn() -> I) {
    a_claim_is_given_once(&fresh().await).await;
    only_who_holds_a_claim_gives_it_up(&fresh().await).await;
    scopes_and_keys_are_apart(&fresh().await).await;
    old_claims_are_forgotten(&fresh().await).await;
    one_of_many_claimers_wins(&fresh().await).await;
}

fn key(scope: &str, key: &str) -> ClaimKey {
    ClaimKey {
        scope: scope.to_owned(),
        key: key.to_owned(),
    }
}

fn claim(number: u128, time: i64) -> Claim {
    Claim {
        body_hash: u128::MAX - number,
        batch: BatchId(Uuid::from_u128(number)),
        ingest_time: Timestamp::from_micros(time),
    }
}

const LONG_AGO: Timestamp = Timestamp::from_micros(i64::MIN);

async fn a_claim_is_given_once(place: &Place) {
    let mut store = place.open().await;
    let a = key("rows/a.b", "k");
    let answer = Bytes::from_static(b"\0answer");
    assert_eq!(
        store.claim(&a, &claim(1, 10), LONG_AGO).await.expect("an answer"),
        ClaimOutcome::Claimed
    );
    for answered in [false, true] {
        for _ in 0..2 {
            let expected = if answered {
                ClaimOutcome::Answered(claim(1, 10), answer.clone())
            } else {
                ClaimOutcome::Pending(claim(1, 10))
            };
            assert_eq!(
                store.claim(&a, &claim(2, 20), LONG_AGO).await.expect("an answer"),
                expected
            );
            drop(store);
            store = place.open().await;
        }
        let stands = store.answer(&a, answer.clone()).await.expect("answered");
        assert_eq!(stands, answer);
    }
    let later = Bytes::from_static(b"later");
    assert_eq!(
        store.answer(&a, later).await.expect("ignored"),
        answer,
        "the first one is given back"
    );
    store.abandon(&a, &claim(1, 10)).await.expect("ignored");
    assert_eq!(
        store.claim(&a, &claim(2, 20), LONG_AGO).await.expect("an answer"),
        ClaimOutcome::Answered(claim(1, 10), answer),
        "the first answer stays, and what was answered cannot be given up"
    );
}

async fn only_who_holds_a_claim_gives_it_up(place: &Place) {
    let store = place.open().await;
    let a = key("rows/a.b", "k");
    store.claim(&a, &claim(1, 10), LONG_AGO).await.expect("claimed");
    store.abandon(&a, &claim(1, 10)).await.expect("given up");
    store.abandon(&a, &claim(1, 10)).await.expect("given up already");
    assert_eq!(
        store.claim(&a, &claim(3, 30), LONG_AGO).await.expect("an answer"),
        ClaimOutcome::Claimed,
        "it is free"
    );
    // The first one wakes and gives up again what it has given up.
    store.abandon(&a, &claim(1, 10)).await.expect("ignored");
    assert_eq!(
        store.claim(&a, &claim(4, 40), LONG_AGO).await.expect("an answer"),
        ClaimOutcome::Pending(claim(3, 30)),
        "a newer claim stays"
    );
}

async fn scopes_and_keys_are_apart(place: &Place) {
    let store = place.open().await;
    let long = "x".repeat(5_000);
    let keys = [
        key("a", "bc"),
        key("ab", "c"),
        key("", "abc"),
        key("a", ""),
        key("a", &long),
        key("a", &format!("{long}y")),
        key(&long, "a"),
        key("é", "é"),
    ];
    for (number, key) in (0..).zip(&keys) {
        let outcome = store.claim(key, &claim(number, 1), LONG_AGO).await.expect("an answer");
        assert_eq!(outcome, ClaimOutcome::Claimed, "key {number} is nobody's");
    }
    for (number, key) in (0..).zip(&keys) {
        let outcome = store.claim(key, &claim(99, 1), LONG_AGO).await.expect("an answer");
        assert_eq!(
            outcome,
            ClaimOutcome::Pending(claim(number, 1)),
            "key {number} has its own claim"
        );
    }
}

async fn old_claims_are_forgotten(place: &Place) {
    let store = place.open().await;
    let at = Timestamp::from_micros;
    let name = |number: i64| key("s", &number.to_string());
    for number in -5..5 {
        store
            .claim(&name(number), &claim(1, number), LONG_AGO)
            .await
            .expect("claimed");
    }
    let again = store.claim(&name(-5), &claim(2, 100), at(-4)).await.expect("an answer");
    assert_eq!(again, ClaimOutcome::Claimed, "one from before counts no more");
    let kept = store.claim(&name(-4), &claim(2, 100), at(-4)).await.expect("an answer");
    assert_eq!(
        kept,
        ClaimOutcome::Pending(claim(1, -4)),
        "one from that very time does"
    );
    assert_eq!(store.expire(at(0), 3).await.expect("expired"), 3, "no more than it may");
    assert_eq!(store.expire(at(0), 100).await.expect("expired"), 1);
    assert_eq!(store.expire(at(0), 100).await.expect("expired"), 0);
    for (number, time) in [(-5, Some(100)), (-4, None), (-1, None), (0, Some(0)), (4, Some(4))] {
        let outcome = store
            .claim(&name(number), &claim(7, 200), LONG_AGO)
            .await
            .expect("an answer");
        match (outcome, time) {
            (ClaimOutcome::Claimed, None) => {}
            (ClaimOutcome::Pending(claim), Some(time)) => assert_eq!(claim.ingest_time, at(time)),
            other => panic!("claim {number}: {other:?}"),
        }
    }
}

async fn one_of_many_claimers_wins(place: &Place) {
    let store = place.open().await;
    for round in 0..10 {
        let claimers = (0..8).map(|claimer| {
            let store = store.clone();
            tokio::spawn(async move {
                let outcome = store
                    .claim(&key("s", &round.to_string()), &claim(claimer, 1), LONG_AGO)
                    .await;
                (claimer, outcome.expect("an answer"))
            })
        });
        let outcomes: Vec<_> = join_all(claimers.collect::<Vec<_>>())
            .await
            .into_iter()
            .map(|claimer| claimer.expect("a claimer"))
            .collect();
        let winners: Vec<_> = outcomes
            .iter()
            .filter(|outcome| outcome.1 == ClaimOutcome::Claimed)
            .map(|outcome| outcome.0)
            .collect();
        assert_eq!(winners.len(), 1, "one of the claimers is the first");
        for (claimer, outcome) in outcomes {
            assert!(
                claimer == winners[0] || outcome == ClaimOutcome::Pending(claim(winners[0], 1)),
                "the others learn of it"
            );
        }
    }
}
