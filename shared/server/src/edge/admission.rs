//! Which requests are let in: bounded numbers under way, bounded bodies.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request};
use forebay_api::{Code, Problem};
use http::header;
use http_body_util::Limited;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ApiError;

/// Places among the requests under way, given back when dropped.
#[derive(Debug)]
pub(super) struct Permits {
    _server: OwnedSemaphorePermit,
    _route: Option<OwnedSemaphorePermit>,
}

/// Takes a place in the server (else 503) and on the route (else 429). Nobody waits: callers repeat.
pub(super) fn admit(server: &Arc<Semaphore>, route: Option<&Arc<Semaphore>>) -> Result<Permits, ApiError> {
    let Ok(server) = Arc::clone(server).try_acquire_owned() else {
        let detail = "as many requests as this server takes at once are under way; repeat in a second";
        return Err(Problem::new(Code::Overloaded, detail).retry_after(1).into());
    };
    let route = match route.map(|route| Arc::clone(route).try_acquire_owned()) {
        None => None,
        Some(Ok(permit)) => Some(permit),
        Some(Err(_)) => {
            let detail = "as many requests of this kind as are taken at once are under way; repeat in a second";
            return Err(Problem::new(Code::Full, detail).retry_after(1).into());
        }
    };
    Ok(Permits {
        _server: server,
        _route: route,
    })
}

/// Refuses a body that says it is over the limit, and cuts one that does not say (chunked) when it gets there.
pub(super) fn limit_body(mut request: Request, limit: usize) -> Result<Request, ApiError> {
    // axum's own limit is 2 MB and answers with text; this one replaces it.
    DefaultBodyLimit::disable().apply(&mut request);
    let length = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok());
    match length.map(str::parse::<u64>) {
        Some(Ok(length)) if length > u64::try_from(limit).unwrap_or(u64::MAX) => {
            let detail = format!("the body has {length} bytes, this endpoint takes at most {limit}; send it in parts");
            Err(ApiError::new(Code::BodyTooLarge, detail))
        }
        Some(Ok(_)) => Ok(request),
        _ => Ok(request.map(|body| Body::new(Limited::new(body, limit)))),
    }
}
