//! The prefix rules of Ingress and HTTPRoute bring every path of every contract under openapi/ to its own service.

use serde_json::Value;

use super::{Rendered, read};
use crate::openapi;
use crate::shell::Error;

/// What is for the cluster and not for callers.
const INNER: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// A prefix, and the Service that has it.
type Rule = (String, String);

/// Checks all rules of all rendered objects.
pub fn check(all: &[Rendered]) -> Result<(), Error> {
    let paths = paths()?;
    let mut kinds = std::collections::BTreeSet::new();
    for rendered in all {
        for (kind, rules) in rules(rendered) {
            // In mode evaluation one pod is all services.
            let one = rendered.of_kind("StatefulSet").next().is_some();
            let wrong = wrong(&rules, &paths, one);
            if !wrong.is_empty() {
                return Err(Error::Other(format!(
                    "{}, {kind}: {}; templates/_routes.tpl has the prefixes",
                    rendered.name,
                    wrong.join(", ")
                )));
            }
            println!(
                "{}: {kind}, {} prefixes, {} paths",
                rendered.name,
                rules.len(),
                paths.len()
            );
            kinds.insert(kind);
        }
    }
    match kinds.len() {
        2 => Ok(()),
        _ => Err(Error::Other(format!(
            "only {kinds:?} among what is rendered; ci/ needs an Ingress and an HTTPRoute"
        ))),
    }
}

/// Every path of every contract with its service, which has the contract too; the page that shows contracts is the registry's.
fn paths() -> Result<Vec<(String, String)>, Error> {
    let mut paths = Vec::new();
    for (service, document) in openapi::by_service() {
        let text = read(&document)?;
        let document: Value = serde_json::from_str(&text).map_err(|error| Error::Other(error.to_string()))?;
        let of_service = document["paths"].as_object().into_iter().flatten();
        paths.extend(of_service.map(|(path, _)| (path.clone(), service.to_owned())));
        paths.push((format!("/openapi/{service}.json"), service.to_owned()));
    }
    paths.push(("/docs".to_owned(), "registry".to_owned()));
    Ok(paths)
}

fn rules(rendered: &Rendered) -> Vec<(&'static str, Vec<Rule>)> {
    let ingresses = rendered.of_kind("Ingress").flat_map(|ingress| {
        items(&ingress["spec"]["rules"]).map(|rule| {
            let rules = items(&rule["http"]["paths"]).filter(|path| path["pathType"] == "Prefix");
            let rules = rules.map(|path| (text(&path["path"]), text(&path["backend"]["service"]["name"])));
            ("Ingress", rules.collect())
        })
    });
    let routes = rendered.of_kind("HTTPRoute").map(|route| {
        let rules = items(&route["spec"]["rules"]).flat_map(|rule| {
            let backend = text(&rule["backendRefs"][0]["name"]);
            let matches = items(&rule["matches"]).filter(|matched| matched["path"]["type"] == "PathPrefix");
            matches.map(move |matched| (text(&matched["path"]["value"]), backend.clone()))
        });
        ("HTTPRoute", rules.collect())
    });
    ingresses.chain(routes).collect()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What goes elsewhere than it should; with `one` Service for all, what goes nowhere.
fn wrong(rules: &[Rule], paths: &[(String, String)], one: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, service) in paths {
        match backend(rules, path) {
            Some(backend) if one || backend.ends_with(&format!("-{service}")) => {}
            found => wrong.push(format!("{path} is {service}'s and goes to {found:?}")),
        }
    }
    for path in INNER {
        if let Some(backend) = backend(rules, path) {
            wrong.push(format!("{path} is for the cluster only and goes to {backend}"));
        }
    }
    wrong
}

/// By whole segments, the longest prefix first, as Ingress controllers and Gateways do.
fn backend<'a>(rules: &'a [Rule], path: &str) -> Option<&'a str> {
    let is_under = |prefix: &str| {
        path.strip_prefix(prefix.trim_end_matches('/'))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    rules
        .iter()
        .filter(|(prefix, _)| is_under(prefix))
        .max_by_key(|(prefix, _)| prefix.len())
        .map(|(_, backend)| backend.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(prefix: &str, backend: &str) -> Rule {
        (prefix.to_owned(), backend.to_owned())
    }

    #[test]
    fn prefixes_are_whole_segments_and_the_longest_wins() {
        let rules = [rule("/v1/rows", "a-ingestion"), rule("/", "a-registry")];
        assert_eq!(backend(&rules, "/v1/rows/product.value"), Some("a-ingestion"));
        assert_eq!(backend(&rules, "/v1/rowsandmore"), Some("a-registry"));
        assert_eq!(backend(&rules[..1], "/v1/runs"), None);
    }

    #[test]
    fn what_goes_astray_is_named() {
        let rules = [rule("/v1/rows", "a-ingestion"), rule("/metrics", "a-registry")];
        let paths = [
            rule("/v1/rows/{group}", "ingestion"),
            rule("/v1/rows/{group}", "compute"),
            rule("/v1/runs", "compute"),
        ];
        let wrong = wrong(&rules, &paths, false);
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        assert!(wrong[1].contains("/v1/runs is compute's and goes to None"));
        assert!(wrong[2].contains("/metrics is for the cluster only"));
    }
}
