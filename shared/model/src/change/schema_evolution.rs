//! The physical schema that a definition gets, and what no schema within a generation can follow.

use std::sync::Arc;

use crate::{
    DataType, Duration, Generation, GroupId, GroupSchema, KeyColumn, LayoutNumber, Name, Slot,
    definitions::{FeatureGroup, Stores, WayIn},
    limits::GROUP_FEATURES,
};

/// A change that the tables and topics of a generation cannot follow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Incompatible {
    #[error("its keys would be ({now}), but its rows have ({before})")]
    Keys { before: String, now: String },
    #[error("`{feature}` would be {now}, but its rows hold {before}")]
    Type {
        feature: Name,
        before: DataType,
        now: DataType,
    },
    #[error("its rows would come in as {now:?}, but have come in as {before:?}")]
    WayIn { before: WayIn, now: WayIn },
    #[error("its stores would change, and the rows it has are not in all of them")]
    Stores,
    #[error("rows older than {swept} may have been swept, and a ttl of {wanted} asks for them", swept = .shortest.doubled(), wanted = .now.map_or_else(|| "forever".to_owned(), |ttl| ttl.to_string()))]
    Ttl { shortest: Duration, now: Option<Duration> },
    #[error("it would have had {count} features, removed ones included; at most {GROUP_FEATURES} are allowed")]
    TooManyFeatures { count: usize },
    #[error("it has changed its features as often as it can; at most 65535 times are possible")]
    TooManyLayouts,
}

/// The schema of a group: the one before with slots added, hidden and shown again, or a first one.
///
/// # Errors
/// What takes a new generation.
pub fn evolve(
    before: Option<&GroupSchema>,
    id: GroupId,
    group: &FeatureGroup,
    keys: &[KeyColumn],
) -> Result<GroupSchema, Incompatible> {
    let Some(before) = before else {
        return Ok(first(id, group, keys));
    };
    if *before.keys != *keys {
        return Err(Incompatible::Keys {
            before: listed(&before.keys),
            now: listed(keys),
        });
    }
    let mut slots = before.slots.to_vec();
    for slot in &mut slots {
        slot.hidden = group.feature(slot.name.as_str()).is_none();
    }
    let mut layout = before.layout;
    let known = slots.len();
    for feature in &group.features {
        match slots.iter().find(|slot| slot.name == feature.name) {
            Some(slot) if slot.data_type == feature.data_type => {}
            Some(slot) => {
                return Err(Incompatible::Type {
                    feature: feature.name.clone(),
                    before: slot.data_type.clone(),
                    now: feature.data_type.clone(),
                });
            }
            None => {
                if slots.len() == known {
                    let next = before.layout.0.checked_add(1);
                    layout = LayoutNumber(next.ok_or(Incompatible::TooManyLayouts)?);
                }
                slots.push(Slot {
                    name: feature.name.clone(),
                    data_type: feature.data_type.clone(),
                    since: layout,
                    hidden: false,
                });
            }
        }
    }
    if slots.len() > GROUP_FEATURES {
        return Err(Incompatible::TooManyFeatures { count: slots.len() });
    }
    Ok(GroupSchema {
        name: before.name.clone(),
        id: before.id,
        generation: before.generation,
        layout,
        keys: Arc::clone(&before.keys),
        slots: Arc::from(slots),
    })
}

fn first(id: GroupId, group: &FeatureGroup, keys: &[KeyColumn]) -> GroupSchema {
    let slots = group.features.iter().map(|feature| Slot {
        name: feature.name.clone(),
        data_type: feature.data_type.clone(),
        since: LayoutNumber(0),
        hidden: false,
    });
    GroupSchema {
        name: group.name.clone(),
        id,
        generation: Generation(0),
        layout: LayoutNumber(0),
        keys: Arc::from(keys),
        slots: slots.collect(),
    }
}

