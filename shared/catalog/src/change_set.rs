//! What the registry publishes: objects with all that it decided about them.

use std::sync::Arc;

use forebay_model::{
    Duration, GroupSchema, Timestamp,
    definitions::{Definition, ObjectId, Problem, parse_one},
    graph::Lineage,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One registry revision: everything that it changed.
#[derive(Debug, Clone)]
pub struct ChangeSet {
    /// The registry revision that these changes make.
    pub revision: u64,
    pub published_at: Timestamp,
    pub objects: Vec<Object>,
}

/// One revision of an object.
#[derive(Debug, Clone)]
pub struct Object {
    pub revision: u64,
    /// Deleted by this revision; the record is its last.
    pub deleted: bool,
    pub record: Arc<Record>,
}

/// What the registry keeps of one revision of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub definition: Arc<Definition>,
    /// Of a feature group.
    pub group: Option<GroupState>,
}

/// What the registry decided and found out about a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupState {
    pub schema: Arc<GroupSchema>,
    #[serde(default)]
    pub lineage: Lineage,
    /// The shortest ttl that the group has had in this generation: rows older than twice that may have been swept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shortest_ttl: Option<Duration>,
    /// Schemas whose tables and topics are to be removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub purged: Vec<Arc<GroupSchema>>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    definition: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<GroupState>,
}

/// A stored record does not say what it should.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("a stored object is not readable: {0}")]
    Json(#[from] serde_json::Error),
    #[error("a stored definition is not one: {}", .0.first().map_or_else(String::new, |p| format!("{} at `{}`", p.detail, p.pointer)))]
    Definition(Vec<Problem>),
}

impl Record {
    #[must_use]
    pub fn id(&self) -> ObjectId {
        self.definition.id()
    }

    /// As JSON, for the registry store and for other processes.
    ///
    /// # Errors
    /// When the definition cannot be written as JSON.
    pub fn to_json(&self) -> Result<String, RecordError> {
        let written = Written {
            definition: serde_json::to_value(&*self.definition)?,
            group: self.group.clone(),
        };
        Ok(serde_json::to_string(&written)?)
    }

    /// # Errors
    /// When the text is not what [`Record::to_json`] writes.
    pub fn from_json(text: &str) -> Result<Self, RecordError> {
        let written: Written = serde_json::from_str(text)?;
        let definition = parse_one(&written.definition).map_err(RecordError::Definition)?;
        Ok(Self {
            definition: Arc::new(definition),
            group: written.group,
        })
    }
}
