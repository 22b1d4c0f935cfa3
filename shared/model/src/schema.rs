//! The physical schema of a group within one generation: keys that never change and features that are only added.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{DataType, GroupName, KeyType, Name};

/// A group's number in its installation, given by the registry when it was made and never again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupId(pub u32);

/// Counts the tables and topics a group has had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u16);

/// Counts the schemas within a generation; every packed row names the one it was written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LayoutNumber(pub u16);

/// A column of a group's key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyColumn {
    pub name: Name,
    #[serde(rename = "type")]
    pub key_type: KeyType,
}

/// The place of a feature in the group's rows. A slot is never removed or retyped within a generation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Slot {
    pub name: Name,
    #[serde(rename = "type")]
    pub data_type: DataType,
    /// The first layout that has it. Slots are in ascending order of it.
    pub since: LayoutNumber,
    /// Its feature was removed: writers leave it null, readers do not see it. It comes back with the same type only.
    #[serde(default)]
    pub hidden: bool,
}

/// All that a store needs to know of a group to hold its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSchema {
    pub name: GroupName,
    pub id: GroupId,
    pub generation: Generation,
    /// The newest layout; [`GroupSchema::slots_of`] tells those of an older one.
    pub layout: LayoutNumber,
    pub keys: Arc<[KeyColumn]>,
    pub slots: Arc<[Slot]>,
}

impl GroupSchema {
    #[must_use]
    pub fn key_types(&self) -> Vec<KeyType> {
        self.keys.iter().map(|key| key.key_type).collect()
    }

    /// The slots that rows of a layout have, hidden ones included; `None` for a layout that this schema does not know yet.
    #[must_use]
    pub fn slots_of(&self, layout: LayoutNumber) -> Option<&[Slot]> {
        (layout <= self.layout).then(|| &self.slots[..self.slots.partition_point(|slot| slot.since <= layout)])
    }

    /// The slots of features that readers see, with their index.
    pub fn visible(&self) -> impl Iterator<Item = (usize, &Slot)> {
        self.slots.iter().enumerate().filter(|(_, slot)| !slot.hidden)
    }

    /// The index of a visible feature's slot.
    #[must_use]
    pub fn slot(&self, feature: &str) -> Option<usize> {
        self.visible()
            .find(|(_, slot)| slot.name.as_str() == feature)
            .map(|(index, _)| index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_layout_sees_fewer_slots() {
        let slot = |name: &str, since| Slot {
            name: Name::new(name).expect("a name"),
            data_type: DataType::Int64,
            since: LayoutNumber(since),
            hidden: false,
        };
        let schema = GroupSchema {
            name: "a.b".parse().expect("a group"),
            id: GroupId(1),
            generation: Generation(0),
            layout: LayoutNumber(2),
            keys: Arc::from([]),
            slots: Arc::from([slot("x", 0), slot("y", 0), slot("z", 2)]),
        };
        let count = |layout| schema.slots_of(LayoutNumber(layout)).map(<[Slot]>::len);
        assert_eq!(
            [count(0), count(1), count(2), count(3)],
            [Some(2), Some(2), Some(3), None]
        );
        assert_eq!(schema.slot("z"), Some(2));
    }
}
