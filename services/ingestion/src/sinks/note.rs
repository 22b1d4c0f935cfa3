//! What a commit notes of the rows that it holds: which rows of which batches, by partition.
//!
//! Of each partition a text in base64: a byte for the form, then of each batch its identity (16 bytes), the number of its intervals of rows, and of each of them
//! the distance from the end of the one before it and its length. Numbers have seven bits in each byte, the lowest first, and the eighth where more follow. A
//! form that is not known is read as nothing, so that it must not be written before all read it.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use forebay_storage::{BatchId, CommitNotes};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::ordinals::Ordinals;

/// The note's name.
pub(crate) const NOTE: &str = "batches";

const FORM: u8 = 1;

/// The note of a commit with these rows, given as partition, batch and ordinal; `None` when none of them has an identity.
pub(crate) fn note(rows: impl Iterator<Item = (u32, BatchId, u32)>) -> Option<Json> {
    let mut partitions: BTreeMap<u32, BTreeMap<BatchId, Ordinals>> = BTreeMap::new();
    for (partition, batch, ordinal) in rows.filter(|(_, batch, _)| batch.0 != Uuid::nil()) {
        let batches = partitions.entry(partition).or_default();
        batches.entry(batch).or_default().add(ordinal, ordinal);
    }
    let note: Map<String, Json> = partitions
        .into_iter()
        .map(|(partition, batches)| (partition.to_string(), encode(&batches).into()))
        .collect();
    (!note.is_empty()).then_some(Json::Object(note))
}

/// What a commit notes of a partition.
pub(crate) fn noted(commit: &CommitNotes, partition: u32) -> Vec<(BatchId, Ordinals)> {
    let of_partition = commit.notes.get(NOTE).and_then(|note| note.get(partition.to_string()));
    match of_partition {
        Some(Json::String(text)) => decode(text).unwrap_or_default(),
        // As it was written once: an object of ordinals by batch.
        Some(Json::Object(batches)) => batches
            .iter()
            .filter_map(|(batch, ordinals)| Some((BatchId(batch.parse().ok()?), Ordinals::of_json(ordinals)?)))
            .collect(),
        _ => Vec::new(),
    }
}

fn encode(batches: &BTreeMap<BatchId, Ordinals>) -> String {
    let mut bytes = vec![FORM];
    for (batch, ordinals) in batches {
        bytes.extend_from_slice(batch.0.as_bytes());
        write(
            &mut bytes,
            u32::try_from(ordinals.intervals().count()).unwrap_or(u32::MAX),
        );
        let mut end = 0;
        for (first, last) in ordinals.intervals() {
            write(&mut bytes, first - end);
            write(&mut bytes, last - first);
            end = last;
        }
    }
    BASE64_STANDARD_NO_PAD.encode(bytes)
}

fn decode(text: &str) -> Option<Vec<(BatchId, Ordinals)>> {
    let bytes = BASE64_STANDARD_NO_PAD.decode(text).ok()?;
    let (form, mut rest) = bytes.split_first()?;
    if *form != FORM {
        return None;
    }
    let mut batches = Vec::new();
    while !rest.is_empty() {
        let (batch, after) = rest.split_first_chunk::<16>()?;
        rest = after;
        let mut ordinals = Ordinals::default();
        let mut end = 0_u32;
        for _ in 0..read(&mut rest)? {
            let first = end.checked_add(read(&mut rest)?)?;
            end = first.checked_add(read(&mut rest)?)?;
            ordinals.add(first, end);
        }
        batches.push((BatchId(Uuid::from_bytes(*batch)), ordinals));
    }
    Some(batches)
}

fn write(bytes: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn read(bytes: &mut &[u8]) -> Option<u32> {
    let mut number = 0_u32;
    for shift in (0..35).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u32::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_set, prelude::*};
    use serde_json::json;

    use super::*;

    fn commit(note: Option<Json>) -> CommitNotes {
        CommitNotes {
            version: 1,
            committed_at: None,
            positions: BTreeMap::new(),
            notes: note.map(|note| (NOTE.to_owned(), note)).into_iter().collect(),
        }
    }

    proptest! {
        #[test]
        fn is_read_as_written(rows in btree_set((0u32..3, 1u128..5, prop_oneof![0u32..9, any::<u32>()]), 0..60)) {
            let id = |batch| BatchId(Uuid::from_u128(batch));
            let note = note(rows.iter().map(|(partition, batch, ordinal)| (*partition, id(*batch), *ordinal)));
            prop_assert_eq!(note.is_none(), rows.is_empty());
            let commit = commit(note);
            for partition in 0..3 {
                let mut expected: BTreeMap<BatchId, Ordinals> = BTreeMap::new();
                for (_, batch, ordinal) in rows.iter().filter(|row| row.0 == partition) {
                    expected.entry(id(*batch)).or_default().add(*ordinal, *ordinal);
                }
                prop_assert_eq!(noted(&commit, partition), expected.into_iter().collect::<Vec<_>>());
            }
        }

        #[test]
        fn what_others_write_there_does_no_harm(text in "[A-Za-z0-9+/]{0,80}") {
            noted(&commit(Some(json!({ "0": text }))), 0);
        }
    }

    #[test]
    fn rows_without_identity_are_not_noted() {
        assert_eq!(note([(0, BatchId(Uuid::nil()), 1)].into_iter()), None);
    }

    #[test]
    fn the_form_of_old_commits_is_read() {
        let (one, other) = (Uuid::from_u128(7), Uuid::from_u128(8));
        let old = json!({ "2": { one.to_string(): 4, other.to_string(): [[0, 1], [5, 9]], "nonsense": 3 } });
        let mut gaps = Ordinals::up_to(2);
        gaps.add(5, 9);
        let expected = [(BatchId(one), Ordinals::up_to(5)), (BatchId(other), gaps)];
        assert_eq!(noted(&commit(Some(old.clone())), 2), expected);
        assert_eq!(noted(&commit(Some(old)), 1), []);
    }

    #[test]
    fn a_batch_without_gaps_takes_nineteen_bytes() {
        let rows = (0..1_000_u128).flat_map(|batch| [(0, BatchId(Uuid::from_u128(batch + 1)), 0)]);
        let note = note(rows).expect("a note");
        let length = note["0"].as_str().expect("a text").len();
        assert!(length <= 19 * 1_000 * 4 / 3 + 4, "{length}");
    }
}
