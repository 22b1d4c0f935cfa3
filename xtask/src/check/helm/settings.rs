//! The chart's schema knows the settings of docs/configuration.md, no more and no less.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{chart, read};
use forebay_testbed::checkout;

use crate::shell::Error;

/// What the chart decides, so that values cannot say it.
const OWN: [&str; 6] = [
    "registry.url",
    "server.allow_unauthenticated",
    "server.drain_deadline",
    "server.drain_delay",
    "server.listen",
    "storage.data_dir",
];
/// What is refused in `config`, which becomes a ConfigMap.
const SECRET: [&str; 4] = [
    "cassandra.password",
    "kafka.password",
    "lake.s3.secret_access_key",
    "lake.s3.session_token",
];

/// Compares the two.
pub fn check() -> Result<(), Error> {
    let documented = documented(&read(&checkout().join("docs/configuration.md"))?);
    let text = read(&chart().join("values.schema.json"))?;
    let schema: Value = serde_json::from_str(&text).map_err(|error| Error::Other(error.to_string()))?;
    let wrong = wrong(&documented, &schema);
    match wrong.is_empty() {
        true => {
            println!("{} settings", documented.len());
            Ok(())
        }
        false => Err(Error::Other(format!(
            "values.schema.json and docs/configuration.md differ: {}",
            wrong.join(", ")
        ))),
    }
}

fn wrong(documented: &BTreeSet<String>, schema: &Value) -> Vec<String> {
    let mut config = BTreeSet::new();
    names("", &schema["definitions"]["config"], &mut config);
    let mut secrets = BTreeSet::new();
    let credentials = &schema["properties"]["credentials"]["properties"]["values"];
    names("", credentials, &mut secrets);
    let others: BTreeSet<String> = OWN.iter().chain(&SECRET).map(|name| (*name).to_owned()).collect();
    let expected: BTreeSet<String> = documented.difference(&others).cloned().collect();

    let mut wrong = Vec::new();
    let mut differ = |what: &str, left: &BTreeSet<String>, right: &BTreeSet<String>| {
        wrong.extend(left.difference(right).map(|name| format!("{name} {what}")));
    };
    differ("is not in definitions.config", &expected, &config);
    differ(
        "of definitions.config is not documented, or not for values",
        &config,
        &expected,
    );
    differ("of credentials.values is not documented", &secrets, documented);
    let secret = SECRET.iter().map(|name| (*name).to_owned()).collect();
    differ("is not in credentials.values", &secret, &secrets);
    wrong
}

/// The settings in the tables, with their sections.
fn documented(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for section in text.split("\n## [").skip(1) {
        let Some((section, rows)) = section.split_once(']') else {
            continue;
        };
        let settings = rows
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
        names.extend(settings.map(|(setting, _)| format!("{section}.{setting}")));
    }
    names
}

/// The settings of a schema: what has properties is a section.
fn names(section: &str, schema: &Value, found: &mut BTreeSet<String>) {
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let name = match section {
            "" => name.clone(),
            section => format!("{section}.{name}"),
        };
        match inner.get("properties") {
            Some(_) => names(&name, inner, found),
            None => {
                found.insert(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_directions_are_compared() {
        let text = "\n## [cassandra]: it\n\n| `keyspace` | x | y |\n| `password` | x | y |\n\n## [lake.s3]\n| `region` | x | y |\n";
        let documented = documented(text);
        assert_eq!(documented.len(), 3);
        let schema = json!({
            "definitions": {"config": {"properties": {"cassandra": {"properties": {"keyspaces": {}}}}}},
            "properties": {"credentials": {"properties": {"values": {"properties": {}}}}},
        });
        let wrong = wrong(&documented, &schema).join("\n");
        assert!(wrong.contains("cassandra.keyspace is not in"), "{wrong}");
        assert!(wrong.contains("lake.s3.region is not in"), "{wrong}");
        assert!(wrong.contains("cassandra.keyspaces of definitions.config"), "{wrong}");
        assert!(wrong.contains("cassandra.password is not in credentials"), "{wrong}");
    }
}
