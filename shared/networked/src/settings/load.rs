//! Where settings come from, and what is said when one is wrong.

use std::path::{Path, PathBuf};

use figment::providers::{Env, Format, Serialized, Toml};
use figment::{Figment, Provider};

use super::Settings;
use super::own::Own;

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
    #[error("the configuration is wrong: {0}; the command `config` prints all settings")]
    Setting(Box<figment::Error>),
}

/// The effective settings of a process that reads the sections of `S`.
///
/// # Errors
/// A section that no process reads, a setting of its own that it does not have, a value that does not fit, a file that is not there.
pub fn load<S: Settings>(origin: &Origin) -> Result<S, ConfigError> {
    sources::<S>(origin)?
        .extract()
        .map_err(|error| ConfigError::Setting(Box::new(error)))
}

fn sources<S: Settings>(origin: &Origin) -> Result<Figment, ConfigError> {
    let defaults = Serialized::defaults(S::default());
    let sections = defaults.data().map_err(|error| ConfigError::Setting(Box::new(error)))?;
    let sections = sections.into_values().next().unwrap_or_default();
    let mut figment = Figment::from(defaults);
    if let Some(file) = &origin.file {
        check(file)?;
        figment = figment.merge(Own::new(Toml::file_exact(file), &sections));
    }
    // Other variables are those of the client and of tools, and what Kubernetes tells of services that are called like ours.
    let settings = Env::prefixed(PREFIX).filter(|name| name.as_str().contains("__"));
    figment = figment.merge(Own::new(settings.split("__"), &sections));
    for setting in TEXTS {
        let variable = format!("{PREFIX}{}", setting.replace('.', "__").to_uppercase());
        if let Ok(text) = std::env::var(variable) {
            figment = figment.merge(Own::new(Serialized::default(setting, text), &sections));
        }
    }
    if let Some(data_dir) = &origin.data_dir {
        figment = figment.merge(Own::new(Serialized::default("storage.data_dir", data_dir), &sections));
    }
    if let Some(listen) = &origin.listen {
        figment = figment.merge(Own::new(Serialized::default("server.listen", listen), &sections));
    }
    Ok(figment)
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
    use std::io::Write;

    use serde::{Deserialize, Serialize};

    use super::super::{Common, DataDir, OnlineServingLimits, RegistryConfig};
    use super::*;

    /// A process that reads some sections.
    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Reads {
        server: forebay_server::ServerConfig,
        runtimes: forebay_server::RuntimesConfig,
        logs: forebay_server::LogsConfig,
        telemetry: forebay_server::TelemetryConfig,
        registry: RegistryConfig,
        storage: DataDir,
        online_serving: OnlineServingLimits,
    }

    impl Settings for Reads {
        fn common(&self) -> Common<'_> {
            Common {
                server: &self.server,
                runtimes: &self.runtimes,
                logs: &self.logs,
                telemetry: &self.telemetry,
                registry: &self.registry,
            }
        }
    }

    fn from_text(text: &str) -> Result<Reads, ConfigError> {
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
        let config: Reads = load(&Origin {
            listen: Some("127.0.0.1:2".parse().expect("an address")),
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
            ("online = 1", "online"),
            ("[server]\ndeadline = 5", "deadline"),
            ("[server]\ndeadline = \"5 weeks\"", "5 weeks"),
            ("[online_serving]\nfeature = 1", "feature"),
            ("[storage]\ndata = \"x\"", "data"),
            ("[server", "TOML"),
        ] {
            let error = from_text(text).expect_err("an error").to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
        let missing = load::<Reads>(&Origin {
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
    fn the_sections_of_others_are_left_alone() {
        let text = "[sinks]\nwhatever = 1\n[kafka]\nbrokers = [\"b:1\"]\n[storage]\ndata_dir = \"x\"\nlog_bytes = 1";
        let config = from_text(text).expect("loads");
        assert_eq!(config.storage.data_dir, Path::new("x"));
        assert_eq!(
            config,
            Reads {
                storage: DataDir { data_dir: "x".into() },
                ..Reads::default()
            }
        );
    }
}
