//! What a handler can know of its request beside the request itself.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use tokio::time::Instant;

use crate::error::ApiError;
use crate::shutdown::Shutdown;

/// An extractor: the request's id, its deadline, and whether the process is about to end.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// As in the response's `x-request-id`.
    pub request_id: Arc<str>,
    /// When the answer must have begun; afterwards the caller has got a 504 and the handler is dropped.
    pub deadline: Instant,
    /// Endless responses end when this begins to drain.
    pub shutdown: Shutdown,
}

impl<S: Sync> FromRequestParts<S> for RequestContext {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match parts.extensions.get::<RequestContext>() {
            Some(context) => Ok(context.clone()),
            None => Err(ApiError::internal(Outside)),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a handler asks for its RequestContext outside of a server; start it with forebay_server::Server")]
struct Outside;
