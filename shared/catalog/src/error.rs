//! Why a name could not be resolved.

use forebay_model::{FeatureRef, GroupName, Name};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    #[error("no feature group is called `{group}`{}", hint(.nearest))]
    UnknownGroup { group: GroupName, nearest: Vec<String> },
    #[error("no feature is called `{feature}`{}", hint(.nearest))]
    UnknownFeature { feature: FeatureRef, nearest: Vec<String> },
    #[error("no feature view is called `{view}`{}", hint(.nearest))]
    UnknownView { view: Name, nearest: Vec<String> },
    #[error("the feature view `{view}` has no revision {revision}; its newest is {newest}")]
    UnknownRevision { view: Name, revision: u64, newest: u64 },
    /// Its tables and topics are still being made.
    #[error("the feature group `{group}` is not ready yet: {reason}")]
    NotReady { group: GroupName, reason: String },
}

impl LookupError {
    /// The problem code that callers see.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownGroup { .. } => "unknown_group",
            Self::UnknownFeature { .. } => "unknown_feature",
            Self::UnknownView { .. } => "unknown_view",
            Self::UnknownRevision { .. } => "unknown_view",
            Self::NotReady { .. } => "not_ready",
        }
    }
}

fn hint(nearest: &[String]) -> String {
    match nearest {
        [] => String::new(),
        names => {
            let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
            format!("; did you mean {}?", names.join(" or "))
        }
    }
}
