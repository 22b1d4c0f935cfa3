//! All settings together, and the one file for all services.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use forebay_networked::settings::{ConfigError, EMBEDDED, Origin, SECTIONS, load};
use forebay_networked::{Program, Refused};

use super::*;

fn from_text<S: Settings>(text: &str) -> Result<S, ConfigError> {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("written");
    load(&Origin {
        file: Some(file.path().to_owned()),
        ..Origin::default()
    })
}

#[test]
fn what_is_printed_loads_again() {
    let printed = toml::to_string(&Config::default()).expect("TOML");
    assert_eq!(from_text::<Config>(&printed).expect("loads"), Config::default());
    insta::assert_snapshot!(printed);
}

#[test]
fn secrets_are_not_printed() {
    let config: Config = from_text(
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

#[test]
fn services_know_the_sections_of_each_other() {
    let config = toml::Table::try_from(Config::default()).expect("TOML");
    let sections: BTreeSet<&str> = config.keys().map(String::as_str).collect();
    assert_eq!(sections, SECTIONS.iter().copied().collect());
    let storage = config["storage"].as_table().expect("a section");
    let embedded: BTreeSet<&str> = storage
        .keys()
        .map(String::as_str)
        .filter(|name| *name != "data_dir")
        .collect();
    assert_eq!(embedded, EMBEDDED.iter().copied().collect());
}

/// A file with which every service can run alone.
const SUITE: &str = r#"
server.deadline = "10s"
cassandra.contact_points = ["127.0.0.1:9042"]
kafka.brokers = ["127.0.0.1:9092"]
lake.root = "s3://features/lake"
registry.url = "http://127.0.0.1:7070"
storage.data_dir = "/var/lib/forebay"
storage.log_bytes = 1
sinks.flush_bytes = 1
compute.parallel_runs = 1
online_serving.features = 1
offline_query.queries = 1
ingestion.max_rows = 1
engine.batch_rows = 1
"#;

const SERVICES: [&str; 5] = ["registry", "compute", "ingestion", "online-serving", "offline-query"];

fn refusal<P: Program>(text: &str) -> (&'static str, Option<Refused>) {
    let settings: P::Settings = from_text(text).expect("every service reads the file");
    (P::NAME, P::check(&settings).err())
}

/// What each service says to these settings.
fn refusals(text: &str) -> [(&'static str, Option<Refused>); 5] {
    [
        refusal::<forebay_registry::Program>(text),
        refusal::<forebay_compute::Program>(text),
        refusal::<forebay_ingestion::Program>(text),
        refusal::<forebay_online_serving::Program>(text),
        refusal::<forebay_offline_query::Program>(text),
    ]
}

/// The services that refuse these settings, and for which one.
fn refusing(text: &str) -> BTreeMap<&'static str, &'static str> {
    let said = refusals(text).into_iter();
    said.filter_map(|(service, refused)| Some((service, refused?.setting)))
        .collect()
}

/// The file without a line, with another one.
fn instead_of(setting: &str, line: &str) -> String {
    let kept = SUITE.lines().filter(|line| !line.starts_with(setting));
    kept.chain([line]).map(|line| format!("{line}\n")).collect()
}

/// All services but one, with what they refuse.
fn all_but(without: &str, setting: &'static str) -> BTreeMap<&'static str, &'static str> {
    let services = SERVICES.into_iter().filter(|service| *service != without);
    services.map(|service| (service, setting)).collect()
}

#[test]
fn one_file_serves_all() {
    assert_eq!(refusing(SUITE), BTreeMap::new());
    let all: Config = from_text(SUITE).expect("the one process reads it too");
    assert_eq!((all.sinks.flush_bytes, all.storage.log_bytes), (1, 1));
    let refused = from_text::<forebay_compute::program::Settings>(&instead_of("none", "compute.paralel_runs = 1"));
    assert!(refused.expect_err("misspelt").to_string().contains("paralel_runs"));
}

#[test]
fn a_service_alone_needs_what_it_shares() {
    let setting = "cassandra.contact_points";
    assert_eq!(refusing(&instead_of(setting, "")), all_but("offline-query", setting));
    assert_eq!(refusing(&instead_of("kafka", "")), all_but("", "kafka.brokers"));
    for root in ["", "lake.root = \"lake\"", "lake.root = \"./lake\""] {
        assert_eq!(
            refusing(&instead_of("lake", root)),
            all_but("online-serving", "lake.root"),
            "{root}"
        );
    }
    let shared = instead_of("lake", "lake.root = \"/shared/lake\"");
    assert_eq!(refusing(&shared), BTreeMap::new());
    for url in ["", "forebay-registry:7070/", "ftp://forebay-registry"] {
        let text = instead_of("registry", &format!("registry.url = {url:?}"));
        assert_eq!(refusing(&text), all_but("registry", "registry.url"), "{url}");
    }
}

#[test]
fn refusals_say_what_to_do() {
    let said = |setting, line| {
        let [.., (_, ingestion), _, _] = refusals(&instead_of(setting, line));
        ingestion.expect("refused").to_string()
    };
    let said = [
        said("cassandra", ""),
        said("kafka", ""),
        said("lake", ""),
        said("lake", "lake.root = \"lake\""),
        said("registry", ""),
        said("registry", "registry.url = \"ftp://x\""),
    ];
    insta::assert_snapshot!(said.join("\n\n"));
}

/// What each program prints for `config` is a file that it takes, and names nothing that it does not read.
#[test]
fn a_service_prints_what_it_reads() {
    fn printed<P: Program>() -> String {
        let text = format!("{SUITE}\ncassandra.password = \"s3cret\"\nlake.s3.secret_access_key = \"s3cret\"");
        let settings: P::Settings = from_text(&text).expect("loads");
        let printed = toml::to_string(&settings).expect("TOML");
        assert!(!printed.contains("s3cret"), "{printed}");
        let again: P::Settings = from_text(&printed).expect("loads again");
        assert_eq!(toml::to_string(&again).expect("TOML"), printed);
        let sections = toml::Table::try_from(&settings).expect("TOML");
        format!(
            "{}: {}",
            P::NAME,
            sections.keys().cloned().collect::<Vec<_>>().join(" ")
        )
    }
    insta::assert_snapshot!(
        [
            printed::<forebay_registry::Program>(),
            printed::<forebay_compute::Program>(),
            printed::<forebay_ingestion::Program>(),
            printed::<forebay_online_serving::Program>(),
            printed::<forebay_offline_query::Program>(),
        ]
        .join("\n")
    );
}
