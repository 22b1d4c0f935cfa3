//! What every object and every feature may say about itself.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    limits::{ANNOTATIONS, DESCRIPTION_LENGTH, TEXT_LENGTH},
    reader::Fields,
};

/// Descriptive only: changing it changes no answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Metadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

impl Metadata {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            description: fields.optional("description", |node| node.short_text(DESCRIPTION_LENGTH)),
            owners: fields
                .list("owners", ANNOTATIONS, |node| node.short_text(TEXT_LENGTH))
                .unwrap_or_default(),
            tags: fields
                .optional("tags", |node| {
                    node.map(
                        ANNOTATIONS,
                        |node, key| {
                            let fits = (1..=TEXT_LENGTH).contains(&key.chars().count());
                            if !fits {
                                node.problem("over_limit", format!("a tag's name has 1 to {TEXT_LENGTH} characters"));
                            }
                            fits.then(|| key.to_owned())
                        },
                        |node| node.short_text(TEXT_LENGTH),
                    )
                })
                .unwrap_or_default(),
        }
    }
}
