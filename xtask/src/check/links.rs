//! What a crate may not link.
//!
//! The services that answer within microseconds stay free of the engine, and no service's program holds what only the one process has. A workspace
//! build unifies features, so each is asked about alone.

use std::collections::BTreeSet;

use crate::shell::{self, Error};

const ENGINE: [&str; 4] = ["parquet", "datafusion", "datafusion-physical-plan", "deltalake"];
const EMBEDDED: [&str; 2] = ["forebay-storage-embedded", "heed"];
const CASSANDRA: [&str; 2] = ["forebay-storage-cassandra", "scylla"];

/// A package as it is built, and what it must not link.
struct Rule {
    package: &'static str,
    /// What is built of it: the library or the program.
    part: &'static str,
    features: &'static str,
    forbidden: &'static [&'static [&'static str]],
}

const RULES: [Rule; 6] = [
    Rule {
        package: "forebay-online-serving",
        part: "program",
        features: "",
        forbidden: &[&ENGINE, &EMBEDDED],
    },
    Rule {
        package: "forebay-registry",
        part: "library",
        features: "",
        forbidden: &[&ENGINE, &EMBEDDED, &CASSANDRA],
    },
    // It makes groups' Delta tables.
    Rule {
        package: "forebay-registry",
        part: "program",
        features: "program",
        forbidden: &[&EMBEDDED],
    },
    Rule {
        package: "forebay-compute",
        part: "program",
        features: "",
        forbidden: &[&EMBEDDED],
    },
    Rule {
        package: "forebay-ingestion",
        part: "program",
        features: "",
        forbidden: &[&EMBEDDED],
    },
    Rule {
        package: "forebay-offline-query",
        part: "program",
        features: "",
        forbidden: &[&EMBEDDED, &CASSANDRA],
    },
];

/// Fails when a package links what its rule forbids.
pub fn check() -> Result<(), Error> {
    for rule in RULES {
        let Rule {
            package,
            part,
            features,
            forbidden,
        } = rule;
        let tree = shell::output(shell::cargo().args([
            "tree",
            "--locked",
            "--package",
            package,
            "--features",
            features,
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ]))?;
        let linked = linked(&tree, forbidden.iter().copied().flatten());
        if !linked.is_empty() {
            let features = if features.is_empty() { "" } else { " --features " }.to_owned() + features;
            return Err(Error::Other(format!(
                "the {part} of {package} links {}: see `cargo tree -p {package}{features} -e normal -i <crate>`",
                linked.join(", ")
            )));
        }
        println!(
            "{package}, {part}: {} crates, none of {}",
            tree.lines().collect::<BTreeSet<_>>().len(),
            forbidden.concat().join(", ")
        );
    }
    Ok(())
}

/// Those of these crates that are among the lines `name v1.2.3 …`.
fn linked<'a>(tree: &str, crates: impl Iterator<Item = &'a &'static str>) -> Vec<&'static str> {
    let named = |name: &str| tree.lines().any(|line| line.split(' ').next() == Some(name));
    crates.copied().filter(|name| named(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_whole_names() {
        let tree = "forebay-registry v0.1.0 (/a)\ndatafusion-expr v55.2.0\nparquet v59.3.2 (*)\n";
        assert_eq!(linked(tree, ENGINE.iter()), ["parquet"]);
    }
}
