//! Schema ids and subjects as the Confluent schema registry has them, and its wire format: a zero byte, the schema's id in four bytes, the record.

use forebay_model::{GroupId, LayoutNumber};

/// Layouts of a group that have an id.
const LAYOUTS: u32 = 4096;

/// The first byte of a record in the wire format.
const MAGIC: u8 = 0;

/// Bytes before the record in the wire format.
pub const WIRE_HEAD_LENGTH: usize = 5;

/// The id of the Avro schema of a group's rows in one of its layouts; `None` when either number is beyond what an id can hold.
#[must_use]
pub fn schema_id(group: GroupId, layout: LayoutNumber) -> Option<u32> {
    let layout = u32::from(layout.0);
    let id = group.0.checked_mul(LAYOUTS)?.checked_add(layout)?;
    // Clients take ids for signed numbers.
    (layout < LAYOUTS && id <= i32::MAX.cast_unsigned()).then_some(id)
}

/// What a schema's id stands for.
#[must_use]
pub const fn of_schema_id(id: u32) -> (GroupId, LayoutNumber) {
    (GroupId(id / LAYOUTS), LayoutNumber((id % LAYOUTS) as u16))
}

/// The subject under which the schemas of a topic's records are listed.
#[must_use]
pub fn subject(topic: &str) -> String {
    format!("{topic}-value")
}

/// The topic that a subject is about.
#[must_use]
pub fn topic_of_subject(subject: &str) -> Option<&str> {
    subject.strip_suffix("-value")
}

/// Begins a record in the wire format.
pub fn write_wire_head(out: &mut Vec<u8>, id: u32) {
    out.push(MAGIC);
    out.extend_from_slice(&id.to_be_bytes());
}

/// The id of the schema and the record itself; `None` for what is not in the wire format.
#[must_use]
pub fn read_wire_head(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (head, record) = bytes.split_first_chunk::<WIRE_HEAD_LENGTH>()?;
    let [MAGIC, a, b, c, d] = *head else { return None };
    Some((u32::from_be_bytes([a, b, c, d]), record))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_of_one_group_and_layout() {
        for (group, layout) in [(0, 0), (1, 4095), (2, 0), (524_287, 4095)] {
            let id = schema_id(GroupId(group), LayoutNumber(layout)).expect("an id");
            assert_eq!(of_schema_id(id), (GroupId(group), LayoutNumber(layout)));
        }
        assert_eq!(schema_id(GroupId(1), LayoutNumber(4096)), None);
        assert_eq!(schema_id(GroupId(524_288), LayoutNumber(0)), None);
    }

    #[test]
    fn the_wire_format_begins_with_zero_and_the_id() {
        let mut out = Vec::new();
        write_wire_head(&mut out, 258);
        assert_eq!(out, [0, 0, 0, 1, 2]);
        out.push(7);
        assert_eq!(read_wire_head(&out), Some((258, &[7][..])));
        assert_eq!(read_wire_head(&[1, 0, 0, 1, 2, 7]), None);
        assert_eq!(read_wire_head(&[0, 0, 0, 1]), None);
        assert_eq!(subject("t"), "t-value");
        assert_eq!(topic_of_subject("t-value"), Some("t"));
        assert_eq!(topic_of_subject("t-key"), None);
    }
}
