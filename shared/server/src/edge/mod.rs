//! The one layer around every route: request id, limits, deadline, metrics, trace span, panics.

mod admission;
mod context;
mod guarded_body;
mod layer;
mod request_id;
mod route;

pub use context::RequestContext;
pub(crate) use layer::{Edge, Shared};
