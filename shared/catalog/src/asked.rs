//! Features that requests ask for, and the keys that asking for them takes.

use std::collections::BTreeMap;

use forebay_model::{FeatureRef, KeyType, Name};

use crate::{Group, View};

/// One asked feature.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    /// Its name in the answer.
    pub name: String,
    pub feature: FeatureRef,
    /// Its group's keys that the caller calls otherwise.
    pub keys: Option<&'a BTreeMap<Name, Name>>,
}

impl Asked<'_> {
    /// A feature that is asked for by itself, under this name and with its group's own keys.
    #[must_use]
    pub fn plain(name: String, feature: FeatureRef) -> Self {
        Self {
            name,
            feature,
            keys: None,
        }
    }
}

impl View {
    /// The features that a view asks for, in its order.
    pub fn asked(&self) -> impl Iterator<Item = Asked<'_>> {
        self.definition().features.iter().map(|feature| Asked {
            name: feature.answer_name(),
            feature: feature.feature.clone(),
            keys: Some(&feature.keys),
        })
    }
}

/// The key columns that a request must give for the groups it asks: each once, in the order in which they are first needed.
#[derive(Debug, Clone, Default)]
pub struct KeyColumns(Vec<(Name, KeyType)>);

/// Two asked groups want one key column to be of different types.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the key `{name}` is {known} for one asked group and {other} for another")]
pub struct MixedKeys {
    pub name: Name,
    pub known: KeyType,
    pub other: KeyType,
}

impl KeyColumns {
    /// Which columns a group's keys are, some of which the caller may call otherwise; those that are not there yet are added.
    ///
    /// # Errors
    /// When a column of that name is there with another type.
    pub fn add(&mut self, group: &Group, renamed: Option<&BTreeMap<Name, Name>>) -> Result<Vec<usize>, MixedKeys> {
        let columns = group.keys().iter().map(|key| {
            let name = renamed.and_then(|renamed| renamed.get(&key.name)).unwrap_or(&key.name);
            let Some(index) = self.0.iter().position(|(known, _)| known == name) else {
                self.0.push((name.clone(), key.key_type));
                return Ok(self.0.len() - 1);
            };
            let (_, known) = self.0[index];
            if known == key.key_type {
                return Ok(index);
            }
            Err(MixedKeys {
                name: name.clone(),
                known,
                other: key.key_type,
            })
        });
        columns.collect()
    }

    #[must_use]
    pub fn name(&self, index: usize) -> &Name {
        &self.0[index].0
    }
}

impl IntoIterator for KeyColumns {
    type Item = (Name, KeyType);
    type IntoIter = std::vec::IntoIter<(Name, KeyType)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
