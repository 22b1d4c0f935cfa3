//! Alerts and dashboard: PromQL that parses, of metrics that there are, with runbooks; and alerts that fire when they should.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::metrics::Metrics;
use super::{Rendered, Tools, chart, read};
use forebay_testbed::checkout;

use crate::shell::{self, Error};

const OPERATIONS: &str = "docs/operations.md";
const DASHBOARD: &str = "dashboards/forebay.json";
/// What promtool plays through the alerts of [`PLAYED`].
const PLAYED_TESTS: &str = "tests/alerts.promtool.yaml";
const PLAYED: &str = "production-values.yaml";

/// Checks rules and dashboard.
pub fn check(tools: &Tools, all: &[Rendered]) -> Result<(), Error> {
    let operations = read(&checkout().join(OPERATIONS))?;
    let (metrics, anchors) = (Metrics::documented(&operations), anchors(&operations));
    let folder = tempfile::tempdir().map_err(Error::file(Path::new("a temporary folder")))?;
    let mut wrong = Vec::new();
    let mut runbooks = BTreeSet::new();
    let mut played = false;
    for rendered in all {
        for rule in rendered.of_kind("PrometheusRule") {
            let groups = &rule["spec"]["groups"];
            let path = folder.path().join(match rendered.name == PLAYED {
                true => "rules.yaml".to_owned(),
                false => rendered.name.clone(),
            });
            played |= rendered.name == PLAYED;
            write(&path, &json!({ "groups": groups }))?;
            promtool(tools, &["check", "rules"], &path)?;
            for alert in items(groups).flat_map(|group| items(&group["rules"])) {
                let name = alert["alert"].as_str().unwrap_or_default();
                let unknown = metrics.unknown(alert["expr"].as_str().unwrap_or_default());
                wrong.extend(unknown.into_iter().map(|metric| format!("{name} asks for {metric}")));
                let runbook = alert["annotations"]["runbook_url"].as_str().unwrap_or_default();
                let anchor = runbook.rsplit_once('#').map_or("", |(_, anchor)| anchor);
                if !anchors.contains(anchor) {
                    wrong.push(format!("{name} has its runbook at #{anchor}"));
                }
                runbooks.insert(anchor.to_owned());
            }
        }
    }
    let expressions = dashboard()?;
    for expression in &expressions {
        let unknown = metrics.unknown(expression);
        wrong.extend(
            unknown
                .into_iter()
                .map(|metric| format!("the dashboard asks for {metric}")),
        );
    }
    // As rules they can be parsed without a server.
    let rules = expressions.iter().enumerate().map(|(at, expression)| {
        let expression = expression.replace("$__rate_interval", "5m");
        json!({"record": format!("dashboard:{at}"), "expr": expression})
    });
    let path = folder.path().join("dashboard.yaml");
    let group = json!({"name": "dashboard", "rules": rules.collect::<Vec<_>>()});
    write(&path, &json!({ "groups": [group] }))?;
    promtool(tools, &["check", "rules", "--lint=none"], &path)?;
    if !wrong.is_empty() {
        wrong.sort();
        wrong.dedup();
        return Err(Error::Other(format!(
            "{OPERATIONS} does not have: {}",
            wrong.join(", ")
        )));
    }
    let of_alerts = anchors.iter().filter(|anchor| is_of_alert(anchor));
    let without: Vec<&String> = of_alerts.filter(|anchor| !runbooks.contains(*anchor)).collect();
    if !without.is_empty() {
        return Err(Error::Other(format!(
            "{OPERATIONS} has runbooks of no alert: {without:?}"
        )));
    }
    if !played {
        return Err(Error::Other(format!("ci/{PLAYED} has no PrometheusRule to be tested")));
    }
    let tests = folder.path().join("tests.yaml");
    std::fs::copy(chart().join(PLAYED_TESTS), &tests).map_err(Error::file(&tests))?;
    promtool(tools, &["test", "rules"], &tests)
}

fn promtool(tools: &Tools, arguments: &[&str], file: &Path) -> Result<(), Error> {
    shell::run(Command::new(&tools.promtool).args(arguments).arg(file))
}

fn write(path: &Path, value: &Value) -> Result<(), Error> {
    // JSON is YAML.
    std::fs::write(path, value.to_string()).map_err(Error::file(path))
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// All queries of the dashboard's panels and variables.
fn dashboard() -> Result<Vec<String>, Error> {
    let text = read(&chart().join(DASHBOARD))?;
    let dashboard: Value =
        serde_json::from_str(&text).map_err(|error| Error::Other(format!("{DASHBOARD}: {error}")))?;
    let panels = items(&dashboard["panels"]);
    let expressions: Vec<String> = panels
        .flat_map(|panel| items(&panel["targets"]))
        .filter_map(|target| target["expr"].as_str().map(str::to_owned))
        .collect();
    match expressions.is_empty() {
        false => Ok(expressions),
        true => Err(Error::Other(format!("{DASHBOARD} has no queries"))),
    }
}

/// The headings, as links name them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.collect::<String>().replace(' ', "-")
        })
        .collect()
}

/// One word that begins as alerts do.
fn is_of_alert(anchor: &str) -> bool {
    anchor
        .strip_prefix("forebay")
        .is_some_and(|rest| !rest.is_empty() && !rest.contains('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_anchors() {
        let anchors = anchors("### ForebayDown\ntext\n## A title, with `code`\n");
        assert!(anchors.contains("forebaydown") && anchors.contains("a-title-with-code"));
        assert!(is_of_alert("forebaydown") && !is_of_alert("forebay") && !is_of_alert("forebay-and-more"));
    }
}
