//! One base URL for services that run apart: a reverse proxy with the plain prefix rules that an Ingress has.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::http::Http;
use crate::stage::eventually;

/// Which service has which paths, as the chart's Ingress says; what no rule names goes to the first.
pub const SERVICES: [(&str, &[&str]); 5] = [
    (
        "registry",
        &[
            "/v1/domains",
            "/v1/entities",
            "/v1/groups",
            "/v1/features",
            "/v1/views",
            "/v1/sources",
            "/v1/graph",
            "/v1/plan",
            "/v1/apply",
            "/v1/search",
            "/v1/changes",
            "/v1/info",
            "/schemas",
            "/subjects",
            "/config",
            "/mode",
            "/docs",
            "/openapi/registry.json",
        ],
    ),
    (
        "compute",
        &["/v1/runs", "/v1/schedule", "/v1/streams", "/openapi/compute.json"],
    ),
    (
        "ingestion",
        &[
            "/v1/rows",
            "/v1/imports",
            "/v1/receipts",
            "/v1/rejected",
            "/v1/erasures",
            "/openapi/ingestion.json",
        ],
    ),
    (
        "online-serving",
        &[
            "/v1/online-features",
            "/get-online-features",
            "/openapi/online-serving.json",
        ],
    ),
    (
        "offline-query",
        &[
            "/v1/historical-features",
            "/v1/spines",
            "/v1/training-sets",
            "/v1/statistics",
            "/openapi/offline-query.json",
        ],
    ),
];

/// The service that a path belongs to.
pub fn service_of(path: &str) -> &'static str {
    let is_under = |prefix: &&str| {
        path.strip_prefix(*prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    SERVICES
        .iter()
        .find(|(_, prefixes)| prefixes.iter().any(&is_under))
        .map_or(SERVICES[0].0, |(service, _)| service)
}

/// Where the copies of each service are.
#[derive(Clone, Debug, Default)]
pub struct Upstreams(Arc<RwLock<BTreeMap<String, Vec<SocketAddr>>>>);

/// A running proxy. It ends with the process.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    upstreams: Upstreams,
}

#[derive(Clone, Debug)]
struct Forwarding {
    upstreams: Upstreams,
    turn: Arc<AtomicUsize>,
    client: reqwest::Client,
}

impl Proxy {
    /// Listens on a port of its own, in a thread of its own: it serves all tests of the process, whose runtimes come and go.
    pub fn start() -> Self {
        let upstreams = Upstreams::default();
        let forwarding = Forwarding {
            upstreams: upstreams.clone(),
            turn: Arc::default(),
            client: reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                // A copy that is started again has another address; a connection to the one before is of no use.
                .pool_idle_timeout(Duration::from_secs(10))
                .build()
                .expect("a client"),
        };
        Proxy {
            address: serve(Router::new().fallback(forward).with_state(forwarding)),
            upstreams,
        }
    }

    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The copies, as they change.
    pub fn upstreams(&self) -> Upstreams {
        self.upstreams.clone()
    }

    /// From here on, requests of this service go to these copies.
    pub fn route(&self, service: &str, copies: Vec<SocketAddr>) {
        self.upstreams.set(service, copies);
    }
}

/// Serves on a port of its own of 127.0.0.1, in a thread of its own and to the end of the process.
pub(crate) fn serve(router: Router) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a socket");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
            axum::serve(listener, router).await.expect("the proxy serves");
        });
    });
    address
}

impl Upstreams {
    /// One process that is all services.
    pub fn one(process: SocketAddr) -> Self {
        Upstreams(Arc::new(RwLock::new(
            [(SERVICES[0].0.to_owned(), vec![process])].into(),
        )))
    }

    /// From here on, these are the copies of a service.
    pub fn set(&self, service: &str, copies: Vec<SocketAddr>) {
        let mut upstreams = self.0.write().unwrap_or_else(PoisonError::into_inner);
        upstreams.insert(service.to_owned(), copies);
    }

    fn of(&self, service: &str) -> Vec<SocketAddr> {
        let upstreams = self.0.read().unwrap_or_else(PoisonError::into_inner);
        upstreams.get(service).cloned().unwrap_or_default()
    }

