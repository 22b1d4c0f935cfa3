//! The OpenAPI documents: made from the routes, served, shown and kept up to date.

mod checked_in;
mod docs;
mod document;
mod problems;

pub use checked_in::assert_checked_in;
pub(crate) use docs::routes;
pub use document::document;
pub(crate) use document::without_parameters;
