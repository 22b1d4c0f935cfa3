//! What cannot work is refused before anything is opened, by the name of the setting.

use std::path::Path;

use forebay_client::Client;
use forebay_model::Name;

use crate::config::{Config, RegistryConfig};
use crate::role::Role;

/// Most characters of an environment's name: it is a part of keyspaces and topics, whose length is limited.
const ENVIRONMENT_LENGTH: usize = 16;

/// A setting that cannot work with the others, or for what is to be served.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{setting}` {reason}")]
pub struct Refused {
    setting: &'static str,
    reason: String,
}

fn refused(setting: &'static str, reason: impl Into<String>) -> Result<(), Refused> {
    Err(Refused {
        setting,
        reason: reason.into(),
    })
}

/// Whether these settings can serve this one service, or all of them.
///
/// # Errors
/// The first setting that is in the way.
pub fn check(config: &Config, role: Option<Role>) -> Result<(), Refused> {
    listen(config)?;
    environment(&config.registry)?;
    match role {
        Some(role) => alone(config, role),
        None => Ok(()),
    }
}

/// Nobody is authenticated, so that nobody outside of this machine may reach it unless that is what is wanted.
fn listen(config: &Config) -> Result<(), Refused> {
    let listen = config.server.listen;
    match listen.ip().is_loopback() || config.server.allow_unauthenticated {
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

/// A service in a process of its own shares nothing with the others but what is networked.
fn alone(config: &Config, role: Role) -> Result<(), Refused> {
    if role.needs_tables() && !config.cassandra.is_configured() {
        return refused(
            "cassandra.contact_points",
            format!(
                "is empty: `forebay serve {role}` shares its tables with the other services, so that they must be in Cassandra"
            ),
        );
    }
    if !config.kafka.is_configured() {
        return refused(
            "kafka.brokers",
            format!("is empty: `forebay serve {role}` hears from the other services through Kafka"),
        );
    }
    if role.needs_lake() {
        lake(config, role)?;
    }
    if role.follows_registry() {
        registry(&config.registry, role)?;
    }
    Ok(())
}

fn lake(config: &Config, role: Role) -> Result<(), Refused> {
    let setting = "lake.root";
    let hint = "name a bucket such as s3://bucket/prefix, or the absolute path of a folder that all services share";
    match config.lake.root.as_deref() {
        None => refused(
            setting,
            format!("is not set: `forebay serve {role}` shares the lake; {hint}"),
        ),
        Some(root) if root.contains("://") || Path::new(root).is_absolute() => Ok(()),
        Some(root) => refused(
            setting,
            format!("is {root}, which means another folder for every process; {hint}"),
        ),
    }
}

fn registry(registry: &RegistryConfig, role: Role) -> Result<(), Refused> {
    let setting = "registry.url";
    if registry.url.is_empty() {
        return refused(
            setting,
            format!(
                "is not set: `forebay serve {role}` learns from the registry what is registered; name it, such as http://forebay-registry:7070"
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
    use super::*;

    /// Settings with which every service can run alone.
    fn suite() -> Config {
        let mut config = Config::default();
        config.cassandra.contact_points = vec!["127.0.0.1:9042".to_owned()];
        config.kafka.brokers = vec!["127.0.0.1:9092".to_owned()];
        config.lake.root = Some("s3://features/lake".to_owned());
        config.registry.url = "http://127.0.0.1:7070".to_owned();
        config
    }

    const ROLES: [Role; 5] = [
        Role::Registry,
        Role::Compute,
        Role::Ingestion,
        Role::OnlineServing,
        Role::OfflineQuery,
    ];

    /// The services that refuse these settings, and for which one.
    fn refusing(config: &Config) -> Vec<(Role, &'static str)> {
        let refusals = ROLES.into_iter().filter_map(|role| {
            let refused = check(config, Some(role)).err()?;
            assert!(
                refused.to_string().starts_with(&format!("`{}` is", refused.setting)),
                "{refused}"
            );
            Some((role, refused.setting))
        });
        refusals.collect()
    }

    #[test]
    fn one_file_serves_all() {
        assert_eq!(refusing(&suite()), []);
        assert_eq!(check(&suite(), None), Ok(()));
        assert_eq!(check(&Config::default(), None), Ok(()));
    }

    #[test]
    fn a_service_alone_needs_what_it_shares() {
        let but = |role: Role| ROLES.into_iter().filter(move |other| *other != role);
        let all = |setting, roles: Vec<Role>| roles.into_iter().map(|role| (role, setting)).collect::<Vec<_>>();

        let mut config = suite();
        config.cassandra.contact_points.clear();
        let expected = all("cassandra.contact_points", but(Role::OfflineQuery).collect());
        assert_eq!(refusing(&config), expected);

        let mut config = suite();
        config.kafka.brokers.clear();
        assert_eq!(refusing(&config), all("kafka.brokers", ROLES.into()));

        for root in [None, Some("lake".to_owned()), Some("./lake".to_owned())] {
            let mut config = suite();
            config.lake.root = root;
            assert_eq!(refusing(&config), all("lake.root", but(Role::OnlineServing).collect()));
        }
        let mut config = suite();
        config.lake.root = Some("/shared/lake".to_owned());
        assert_eq!(refusing(&config), []);

        for url in ["", "forebay-registry:7070/", "ftp://forebay-registry"] {
            let mut config = suite();
            config.registry.url = url.to_owned();
            let refused = refusing(&config);
            assert_eq!(refused.len(), 4, "{url}: {refused:?}");
            assert_eq!(refused, all("registry.url", but(Role::Registry).collect()));
        }
    }

    #[test]
    fn only_loopback_is_listened_on_unless_it_is_said() {
        for (listen, fits) in [
            ("127.0.0.1:7070", true),
            ("[::1]:0", true),
            ("0.0.0.0:7070", false),
            ("[::]:1", false),
        ] {
            let mut config = suite();
            config.server.listen = listen.parse().expect("an address");
            assert_eq!(check(&config, None).is_ok(), fits, "{listen}");
            config.server.allow_unauthenticated = true;
            assert_eq!(check(&config, None), Ok(()), "{listen}");
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
            let mut config = suite();
            config.registry.environment = environment.to_owned();
            assert_eq!(check(&config, None).is_ok(), fits, "{environment}");
        }
    }

    #[test]
    fn refusals_say_what_to_do() {
        let mut config = suite();
        config.lake.root = Some("lake".to_owned());
        let lake = check(&config, Some(Role::Ingestion)).expect_err("refused");
        config.kafka.brokers.clear();
        let kafka = check(&config, Some(Role::Ingestion)).expect_err("refused");
        config.cassandra.contact_points.clear();
        let cassandra = check(&config, Some(Role::Ingestion)).expect_err("refused");
        config.server.listen = "0.0.0.0:7070".parse().expect("an address");
        let listen = check(&config, Some(Role::Ingestion)).expect_err("refused");
        let mut config = suite();
        config.registry.url.clear();
        let registry = check(&config, Some(Role::Compute)).expect_err("refused");
        let said = [listen, cassandra, kafka, lake, registry].map(|refused| refused.to_string());
        insta::assert_snapshot!(said.join("\n\n"));
    }
}
