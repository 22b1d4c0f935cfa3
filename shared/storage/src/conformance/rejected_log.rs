//! What every log of rejected records must do.

use bytes::Bytes;
use forebay_model::{Generation, GroupId, GroupName, Timestamp};

use super::Installation;
use crate::{Rejected, RejectedId, RejectedLog, Topic, UnreadableRecord};

type Place = dyn Installation<dyn RejectedLog>;

/// Runs the whole suite; `fresh` gives a place for an empty log each time.
pub async fn rejected_log<I: Installation<dyn RejectedLog> + 'static>(fresh: impl AsyncFn() -> I) {
    an_empty_log_has_nothing(&fresh().await).await;
    records_come_back_as_they_were(&fresh().await).await;
    lists_go_on_where_they_ended(&fresh().await).await;
    groups_are_listed_apart(&fresh().await).await;
}

fn group(name: &str) -> GroupName {
    name.parse().expect("a group")
}

fn rejected(name: &str, offset: u64) -> Rejected {
    Rejected {
        group: group(name),
        topic: Topic {
            group: GroupId(7),
            generation: Generation(2),
        },
        partition: 3,
        record: UnreadableRecord {
            offset,
            code: "undecodable".to_owned(),
            detail: format!("the record ends early; ü \"{offset}\""),
            key: (!offset.is_multiple_of(3)).then(|| Bytes::from(format!("key {offset}"))),
            value: Bytes::from([0, 255, offset as u8].repeat(offset as usize % 5)),
        },
        rejected_at: Timestamp::from_micros(1_700_000_000_000_001 + i64::try_from(offset).expect("small")),
    }
}

/// All of a group's records, `limit` at a time.
async fn list_all(log: &dyn RejectedLog, of: Option<&GroupName>, limit: usize) -> Vec<(RejectedId, Rejected)> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let (records, next) = log.list(of, after, limit).await.expect("listed");
        assert!(records.len() <= limit);
        all.extend(records);
        if next.is_none() {
            break;
        }
        assert!(next > after, "a list goes on");
        after = next;
    }
    assert!(all.windows(2).all(|pair| pair[0].0 < pair[1].0), "ids ascend");
    all
}

async fn an_empty_log_has_nothing(place: &Place) {
    let log = place.open().await;
    assert_eq!(log.list(None, None, 10).await.expect("listed"), (Vec::new(), None));
    let id = RejectedId {
        partition: 0,
        offset: 0,
    };
    assert_eq!(log.get(id).await.expect("asked"), None);
    log.append(Vec::new()).await.expect("nothing");
    assert_eq!(log.list(None, None, 10).await.expect("listed"), (Vec::new(), None));
}

async fn records_come_back_as_they_were(place: &Place) {
    let log = place.open().await;
    let sent: Vec<_> = (0..20).map(|offset| rejected("shop.prices", offset)).collect();
    log.append(sent[..12].to_vec()).await.expect("appended");
    log.append(sent[12..].to_vec()).await.expect("appended");
    drop(log);
    let log = place.open().await;
    let all = list_all(&*log, None, 100).await;
    assert_eq!(all.iter().map(|(_, record)| record.clone()).collect::<Vec<_>>(), sent);
    for (id, record) in all {
        assert_eq!(log.get(id).await.expect("asked"), Some(record));
    }
    log.append(sent[..1].to_vec()).await.expect("appended");
    assert_eq!(
        list_all(&*log, None, 100).await.len(),
        21,
        "the same record may be in it twice"
    );
}

async fn lists_go_on_where_they_ended(place: &Place) {
    let log = place.open().await;
    let sent: Vec<_> = (0..50).map(|offset| rejected("shop.prices", offset)).collect();
    log.append(sent).await.expect("appended");
    for limit in [1, 7, 49, 50, 51] {
        let all = list_all(&*log, None, limit).await;
        assert!(
            all.iter().map(|(_, record)| record.record.offset).eq(0..50),
            "limit {limit}"
        );
    }
    let all = list_all(&*log, None, 100).await;
    let (last, _) = all.last().expect("records");
    assert_eq!(
        log.list(None, Some(*last), 10).await.expect("listed"),
        (Vec::new(), None)
    );
}

async fn groups_are_listed_apart(place: &Place) {
    let log = place.open().await;
    let names = ["shop.prices", "shop.stock", "shop.price"];
    for offset in 0..30 {
        let name = names[offset as usize % 3];
        log.append(vec![rejected(name, offset)]).await.expect("appended");
    }
    for (index, name) in (0..).zip(names) {
        let listed = list_all(&*log, Some(&group(name)), 4).await;
        let offsets: Vec<_> = listed.iter().map(|(_, record)| record.record.offset).collect();
        assert_eq!(
            offsets,
            (0..30).filter(|offset| offset % 3 == index).collect::<Vec<_>>()
        );
    }
    assert!(list_all(&*log, Some(&group("shop.other")), 4).await.is_empty());
}
