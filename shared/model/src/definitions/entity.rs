//! `kind: Entity`: a thing that features describe, and its join keys.

use std::collections::HashSet;

use serde::Serialize;

use super::{
    Metadata,
    reader::{Fields, Node},
};
use crate::{DataType, KeyColumn, KeyType, Name, limits::KEY_COLUMNS};

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entity {
    pub name: Name,
    pub domain: Name,
    /// In the order in which they make the key; at least one.
    pub keys: Vec<KeyColumn>,
    #[serde(flatten)]
    pub metadata: Metadata,
}

impl Entity {
    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.required("name", |node| node.name());
        let domain = fields.required("domain", |node| node.name());
        let keys = fields.required("keys", |node| {
            let keys = node.list(KEY_COLUMNS, read_key)?;
            if keys.is_empty() && node.value.as_array().is_some_and(Vec::is_empty) {
                node.problem("invalid_value", "an entity has at least one key");
            }
            let mut seen = HashSet::new();
            if let Some(twice) = keys.iter().find(|key| !seen.insert(key.name.clone())) {
                node.problem("duplicate", format!("`{}` stands here more than once", twice.name));
            }
            Some(keys)
        });
        let metadata = Metadata::read(fields);
        Some(Self {
            name: name?,
            domain: domain?,
            keys: keys?,
            metadata,
        })
    }
}

fn read_key(node: Node<'_>) -> Option<KeyColumn> {
    let mut fields = node.fields()?;
    let name = fields.required("name", |node| node.column());
    let key_type = fields.required("type", |node| {
        let data_type: DataType = node.parsed("invalid_type")?;
        KeyType::try_from(&data_type)
            .map_err(|error| node.problem("invalid_type", error.to_string()))
            .ok()
    });
    fields.finish();
    Some(KeyColumn {
        name: name?,
        key_type: key_type?,
    })
}
