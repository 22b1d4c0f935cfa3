//! Backends with a stopwatch: every call of a store is measured, its failures are counted, and within a sampled request it is a span.
//!
//! A wrapper adds one future in a box and two looks at the clock to a call, whatever the number of its rows. Waiting for rows to come is not measured, since
//! it says nothing of the backend.

mod announcements;
mod claims;
mod leases;
mod offline;
mod online;
mod operation;
mod registry;
mod rejected;
mod row_log;
mod runs;

use std::sync::Arc;

use forebay_telemetry::Metric;

use crate::{
    Announcements, ClaimStore, Leases, OfflineStore, OnlineStore, RegistryStore, RejectedLog, RowLog, RunStore,
};

/// What is measured of every backend.
pub const METRICS: &[Metric] = &[
    Metric::histogram(
        "forebay_backend_request_duration_seconds",
        &["backend", "operation"],
        "Calls of stores; waiting for rows to come is left out",
    ),
    Metric::counter(
        "forebay_backend_errors_total",
        &["backend", "kind", "operation"],
        "Calls of stores that failed; conflicts with other processes are none",
    ),
    Metric::counter(
        "forebay_leases_lost_total",
        &["work"],
        "Leases that ran out while they were held, by what they are for",
    ),
];

macro_rules! wrappers {
    ($( $(#[$doc:meta])* $name:ident: $module:ident, $seam:ident; )+) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $name(inner: Arc<dyn $seam>, backend: &'static str) -> Arc<dyn $seam> {
                forebay_telemetry::describe(METRICS);
                Arc::new($module::Measured::new(inner, backend))
            }
        )+
    };
}

wrappers! {
    /// An online store, measured under the backend's name.
    online: online, OnlineStore;
    /// A row log, measured under the backend's name.
    row_log: row_log, RowLog;
    /// An offline store, measured under the backend's name.
    offline: offline, OfflineStore;
    /// A registry store, measured under the backend's name.
    registry: registry, RegistryStore;
    /// A run store, measured under the backend's name.
    runs: runs, RunStore;
    /// A claim store, measured under the backend's name.
    claims: claims, ClaimStore;
    /// Leases, measured under the backend's name.
    leases: leases, Leases;
    /// A log of rejected records, measured under the backend's name.
    rejected: rejected, RejectedLog;
    /// Announcements, measured under the backend's name.
    announcements: announcements, Announcements;
}
