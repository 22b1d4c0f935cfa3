//! A reverse proxy that follows the rules of an Ingress object, in place of a controller, which the cluster lacks.
//!
//! It routes by host and path as the API's documentation says, to the NodePorts of the Services that the rules name, and keeps connections open as
//! controllers do; every fourth request takes a connection of its own, so that those are proven too. It sends no request twice: a kept connection that was
//! closed while it was idle is left for another one before anything is sent, and any other failure is answered 502.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::HOST;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::kube::PATIENCE;
use crate::proxy;
use crate::stage::eventually;

/// One rule: what begins with these segments goes there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    /// None: any.
    host: Option<String>,
    path: String,
    /// Nothing may follow.
    exact: bool,
    backend: SocketAddr,
}

/// The rules of an Ingress.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules(Vec<Rule>);

impl Rules {
    /// Reads an Ingress, and where its Services are from a list of Services with NodePorts.
    ///
    /// # Panics
    /// When a rule names a Service or port that is not there.
    pub fn read(ingress: &Value, services: &Value) -> Rules {
        let mut ports = BTreeMap::new();
        for service in services["items"].as_array().into_iter().flatten() {
            for port in service["spec"]["ports"].as_array().into_iter().flatten() {
                let node_port = port["nodePort"].as_u64().and_then(|port| u16::try_from(port).ok());
                for name in [&port["name"], &port["port"]] {
                    let key = (service["metadata"]["name"].to_string(), name.to_string());
                    ports.insert(key, node_port);
                }
            }
        }
        let mut rules = Vec::new();
        for rule in ingress["spec"]["rules"].as_array().into_iter().flatten() {
            for path in rule["http"]["paths"].as_array().into_iter().flatten() {
                let service = &path["backend"]["service"];
                let port = match &service["port"]["name"] {
                    Value::Null => &service["port"]["number"],
                    name => name,
                };
                let key = (service["name"].to_string(), port.to_string());
                let node_port = ports.get(&key).copied().flatten();
                rules.push(Rule {
                    host: rule["host"].as_str().map(str::to_owned),
                    path: path["path"].as_str().unwrap_or("/").trim_end_matches('/').to_owned(),
                    exact: path["pathType"] == "Exact",
                    backend: (
                        Ipv4Addr::LOCALHOST,
                        node_port.unwrap_or_else(|| panic!("no NodePort for {key:?}: {services}")),
                    )
                        .into(),
                });
            }
        }
        Rules(rules)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Waits until all NodePorts take connections: the node hears of ready pods a moment after the API.
    pub async fn are_reached(&self) {
        let backends: BTreeSet<_> = self.0.iter().map(|rule| rule.backend).collect();
        for backend in backends {
            eventually(PATIENCE, "a NodePort takes connections", async || {
                let connected = tokio::net::TcpStream::connect(backend).await;
                connected.map_err(|error| format!("{backend}: {error}"))
            })
            .await;
        }
    }

    /// Where a request goes: the longest path that fits, segment by segment.
    fn backend(&self, host: &str, path: &str) -> Option<SocketAddr> {
        let name = host.split(':').next().unwrap_or_default();
        let fits = |rule: &&Rule| {
            rule.host.as_deref().is_none_or(|host| host == name)
                && path
                    .strip_prefix(rule.path.as_str())
                    .is_some_and(|rest| rest.is_empty() || (!rule.exact && rest.starts_with('/')))
        };
        let longest = self.0.iter().filter(fits).max_by_key(|rule| rule.path.len());
        longest.map(|rule| rule.backend)
    }
}

#[derive(Clone, Debug)]
struct Forwarding {
    rules: Arc<Rules>,
    turn: Arc<AtomicUsize>,
    kept: reqwest::Client,
    fresh: reqwest::Client,
}

/// Starts a proxy on a port of its own of 127.0.0.1. Returns its base URL.
pub(super) fn start(rules: Rules) -> String {
    let client = || reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let forwarding = Forwarding {
        rules: Arc::new(rules),
        turn: Arc::default(),
        kept: client()
            .pool_idle_timeout(Duration::from_secs(30))
            .build()
            .expect("a client"),
        fresh: client().pool_max_idle_per_host(0).build().expect("a client"),
    };
    let router = Router::new().fallback(forward).with_state(forwarding);
    format!("http://{}", proxy::serve(router))
}

async fn forward(State(forwarding): State<Forwarding>, request: Request) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let backend = forwarding.rules.backend(host.unwrap_or_default(), request.uri().path());
    let Some(backend) = backend else {
        return (StatusCode::NOT_FOUND, "no rule fits the path").into_response();
    };
    let turn = forwarding.turn.fetch_add(1, Ordering::Relaxed);
    let client = match turn % 4 {
        0 => &forwarding.fresh,
        _ => &forwarding.kept,
    };
    proxy::pass_on(client, backend, request).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_longest_path_wins_by_whole_segments() {
        let path = |path: &str, service: &str| json!({"path": path, "pathType": "Prefix", "backend": {"service": {"name": service, "port": {"name": "http"}}}});
        let ingress = json!({"spec": {"rules": [
            {"http": {"paths": [path("/v1/rows", "a"), path("/v1", "b")]}},
            {"host": "x.example", "http": {"paths": [path("/", "c")]}},
        ]}});
        let service = |name: &str, port: u16| json!({"metadata": {"name": name}, "spec": {"ports": [{"name": "http", "port": 8080, "nodePort": port}]}});
        let services = json!({"items": [service("a", 1), service("b", 2), service("c", 3)]});
        let rules = Rules::read(&ingress, &services);
        assert_eq!(rules.len(), 3);
        let port = |host, path| rules.backend(host, path).map(|address| address.port());
        assert_eq!(port("localhost:80", "/v1/rows/a.b"), Some(1));
        assert_eq!(port("localhost:80", "/v1/rowsets"), Some(2));
        assert_eq!(port("localhost:80", "/v2"), None);
        assert_eq!(port("x.example", "/v2"), Some(3));
    }
}
