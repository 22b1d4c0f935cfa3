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

/// Variables of the client and the tools, which are no settings.
const NOT_SETTINGS: [&str; 4] = ["url", "config", "output", "renew_openapi"];

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
    figment = figment.merge(Env::prefixed("FOREBAY_").ignore(&NOT_SETTINGS).split("__"));
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
    fn every_setting_is_documented() {
        let documented = include_str!("../../../../docs/configuration.md");
        let sections: Vec<&str> = documented.split("\n## [").skip(1).collect();
        let config: toml::Table = toml::Table::try_from(Config::default()).expect("TOML");
        assert_eq!(sections.len(), config.len());
        for (name, settings) in &config {
            let start = format!("{name}]");
            let section = sections.iter().find(|section| section.starts_with(&start)).expect(name);
            for setting in settings.as_table().expect("a section").keys() {
                assert!(section.contains(&format!("\n| `{setting}` |")), "[{name}] {setting}");
            }
            let rows = section.lines().filter(|line| line.starts_with("| `")).count();
            let hidden = usize::from(name == "lake"); // `root` has no default of its own to print
            assert_eq!(rows, settings.as_table().expect("a section").len() + hidden, "[{name}]");
        }
    }
}
