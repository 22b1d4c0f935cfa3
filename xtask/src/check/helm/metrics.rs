//! The metrics that docs/operations.md lists, and what an expression asks for besides.

use std::collections::{BTreeMap, BTreeSet};

/// What Prometheus and the chart's ServiceMonitor add to every series; `le` is a histogram's.
const OF_TARGETS: [&str; 7] = ["component", "container", "instance", "job", "le", "namespace", "pod"];

/// Every metric with its labels.
pub struct Metrics(BTreeMap<String, BTreeSet<String>>);

impl Metrics {
    /// Reads the tables: a metric in the first column, its labels in the third.
    pub fn documented(text: &str) -> Metrics {
        let rows = text.lines().filter(|line| line.starts_with("| `"));
        let metrics = rows.filter_map(|row| {
            let mut cells = row.split('|').skip(1).map(words);
            let name = cells.next()?.into_iter().find(|name| is_ours(name))?;
            let labels = cells.nth(1)?.into_iter().map(str::to_owned).collect();
            Some((name.to_owned(), labels))
        });
        Metrics(metrics.collect())
    }

    /// Metrics in an expression that are not documented, and labels that none of its metrics has.
    pub fn unknown(&self, expression: &str) -> BTreeSet<String> {
        let mut unknown = BTreeSet::new();
        let mut known: BTreeSet<&str> = OF_TARGETS.into();
        for name in words(expression).into_iter().filter(|name| is_ours(name)) {
            match self.labels(name) {
                Some(labels) => known.extend(labels.iter().map(String::as_str)),
                None => {
                    unknown.insert(name.to_owned());
                }
            }
        }
        let wrong = labels(expression).into_iter().filter(|label| !known.contains(label));
        unknown.extend(wrong.map(|label| format!("the label `{label}` of {expression}")));
        unknown
    }

    fn labels(&self, name: &str) -> Option<&BTreeSet<String>> {
        let of_histogram = ["_bucket", "_count", "_sum"]
            .iter()
            .find_map(|end| name.strip_suffix(end));
        self.0.get(name).or_else(|| self.0.get(of_histogram?))
    }
}

fn is_ours(name: &str) -> bool {
    name.starts_with("forebay_") || name.starts_with("process_")
}

fn words(text: &str) -> Vec<&str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
        .collect()
}

/// The labels that selectors and groupings name.
fn labels(expression: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    // Between quotes there are values, which may look like anything.
    for (at, code) in expression.split('"').enumerate().filter(|(at, _)| at % 2 == 0) {
        let selects = code.ends_with(['=', '~']) && expression.split('"').nth(at + 1).is_some();
        if selects {
            found.extend(words(code).last());
        }
        for by in code.split("by (").skip(1) {
            found.extend(words(by.split(')').next().unwrap_or_default()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLES: &str = "# Operations\n\n| metric | type | labels | what |\n|---|---|---|---|\n\
        | `forebay_ready` | gauge |  | not `forebay_nothing` |\n\
        | `forebay_http_seconds` | histogram | `route`, `service` | time |\n\nforebay_text\n";

    #[test]
    fn names_are_those_of_the_tables() {
        let metrics = Metrics::documented(TABLES);
        let expression = r#"rate(forebay_http_seconds_bucket{route=~"by (x)"}[5m]) / forebay_ready + forebay_text"#;
        assert_eq!(metrics.unknown(expression), ["forebay_text".to_owned()].into());
        assert_eq!(
            metrics.unknown("forebay_nothing"),
            ["forebay_nothing".to_owned()].into()
        );
    }

    #[test]
    fn labels_are_those_of_the_metrics() {
        let metrics = Metrics::documented(TABLES);
        let good = r#"sum by (service, le) (rate(forebay_http_seconds_bucket{namespace="a",route!="b"}[5m]))"#;
        assert_eq!(metrics.unknown(good), BTreeSet::new());
        for (bad, label) in [
            (r#"forebay_ready{service="a"}"#, "`service`"),
            (r#"sum by (group, route) (forebay_http_seconds_sum)"#, "`group`"),
        ] {
            let unknown = metrics.unknown(bad);
            assert!(
                unknown.len() == 1 && unknown.iter().all(|text| text.contains(label)),
                "{unknown:?}"
            );
        }
    }
}
