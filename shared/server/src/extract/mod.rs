//! Extractors whose rejections are problems that name the place of the fault.

pub mod accept;
mod body;
mod idempotency_key;
mod if_match;
pub mod json;
mod json_fault;
mod json_scan;
mod objects_only;
mod path;
mod percent;
mod query;
mod query_de;

pub use body::{Body, RawBody};
pub use idempotency_key::IdempotencyKey;
pub use if_match::{IfMatch, IfNoneMatch, WithEtag, etag};
pub use json::Json;
pub use path::Path;
pub use query::Query;
pub(crate) use query_de::unknown_parameter;