/// The shortest ttl of a generation after a change of definition; `shortest` is the one before it.
///
/// # Errors
/// When the way in, the stores or the ttl change in a way that the rows there are cannot follow. A ttl may grow as long as
/// nothing that becomes visible again can have been swept: rows go once they are older than twice the ttl.
pub fn shortest_ttl(
    before: &FeatureGroup,
    shortest: Option<Duration>,
    now: &FeatureGroup,
) -> Result<Option<Duration>, Incompatible> {
    if before.way_in() != now.way_in() {
        return Err(Incompatible::WayIn {
            before: before.way_in(),
            now: now.way_in(),
        });
    }
    let Stores { online, offline } = before.stores;
    if (online, offline) != (now.stores.online, now.stores.offline) {
        return Err(Incompatible::Stores);
    }
    match (shortest, now.ttl) {
        (None, ttl) => Ok(ttl),
        (Some(shortest), Some(ttl)) if ttl <= shortest.doubled() => Ok(Some(shortest.min(ttl))),
        (Some(shortest), ttl) => Err(Incompatible::Ttl { shortest, now: ttl }),
    }
}

fn listed(keys: &[KeyColumn]) -> String {
    let keys: Vec<_> = keys
        .iter()
        .map(|key| format!("{} {}", key.name, key.key_type))
        .collect();
    keys.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        KeyType,
        definitions::{Definition, parse_one},
    };

    fn group(features: &[(&str, &str)], ttl: Option<&str>) -> FeatureGroup {
        let features: Vec<_> = features
            .iter()
            .map(|(name, data_type)| json!({"name": name, "type": data_type}))
            .collect();
        let value = json!({"kind": "FeatureGroup", "name": "a.b", "entities": ["e"], "features": features, "ttl": ttl});
        match parse_one(&value).expect("a definition") {
            Definition::FeatureGroup(group) => group,
            other => panic!("not a group: {other:?}"),
        }
    }

    fn keys() -> Vec<KeyColumn> {
        vec![KeyColumn {
            name: Name::new("k").expect("a name"),
            key_type: KeyType::Int64,
        }]
    }

    #[test]
    fn features_are_added_hidden_and_shown_again() {
        let both = group(&[("x", "int64"), ("y", "string")], None);
        let first = evolve(None, GroupId(3), &both, &keys()).expect("a schema");
        assert_eq!((first.layout, first.slots.len()), (LayoutNumber(0), 2));
        let other = group(&[("z", "bool"), ("y", "string")], None);
        let second = evolve(Some(&first), GroupId(9), &other, &keys()).expect("a schema");
        assert_eq!((second.id, second.layout), (GroupId(3), LayoutNumber(1)));
        assert_eq!((second.slot("x"), second.slot("z")), (None, Some(2)));
        let third = evolve(Some(&second), GroupId(9), &both, &keys()).expect("a schema");
        assert_eq!((third.layout, third.slot("x")), (LayoutNumber(1), Some(0)));
        let retyped = group(&[("z", "int32")], None);
        assert!(matches!(
            evolve(Some(&third), GroupId(9), &retyped, &keys()),
            Err(Incompatible::Type { .. })
        ));
    }

    #[test]
    fn keys_never_change() {
        let definition = group(&[("x", "int64")], None);
        let schema = evolve(None, GroupId(1), &definition, &keys()).expect("a schema");
        assert!(matches!(
            evolve(Some(&schema), GroupId(1), &definition, &[]),
            Err(Incompatible::Keys { .. })
        ));
    }

    #[test]
    fn a_ttl_grows_only_into_what_was_never_swept() {
        let day = |days: &str| group(&[("x", "int64")], Some(days));
        let shortest = Some("10d".parse().expect("a duration"));
        assert_eq!(shortest_ttl(&day("10d"), shortest, &day("20d")), Ok(shortest));
        assert!(shortest_ttl(&day("20d"), shortest, &day("21d")).is_err());
        let forever = group(&[("x", "int64")], None);
        assert!(shortest_ttl(&day("10d"), shortest, &forever).is_err());
        assert_eq!(shortest_ttl(&forever, None, &day("10d")), Ok(shortest));
    }
}
