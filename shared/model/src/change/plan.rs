//! What happens to which object.

use serde::{Deserialize, Serialize};

use crate::definitions::{DefinitionSet, ObjectId};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Create,
    Update,
    Delete,
    None,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub id: ObjectId,
    pub action: Action,
}

/// What becomes of the objects that a bundle names (`Action::None` for those that stay as they are), and of those that
/// it removes. By kind and name.
pub fn changes<'a>(
    before: &DefinitionSet,
    after: &DefinitionSet,
    named: impl IntoIterator<Item = &'a ObjectId>,
) -> Vec<Change> {
    let mut ids: Vec<ObjectId> = named.into_iter().cloned().collect();
    ids.extend(
        before
            .iter()
            .map(|(id, _)| id)
            .filter(|id| after.get(id).is_none())
            .cloned(),
    );
    ids.sort();
    ids.dedup();
    ids.into_iter()
        .map(|id| {
            let action = match (before.get(&id), after.get(&id)) {
                (None, Some(_)) => Action::Create,
                (Some(_), None) => Action::Delete,
                (Some(old), Some(new)) if old != new => Action::Update,
                (Some(_), Some(_)) | (None, None) => Action::None,
            };
            Change { id, action }
        })
        .collect()
}
