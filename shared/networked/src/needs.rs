//! What cannot work is refused before anything is opened, by the name of the setting.
//!
//! A service in a process of its own shares nothing with the others but what is networked.

use forebay_client::Client;
use forebay_model::Name;
use forebay_server::ServerConfig;

use crate::settings::{Common, RegistryConfig};

/// Most characters of an environment's name: it is a part of keyspaces and topics, whose length is limited.
const ENVIRONMENT_LENGTH: usize = 16;

/// A setting that cannot work with the others, or for what is to be served.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{setting}` {reason}")]
pub struct Refused {
    /// As `section.setting`.
    pub setting: &'static str,
    reason: String,
}

fn refused(setting: &'static str, reason: impl Into<String>) -> Result<(), Refused> {
    Err(Refused {
        setting,
        reason: reason.into(),
    })
}

/// What every process needs: an address that may be listened on, and a good name of the environment.
///
/// # Errors
/// The first setting that is in the way; so for all here.
pub fn common(common: &Common<'_>) -> Result<(), Refused> {
    listen(common.server)?;
    environment(common.registry)
}

/// Nobody is authenticated, so that nobody outside of this machine may reach it unless that is what is wanted.
fn listen(server: &ServerConfig) -> Result<(), Refused> {
    let listen = server.listen;
    match listen.ip().is_loopback() || server.allow_unauthenticated {
        true => Ok(()),
        false => refused(
            "server.listen",
            format!(
                "is {listen}, which other machines can reach, and this version authenticates nobody; listen on \
                 127.0.0.1 or [::1] and put what authenticates in front, or, in a network that lets in only whom it \
                 should, set `server.allow_unauthenticated = true`"
            ),
        ),
    }
}

fn environment(registry: &RegistryConfig) -> Result<(), Refused> {
    let name = &registry.environment;
    match Name::new(name) {
        Ok(_) if name.len() <= ENVIRONMENT_LENGTH => Ok(()),
        Ok(_) => refused(
            "registry.environment",
            format!("is longer than {ENVIRONMENT_LENGTH} characters"),
        ),
        Err(error) => refused("registry.environment", format!("is no name: {error}")),
    }
}

/// Tables that the services share.
#[cfg(feature = "cassandra")]
pub fn tables(service: &str, cassandra: &forebay_storage_cassandra::CassandraConfig) -> Result<(), Refused> {
    match cassandra.is_configured() {
        true => Ok(()),
        false => refused(
            "cassandra.contact_points",
            format!(
                "is empty: {service} alone shares its tables with the other services, so that they must be in Cassandra"
            ),
        ),
    }
}

/// A stream between the services.
#[cfg(feature = "kafka")]
pub fn stream(service: &str, kafka: &forebay_stream_kafka::KafkaConfig) -> Result<(), Refused> {
    match kafka.is_configured() {
        true => Ok(()),
        false => refused(
            "kafka.brokers",
            format!("is empty: {service} alone hears from the other services through Kafka"),
        ),
    }
}

/// A lake that the services share.
#[cfg(feature = "lake")]
pub fn lake(service: &str, lake: &forebay_storage_delta::LakeConfig) -> Result<(), Refused> {
    let setting = "lake.root";
    let hint = "name a bucket such as s3://bucket/prefix, or the absolute path of a folder that all services share";
    match lake.root.as_deref() {
        None => refused(
            setting,
            format!("is not set: {service} alone shares the lake with the other services; {hint}"),
        ),
        Some(root) if root.contains("://") || std::path::Path::new(root).is_absolute() => Ok(()),
        Some(root) => refused(
            setting,
            format!("is {root}, which means another folder for every process; {hint}"),
        ),
    }
}

/// A registry to learn from what is registered.
pub fn registry(service: &str, registry: &RegistryConfig) -> Result<(), Refused> {
    let setting = "registry.url";
    if registry.url.is_empty() {
        return refused(
            setting,
            format!(
                "is not set: {service} alone learns from the registry what is registered; name it, such as http://forebay-registry:7070"
            ),
        );
    }
    match Client::new(&registry.url) {
        Ok(_) => Ok(()),
        Err(error) => refused(setting, format!("is wrong: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use forebay_server::{LogsConfig, RuntimesConfig, TelemetryConfig};

    use super::*;

    fn check(listen: &str, allow_unauthenticated: bool, environment: &str) -> Option<&'static str> {
        let server = ServerConfig {
            listen: listen.parse().expect("an address"),
            allow_unauthenticated,
            ..ServerConfig::default()
        };
        let registry = RegistryConfig {
            environment: environment.to_owned(),
            ..RegistryConfig::default()
        };
        let checked = common(&Common {
            server: &server,
            runtimes: &RuntimesConfig::default(),
            logs: &LogsConfig::default(),
            telemetry: &TelemetryConfig::default(),
            registry: &registry,
        });
        checked.err().map(|refused| refused.setting)
    }

    #[test]
    fn only_loopback_is_listened_on_unless_it_is_said() {
        for (listen, fits) in [
            ("127.0.0.1:7070", true),
            ("[::1]:0", true),
            ("0.0.0.0:7070", false),
            ("[::]:1", false),
        ] {
            let refused = if fits { None } else { Some("server.listen") };
            assert_eq!(check(listen, false, "default"), refused, "{listen}");
            assert_eq!(check(listen, true, "default"), None, "{listen}");
        }
    }

    #[test]
    fn an_environment_is_a_name() {
        for (environment, fits) in [
            ("staging", true),
            ("eu_1", true),
            ("", false),
            ("Staging", false),
            ("a-b", false),
            ("abcdefghijklmnopq", false),
        ] {
            let refused = if fits { None } else { Some("registry.environment") };
            assert_eq!(check("127.0.0.1:1", false, environment), refused, "{environment}");
        }
    }
}
