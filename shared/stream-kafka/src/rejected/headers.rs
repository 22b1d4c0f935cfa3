//! What stands in the headers of a rejected record, each as text.

use bytes::Bytes;
use forebay_model::{Generation, GroupId, GroupName, Timestamp};
use forebay_storage::{Rejected, Topic, UnreadableRecord};
use rdkafka::{
    Message,
    message::{BorrowedMessage, Header, Headers, OwnedHeaders},
};

const GROUP: &str = "forebay-group";
/// The group's number and the generation of its topic, `7.0`.
const TOPIC: &str = "forebay-topic";
const PARTITION: &str = "forebay-partition";
const OFFSET: &str = "forebay-offset";
const CODE: &str = "forebay-code";
const DETAIL: &str = "forebay-detail";
/// RFC 3339.
const REJECTED_AT: &str = "forebay-rejected-at";

pub(super) fn write(rejected: &Rejected) -> OwnedHeaders {
    let Rejected {
        group,
        topic,
        partition,
        record,
        rejected_at,
    } = rejected;
    let fields = [
        (GROUP, group.to_string()),
        (TOPIC, format!("{}.{}", topic.group.0, topic.generation.0)),
        (PARTITION, partition.to_string()),
        (OFFSET, record.offset.to_string()),
        (CODE, record.code.clone()),
        (DETAIL, record.detail.clone()),
        (REJECTED_AT, rejected_at.to_string()),
    ];
    fields.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
        headers.insert(Header {
            key,
            value: Some(value),
        })
    })
}

/// `None` for a record that nobody of us has written.
pub(super) fn read(message: &BorrowedMessage<'_>) -> Option<Rejected> {
    let headers = message.headers()?;
    let text = |name: &str| {
        let header = headers.iter().find(|header| header.key == name)?;
        std::str::from_utf8(header.value?).ok()
    };
    let group: GroupName = text(GROUP)?.parse().ok()?;
    let (id, generation) = text(TOPIC)?.split_once('.')?;
    Some(Rejected {
        group,
        topic: Topic {
            group: GroupId(id.parse().ok()?),
            generation: Generation(generation.parse().ok()?),
        },
        partition: text(PARTITION)?.parse().ok()?,
        record: UnreadableRecord {
            offset: text(OFFSET)?.parse().ok()?,
            code: text(CODE)?.to_owned(),
            detail: text(DETAIL)?.to_owned(),
            key: message.key().map(Bytes::copy_from_slice),
            value: Bytes::copy_from_slice(message.payload().unwrap_or_default()),
        },
        rejected_at: Timestamp::parse(text(REJECTED_AT)?).ok()?,
    })
}