    /// Waits until all copies know the newest registry revision that one of them knows, and all groups are ready for them.
    pub(crate) async fn have_heard(&self) {
        eventually(
            Duration::from_secs(30),
            "all processes have heard of a change",
            async || {
                let all: Vec<_> = SERVICES.iter().flat_map(|(service, _)| self.of(service)).collect();
                let mut known = Vec::new();
                for copy in all {
                    let http = Http::new(format!("http://{copy}"));
                    let asked = http.try_send("GET", "/metrics", &[], Vec::new()).await;
                    let metrics = asked.map_err(|error| error.to_string())?.text();
                    known.push((
                        gauge(&metrics, "forebay_registry_revision"),
                        gauge(&metrics, "forebay_groups_not_ready"),
                    ));
                }
                let same = known.iter().all(|(revision, _)| *revision == known[0].0);
                match same && known.iter().all(|(_, not_ready)| *not_ready == Some(0)) {
                    true => Ok(()),
                    false => Err(format!("revisions and groups that are not ready: {known:?}")),
                }
            },
        )
        .await;
    }
}

/// The value of a metric without labels.
fn gauge(metrics: &str, name: &str) -> Option<u64> {
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
    metrics.lines().find_map(value)
}

/// Sends a request to one copy after the other until one takes the connection: after that it may have been seen, and is not sent again.
async fn forward(State(forwarding): State<Forwarding>, request: Request) -> Response {
    let copies = forwarding.upstreams.of(service_of(request.uri().path()));
    let first = forwarding.turn.fetch_add(1, Ordering::Relaxed);
    // A body can be sent once only, so who takes the connection is found out before.
    for offset in 0..copies.len() {
        let copy = copies[(first + offset) % copies.len()];
        if tokio::net::TcpStream::connect(copy).await.is_err() {
            continue;
        }
        return pass_on(&forwarding.client, copy, request).await;
    }
    (StatusCode::BAD_GATEWAY, "no copy takes a connection").into_response()
}

/// Sends a request to a server and gives its answer as it comes; 502 when there is none.
pub(crate) async fn pass_on(client: &reqwest::Client, server: SocketAddr, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let sent = client
        .request(parts.method.clone(), format!("http://{server}{path}"))
        .headers(without_hop_by_hop(parts.headers))
        .body(reqwest::Body::wrap_stream(body.into_data_stream()))
        .send()
        .await;
    match sent {
        Ok(answer) => {
            let (status, headers) = (answer.status(), without_hop_by_hop(answer.headers().clone()));
            (status, headers, Body::from_stream(answer.bytes_stream())).into_response()
        }
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{server}: {error:?}")).into_response(),
    }
}

/// What is between two neighbours only.
fn without_hop_by_hop(mut headers: HeaderMap) -> HeaderMap {
    for name in [CONNECTION, TRANSFER_ENCODING, HOST] {
        headers.remove(name);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_by_whole_segments() {
        assert_eq!(service_of("/v1/rows/product.value"), "ingestion");
        assert_eq!(service_of("/v1/runs"), "compute");
        assert_eq!(service_of("/get-online-features"), "online-serving");
        assert_eq!(service_of("/v1/rowsandmore"), "registry", "what no rule names");
        assert_eq!(service_of("/docs"), "registry");
        assert_eq!(service_of("/openapi/ingestion.json"), "ingestion");
    }

    #[test]
    fn the_rules_are_the_charts() {
        let chart = include_str!("../../charts/forebay/templates/_routes.tpl");
        let (_, prefixes) = chart
            .split_once("define \"forebay.prefixes\" -}}\n")
            .expect("its prefixes");
        let (prefixes, _) = prefixes.split_once("{{- end").expect("their end");
        let mut ours = String::new();
        for (service, prefixes) in SERVICES {
            ours += &format!("{service}:\n");
            ours.extend(prefixes.iter().map(|prefix| format!("  - {prefix}\n")));
        }
        assert_eq!(prefixes, ours);
    }

    #[test]
    fn no_two_services_share_a_prefix() {
        let all: Vec<_> = SERVICES.iter().flat_map(|(_, prefixes)| *prefixes).collect();
        for a in &all {
            let overlaps = all
                .iter()
                .filter(|b| b.starts_with(&format!("{a}/")) || b == &a)
                .count();
            assert_eq!(overlaps, 1, "{a}");
        }
    }
}
