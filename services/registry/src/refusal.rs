//! Why a bundle is not applied.

use forebay_api::{Code, Problem};
use forebay_model::{
    change::{Break, Incompatible},
    definitions,
};
use forebay_server::ApiError;
use forebay_storage::StorageError;

use crate::bundle::Places;

#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Every problem of the bundle, seen as a whole and against what is registered.
    #[error("{} of the definitions are wrong", .0.len())]
    Problems(Vec<definitions::Problem>),
    #[error("{} readers would lose what they read", .0.len())]
    Breaks(Vec<Break>),
    #[error(
        "{group}: {source}; a change like this needs a new generation of the group, which this version does not make"
    )]
    NeedsNewGeneration { group: String, source: Incompatible },
    #[error("registry revision {seen} is not the current one, {current}; plan again and apply that")]
    Stale { seen: u64, current: u64 },
    #[error("other applies kept coming first; try again")]
    Contended,
    #[error("the registry store does not answer; whether the change was made is told by GET /v1/changes")]
    Uncertain(#[source] StorageError),
    #[error("{what} does not answer")]
    Unavailable { what: String, source: StorageError },
    #[error("the registry is not ready yet: {0}")]
    NotReady(String),
    #[error("{0}")]
    Internal(String),
}

impl Refusal {
    pub fn store(source: StorageError) -> Self {
        Self::Unavailable {
            what: "the registry store".to_owned(),
            source,
        }
    }

    /// As an answer; `places` tells how the body's documents are pointed at.
    pub fn into_api_error(self, places: Places) -> ApiError {
        let text = self.to_string();
        match self {
            Self::Problems(problems) => places.refuse(problems),
            Self::Breaks(breaks) => {
                let shown: Vec<_> = breaks
                    .iter()
                    .take(3)
                    .map(|b| format!("{} reads {}", b.reader, b.object))
                    .collect();
                let more = if breaks.len() > 3 { ", and more" } else { "" };
                let detail = format!(
                    "the change breaks readers: {}{more}; change or remove them in the same bundle",
                    shown.join(", ")
                );
                Problem::new(Code::BreakingChange, detail)
                    .with("breaks", serde_json::to_value(breaks).unwrap_or_default())
                    .into()
            }
            Self::NeedsNewGeneration { .. } => ApiError::new(Code::NeedsNewGeneration, text),
            Self::Stale { current, .. } => {
                ApiError::new(Code::StaleRevision, text).header(axum::http::header::ETAG, forebay_server::etag(current))
            }
            Self::Contended => ApiError::from(Problem::new(Code::Unavailable, text).retry_after(1)),
            Self::Uncertain(source) | Self::Unavailable { source, .. } => ApiError::unavailable(text, source),
            Self::NotReady(_) => ApiError::from(Problem::new(Code::NotReady, text).retry_after(1)),
            Self::Internal(_) => ApiError::internal(self),
        }
    }
}
