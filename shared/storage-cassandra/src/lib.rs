//! Every seam that lives in Apache Cassandra or ScyllaDB: online rows, registry, runs, claims and leases, in one keyspace over one session.

mod claims;
mod cluster;
mod config;
#[cfg(test)]
mod conformance;
mod connect;
mod failure;
#[cfg(test)]
mod faults;
mod leases;
mod migrate;
mod online;
mod refusal;
mod registry;
mod runs;
#[cfg(test)]
mod security;
mod stores;

pub use claims::CassandraClaimStore;
pub use config::{CassandraConfig, CassandraTls, ConnectError, ConsistencyLevel, Retries, SerialLevel};
pub use leases::CassandraLeases;
pub use migrate::migrate;
pub use online::CassandraOnlineStore;
pub use registry::CassandraRegistryStore;
pub use runs::CassandraRunStore;
pub use stores::CassandraStores;
