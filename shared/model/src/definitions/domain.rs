//! `kind: Domain`: the top of the hierarchy, and what a team owns.

use serde::Serialize;

use super::{Metadata, reader::Fields};
use crate::Name;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Domain {
    pub name: Name,
    #[serde(flatten)]
    pub metadata: Metadata,
}

impl Domain {
    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.required("name", |node| node.name());
        let metadata = Metadata::read(fields);
        Some(Self { name: name?, metadata })
    }
}
