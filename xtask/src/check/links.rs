//! What a crate may not link.
//!
//! The services that answer within microseconds stay free of the engine: a workspace build unifies features, so each is
//! asked about alone.

use crate::shell::{self, Error};

const SERVICES: [&str; 2] = ["forebay-online-serving", "forebay-registry"];
const ENGINE: [&str; 4] = ["parquet", "datafusion", "datafusion-physical-plan", "deltalake"];

/// Fails when one of [`SERVICES`] links one of [`ENGINE`].
pub fn check() -> Result<(), Error> {
    for service in SERVICES {
        let tree = shell::output(shell::cargo().args([
            "tree",
            "--locked",
            "--package",
            service,
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ]))?;
        let linked = forbidden(&tree);
        if !linked.is_empty() {
            return Err(Error::Other(format!(
                "{service} links {}: see `cargo tree -p {service} -e normal -i <crate>`",
                linked.join(", ")
            )));
        }
        println!(
            "{service}: {} crates, no engine",
            tree.lines().collect::<std::collections::BTreeSet<_>>().len()
        );
    }
    Ok(())
}

/// The forbidden crates among the lines `name v1.2.3 …`.
fn forbidden(tree: &str) -> Vec<&'static str> {
    let named = |name: &str| tree.lines().any(|line| line.split(' ').next() == Some(name));
    ENGINE.into_iter().filter(|name| named(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_whole_names() {
        let tree = "forebay-registry v0.1.0 (/a)\ndatafusion-expr v55.2.0\nparquet v59.3.2 (*)\n";
        assert_eq!(forbidden(tree), ["parquet"]);
    }
}
