//! Where settings come from, and what is said when one is wrong.

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};

use super::Config;

/// What of the command line and environment decides settings.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// `--config`: a TOML file, which must exist.
    pub file: Option<PathBuf>,
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<std::net::SocketAddr>,
}

/// What begins the name of every variable.
const PREFIX: &str = "FOREBAY_";

/// Settings that are text whatever they look like: in a variable, `0123` is otherwise a number.
const TEXTS: [&str; 7] = [
    "cassandra.username",
    "cassandra.password",
    "kafka.username",
    "kafka.password",
    "lake.s3.access_key_id",
    "lake.s3.secret_access_key",
    "lake.s3.session_token",
];

/// A setting that is unknown or wrong.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file of `--config` is not there.
    #[error("the configuration {} cannot be read: {reason}", .file.display())]
    File {
        /// As given.
        file: PathBuf,
        /// What the file system says.
        reason: String,
    },
    /// A setting is unknown, missing or wrong.
    #[error("the configuration is wrong: {0}; `forebay config` prints all settings")]
    Setting(Box<figment::Error>),
}

/// The effective settings.
pub fn load(origin: &Origin) -> Result<Config, ConfigError> {
    let mut figment = Figment::from(Serialized::defaults(Config::default()));
    if let Some(file) = &origin.file {
        check(file)?;
        figment = figment.merge(Toml::file_exact(file));
    }
    // Other variables are those of the client and of tools, and what Kubernetes tells of services that are called like ours.
    let settings = Env::prefixed(PREFIX).filter(|name| name.as_str().contains("__"));
    figment = figment.merge(settings.split("__"));
    for setting in TEXTS {
        let variable = format!("{PREFIX}{}", setting.replace('.', "__").to_uppercase());
        if let Ok(text) = std::env::var(variable) {
            figment = figment.merge(Serialized::default(setting, text));
        }
    }
    if let Some(data_dir) = &origin.data_dir {
        figment = figment.merge(Serialized::default("storage.data_dir", data_dir));
    }
    if let Some(listen) = &origin.listen {
        figment = figment.merge(Serialized::default("server.listen", listen));
    }
    figment.extract().map_err(|error| ConfigError::Setting(Box::new(error)))
}

fn check(file: &Path) -> Result<(), ConfigError> {
    match std::fs::metadata(file) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) => Err(ConfigError::File {
            file: file.to_owned(),
            reason: "it is not a file".to_owned(),
        }),
        Err(error) => Err(ConfigError::File {
            file: file.to_owned(),
            reason: error.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::Write;

    use super::*;

    fn from_text(text: &str) -> Result<Config, ConfigError> {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(text.as_bytes()).expect("written");
        load(&Origin {
            file: Some(file.path().to_owned()),
            ..Origin::default()
        })
    }

    #[test]
    fn the_file_overrides_and_the_command_line_overrides_it() {
        let config = from_text("[server]\nlisten = \"127.0.0.1:1\"\ndeadline = \"5s\"\n[storage]\ndata_dir = \"x\"")
            .expect("loads");
        assert_eq!(config.server.listen.port(), 1);
        assert_eq!(config.server.deadline.as_secs(), 5);
        assert_eq!(config.storage.data_dir, Path::new("x"));
        let listen = Some("127.0.0.1:2".parse().expect("an address"));
        let config = load(&Origin {
            listen,
            data_dir: Some("y".into()),
            file: None,
        })
        .expect("loads");
        assert_eq!(
            (config.server.listen.port(), config.storage.data_dir.as_path()),
            (2, Path::new("y"))
        );
    }

    #[test]
    fn unknown_and_wrong_settings_are_named() {
        for (text, said) in [
            ("[server]\nlissten = \"127.0.0.1:1\"", "lissten"),
            ("[sever]\nx = 1", "sever"),
            ("[server]\ndeadline = 5", "deadline"),
            ("[server]\ndeadline = \"5 weeks\"", "5 weeks"),
            ("[server", "TOML"),
        ] {
            let error = from_text(text).expect_err("an error").to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
        let missing = load(&Origin {
            file: Some("/nonexistent/forebay.toml".into()),
            ..Origin::default()
        });
        assert!(
            missing
                .expect_err("an error")
                .to_string()
                .contains("/nonexistent/forebay.toml")
        );
    }

    #[test]
    fn what_is_printed_loads_again() {
        let printed = toml::to_string(&Config::default()).expect("TOML");
        assert_eq!(from_text(&printed).expect("loads"), Config::default());
        insta::assert_snapshot!(printed);
    }

    #[test]
    fn secrets_are_not_printed() {
        let config = from_text(
            "[cassandra]\npassword = \"s3cret\"\n[kafka]\npassword = \"s3cret\"\n\
             [lake.s3]\nsecret_access_key = \"s3cret\"\nsession_token = \"s3cret\"",
        )
        .expect("loads");
        assert_eq!(config.kafka.password.expose(), "s3cret");
        let printed = toml::to_string(&config).expect("TOML");
        assert!(!printed.contains("s3cret") && !format!("{config:?}").contains("s3cret"));
    }

    /// Settings without a value of their own, which are not printed.
    const UNSET: [&str; 8] = [
        "cassandra.tls.ca_file",
        "cassandra.tls.certificate_file",
        "cassandra.tls.key_file",
        "kafka.ca_file",
        "kafka.certificate_file",
        "kafka.key_file",
        "lake.root",
        "lake.s3.ca_file",
    ];

    /// The names of all settings that are printed, with their sections.
    fn printed(section: &str, settings: &toml::Table, names: &mut BTreeSet<String>) {
        for (name, value) in settings {
            let name = match section {
                "" => name.clone(),
                section => format!("{section}.{name}"),
            };
            match value {
                // A table without settings is a setting whose value is a map.
                toml::Value::Table(table) if !table.is_empty() => printed(&name, table, names),
                _ => {
                    names.insert(name);
                }
            }
        }
    }

    #[test]
    fn every_setting_is_documented() {
        let text = include_str!("../../../../docs/configuration.md");
        let mut documented = BTreeSet::new();
        for section in text.split("\n## [").skip(1) {
            let (name, rows) = section.split_once(']').expect("a section");
            let rows = rows
                .lines()
                .filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
            documented.extend(rows.map(|(setting, _)| format!("{name}.{setting}")));
        }
        let mut settings: BTreeSet<String> = UNSET.iter().map(ToString::to_string).collect();
        let config = toml::Table::try_from(Config::default()).expect("TOML");
        printed("", &config, &mut settings);
        let missing: Vec<_> = settings.difference(&documented).collect();
        let gone: Vec<_> = documented.difference(&settings).collect();
        assert!(
            missing.is_empty() && gone.is_empty(),
            "not documented: {missing:?}; no settings: {gone:?}"
        );
    }
}
