#![allow(clippy::unwrap_used)]

mod gate;
mod leases;
mod replicas;
mod runs;
mod schedule;
mod world;

#[test]
fn openapi_document_is_up_to_date() {
    forebay_server::assert_checked_in("compute", &crate::openapi());
}
