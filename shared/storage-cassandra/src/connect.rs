//! The driver's session, as the settings want it.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use openssl::ssl::{SslConnector, SslFiletype, SslMethod, SslVerifyMode};
use scylla::{
    client::{
        PoolSize,
        execution_profile::{ExecutionProfile, ExecutionProfileBuilder, ExecutionProfileHandle},
        session::{OpenSsl010Config, Session, TlsContext},
        session_builder::SessionBuilder,
    },
    policies::{
        load_balancing::DefaultPolicy,
        retry::{DefaultRetryPolicy, FallthroughRetryPolicy, RetryPolicy},
        speculative_execution::SimpleSpeculativeExecutionPolicy,
        timestamp_generator::MonotonicTimestampGenerator,
    },
    statement::{Consistency, SerialConsistency},
};

use crate::{
    config::{CassandraConfig, CassandraTls, ConnectError, ConsistencyLevel, Retries, SerialLevel},
    refusal::explained,
};

/// A connection that has not answered a keepalive for so long is closed, and with it all that waits on it.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// # Errors
/// Why there is no session.
pub(crate) async fn session(config: &CassandraConfig, keyspace: &str) -> Result<Session, ConnectError> {
    config.check()?;
    let mut builder = SessionBuilder::new()
        .known_nodes(&config.contact_points)
        .connection_timeout(config.connect_timeout())
        .pool_size(PoolSize::PerShard(
            NonZeroUsize::new(config.connections).unwrap_or(NonZeroUsize::MIN),
        ))
        // Of two writes of one process the later one wins, whichever nodes they go through. Online rows and transactions have times of their own.
        .timestamp_generator(Arc::new(MonotonicTimestampGenerator::new()))
        .keepalive_interval(KEEPALIVE)
        .keepalive_timeout(KEEPALIVE)
        .metadata_request_serverside_timeout(config.request_timeout())
        .metadata_request_clientside_timeout(config.request_timeout())
        .schema_agreement_timeout(config.schema_timeout())
        .schema_agreement_interval(Duration::from_millis(50))
        // What routing needs, and no more: every process would otherwise read the columns of all tables.
        .keyspaces_to_fetch([keyspace])
        .fetch_full_schema_metadata(false)
        // Routing needs the keyspace, not its tables: no need to read all of it again after each change.
        .refresh_metadata_on_auto_schema_agreement(false)
        .default_execution_profile_handle(profile(config).build().into_handle());
    if !config.username.is_empty() {
        builder = builder.user(&config.username, config.password.expose());
    }
    if config.tls.enabled {
        builder = builder.tls_context(Some(tls(&config.tls)?));
    }
    builder.build().await.map_err(|source| ConnectError::Unreachable {
        contact_points: config.contact_points.join(", "),
        source: explained(config, source),
    })
}

/// For point reads: after a while another replica is asked too. `None` when the settings do not want it.
pub(crate) fn speculative(config: &CassandraConfig) -> Option<ExecutionProfileHandle> {
    let policy = SimpleSpeculativeExecutionPolicy {
        max_retry_count: 1,
        retry_interval: Duration::from_millis(config.speculative_after_ms),
    };
    (config.speculative_after_ms > 0).then(|| {
        profile(config)
            .speculative_execution_policy(Some(Arc::new(policy)))
            .build()
            .into_handle()
    })
}

fn profile(config: &CassandraConfig) -> ExecutionProfileBuilder {
    let mut balancing = DefaultPolicy::builder().token_aware(true);
    if !config.datacenter.is_empty() {
        balancing = balancing
            .prefer_datacenter(config.datacenter.clone())
            .permit_dc_failover(false);
    }
    ExecutionProfile::builder()
        .consistency(consistency(config.consistency))
        .serial_consistency(Some(serial_consistency(config.serial_consistency)))
        .request_timeout(Some(config.request_timeout()))
        .retry_policy(retries(config.retries))
        .load_balancing_policy(balancing.build())
}

fn retries(retries: Retries) -> Arc<dyn RetryPolicy> {
    match retries {
        Retries::Default => Arc::new(DefaultRetryPolicy::new()),
        Retries::None => Arc::new(FallthroughRetryPolicy::new()),
    }
}

pub(crate) fn consistency(level: ConsistencyLevel) -> Consistency {
    match level {
        ConsistencyLevel::One => Consistency::One,
        ConsistencyLevel::LocalOne => Consistency::LocalOne,
        ConsistencyLevel::Two => Consistency::Two,
        ConsistencyLevel::Three => Consistency::Three,
        ConsistencyLevel::Quorum => Consistency::Quorum,
        ConsistencyLevel::LocalQuorum => Consistency::LocalQuorum,
        ConsistencyLevel::EachQuorum => Consistency::EachQuorum,
        ConsistencyLevel::All => Consistency::All,
    }
}

pub(crate) fn serial_consistency(level: SerialLevel) -> SerialConsistency {
    match level {
        SerialLevel::LocalSerial => SerialConsistency::LocalSerial,
        SerialLevel::Serial => SerialConsistency::Serial,
    }
}

/// The consistency of a read that sees every lightweight transaction that was decided, and settles those that were left undecided.
pub(crate) fn serial_read(level: SerialLevel) -> Consistency {
    match level {
        SerialLevel::LocalSerial => Consistency::LocalSerial,
        SerialLevel::Serial => Consistency::Serial,
    }
}

fn tls(config: &CassandraTls) -> Result<TlsContext, ConnectError> {
    let failed = |what| move |source| ConnectError::Tls { what, source };
    let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(failed("OpenSSL cannot be used"))?;
    if let Some(file) = &config.ca_file {
        builder.set_ca_file(file).map_err(failed("`ca_file` cannot be read"))?;
    }
    if let Some(file) = &config.certificate_file {
        builder
            .set_certificate_chain_file(file)
            .map_err(failed("`certificate_file` cannot be read"))?;
    }
    if let Some(file) = &config.key_file {
        builder
            .set_private_key_file(file, SslFiletype::PEM)
            .map_err(failed("`key_file` cannot be read"))?;
        builder
            .check_private_key()
            .map_err(failed("`key_file` does not belong to `certificate_file`"))?;
    }
    builder.set_verify(SslVerifyMode::PEER);
    Ok(TlsContext::OpenSsl010Config(OpenSsl010Config::new(builder)))
}
