//! All metrics that there are, by who tells them. docs/operations.md has a table for each of these.

use forebay_telemetry::Metric;

/// A title in docs/operations.md, and what is told there.
pub type Section = (&'static str, &'static [&'static [Metric]]);

/// Every table of metrics. The first two are of all services; the others are named after one service, or after what several have.
pub const SECTIONS: &[Section] = &[
    ("Every process", &[forebay_server::METRICS, forebay_catalog::METRICS]),
    (
        "Backends, in every process that uses them",
        &[forebay_storage::measured::METRICS],
    ),
    ("Registry", &[forebay_registry::METRICS]),
    ("Ingestion", &[forebay_ingestion::METRICS]),
    ("Compute", &[forebay_compute::METRICS]),
    ("Compute and offline query: the engine", &[forebay_query::METRICS]),
    ("Online serving", &[forebay_online_serving::METRICS]),
    ("Offline query", &[forebay_offline_query::METRICS]),
];

/// The metrics of a section.
#[must_use]
pub fn section(title: &str) -> Vec<Metric> {
    let tables = SECTIONS.iter().filter(|(name, _)| *name == title);
    tables
        .flat_map(|(_, tables)| tables.iter())
        .flat_map(|table| table.iter())
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const OPERATIONS: &str = include_str!("../../../docs/operations.md");

    /// The rows of a section's table, as the page has them.
    fn table(title: &str) -> String {
        let mut text = String::new();
        for metric in section(title) {
            let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            let (name, kind, labels, help) = (metric.name, metric.kind.as_str(), labels.join(", "), metric.help);
            text.push_str(&format!("| `{name}` | {kind} | {labels} | {help} |\n"));
        }
        text
    }

    #[test]
    fn every_metric_is_documented_and_no_other() {
        for (title, _) in SECTIONS {
            let expected = format!(
                "### {title}\n\n| metric | type | labels | what it is |\n|---|---|---|---|\n{}\n",
                table(title)
            );
            assert!(
                OPERATIONS.contains(&expected),
                "docs/operations.md has another section {title:?}; this is the one of the code:\n\n{expected}"
            );
        }
        let rows = OPERATIONS
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
        let documented: BTreeSet<&str> = rows.map(|(name, _)| name).filter(|name| is_metric(name)).collect();
        let known: Vec<Metric> = SECTIONS.iter().flat_map(|(title, _)| section(title)).collect();
        let known: BTreeSet<&str> = known.iter().map(|metric| metric.name).collect();
        assert_eq!(documented, known);
    }

    fn is_metric(name: &str) -> bool {
        name.starts_with("forebay_") || name.starts_with("process_")
    }

    #[test]
    fn names_follow_the_conventions() {
        for metric in SECTIONS.iter().flat_map(|(title, _)| section(title)) {
            let Metric {
                name,
                kind,
                labels,
                help,
            } = metric;
            assert!(is_metric(name), "{name}");
            assert_eq!(name.ends_with("_total"), kind.as_str() == "counter", "{name}");
            assert!(kind.as_str() != "histogram" || name.ends_with("_seconds"), "{name}");
            assert!(labels.is_sorted(), "{name}");
            assert!(!help.is_empty() && !help.ends_with('.'), "{name}");
        }
    }

    #[test]
    fn runbooks_speak_of_metrics_that_there_are() {
        let known: Vec<Metric> = SECTIONS.iter().flat_map(|(title, _)| section(title)).collect();
        let words = OPERATIONS.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        for word in words.filter(|word| is_metric(word)) {
            let is_known = known.iter().any(|metric| {
                let of_histogram = ["_bucket", "_sum", "_count"];
                word == metric.name
                    || of_histogram
                        .iter()
                        .any(|end| word.strip_suffix(end) == Some(metric.name))
            });
            assert!(is_known, "docs/operations.md speaks of {word}, which there is not");
        }
    }
}
