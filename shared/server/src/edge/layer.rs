//! The layer itself: what happens to a request before and after its handler.

use std::any::Any;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use forebay_api::Code;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tower::{Layer, Service};
use tracing::{Instrument, Span, field};

use forebay_telemetry::{TRACEPARENT, TraceContext, failed, span_under};

use super::admission::{admit, limit_body};
use super::context::RequestContext;
use super::guarded_body::guard;
use super::request_id::{self, RequestIds};
use super::route::{Route, RouteSettings};
use crate::config::{RouteLimits, ServerConfig};
use crate::error::{ApiError, Cause, Coded};
use crate::extract::unknown_parameter;
use crate::shutdown::Shutdown;

/// What all services of a process share at their edge.
pub(crate) struct Shared {
    config: ServerConfig,
    shutdown: Shutdown,
    places: Arc<Semaphore>,
    /// For connections.
    pub connections: Arc<Semaphore>,
    ids: RequestIds,
    requests: AtomicU32,
}

impl Shared {
    pub fn new(config: ServerConfig, shutdown: Shutdown) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(config.max_requests));
        let connections = Arc::new(Semaphore::new(config.max_connections));
        Arc::new(Shared {
            config,
            shutdown,
            places,
            connections,
            ids: RequestIds::new(),
            requests: AtomicU32::new(0),
        })
    }

    /// One request in so many is traced, and every one whose caller traces it (`traceparent` with the sampled flag); a caller's decision against it counts.
    fn sampled(&self, headers: &HeaderMap) -> Sampled {
        if headers.contains_key(TRACEPARENT) {
            return TraceContext::extract(headers).map_or(Sampled::No, Sampled::ByCaller);
        }
        let every = self.config.trace_every;
        match every > 0 && self.requests.fetch_add(1, Ordering::Relaxed).is_multiple_of(every) {
            true => Sampled::Here,
            false => Sampled::No,
        }
    }

    /// Tells how much of the server is in use.
    pub fn measure(&self) {
        let ServerConfig {
            max_requests,
            max_connections,
            ..
        } = self.config;
        for (used, limit, free, most) in [
            (
                "forebay_http_requests_in_flight",
                "forebay_http_requests_limit",
                &self.places,
                max_requests,
            ),
            (
                "forebay_http_connections_open",
                "forebay_http_connections_limit",
                &self.connections,
                max_connections,
            ),
        ] {
            metrics::gauge!(used).set(most.saturating_sub(free.available_permits()) as f64);
            metrics::gauge!(limit).set(most as f64);
        }
    }
}

/// Whether a request has a span.
enum Sampled {
    No,
    Here,
    ByCaller(TraceContext),
}

/// The layer around the routes of one service.
#[derive(Clone)]
pub(crate) struct Edge {
    shared: Arc<Shared>,
    service: Arc<ServiceRoutes>,
}

struct ServiceRoutes {
    name: &'static str,
    limits: HashMap<String, RouteLimits>,
    /// Methods and paths of operations without query parameters.
    no_parameters: HashSet<(Method, String)>,
    /// The places of a path with `max_requests`, shared by its methods.
    places: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Edge {
    pub fn new(
        shared: Arc<Shared>,
        name: &'static str,
        limits: HashMap<String, RouteLimits>,
        no_parameters: HashSet<(Method, String)>,
    ) -> Self {
        let service = ServiceRoutes {
            name,
            limits,
            no_parameters,
            places: Mutex::default(),
        };
        Edge {
            shared,
            service: Arc::new(service),
        }
    }

    fn route(&self, request: &Request) -> Route {
        let path = request
            .extensions()
            .get::<MatchedPath>()
            .map_or("", MatchedPath::as_str)
            .to_owned();
        let limits = self.service.limits.get(&path).copied().unwrap_or_default();
        let config = &self.shared.config;
        let places = limits.max_requests.map(|most| {
            let mut places = self.service.places.lock();
            Arc::clone(
                places
                    .entry(path.clone())
                    .or_insert_with(|| Arc::new(Semaphore::new(most))),
            )
        });
        // GET's handler takes HEAD too.
        let method = if request.method() == Method::HEAD {
            Method::GET
        } else {
            request.method().clone()
        };
        let operation = (method, path);
        let settings = RouteSettings {
            deadline: limits.deadline.unwrap_or(config.deadline),
            max_body_bytes: limits.max_body_bytes.unwrap_or(config.max_body_bytes),
            places,
            no_parameters: self.service.no_parameters.contains(&operation),
        };
        Route::new(self.service.name, &operation.0, operation.1, settings)
    }
}

impl<S> Layer<S> for Edge {
    type Service = EdgeService<S>;

    fn layer(&self, inner: S) -> EdgeService<S> {
        EdgeService {
            inner,
            edge: self.clone(),
            route: Arc::new(OnceLock::new()),
        }
    }
}

/// One method of one path with the layer around it.
#[derive(Clone)]
pub(crate) struct EdgeService<S> {
    inner: S,
    edge: Edge,
    route: Arc<OnceLock<Route>>,
}

impl<S> Service<Request> for EdgeService<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let started = Instant::now();
        let shared = Arc::clone(&self.edge.shared);
        let route = self.route.get_or_init(|| self.edge.route(&request));
        let request_id = shared.ids.of(request.headers());
        let span = match shared.sampled(request.headers()) {
            Sampled::No => None,
            Sampled::Here => Some(request_span(None, route, &request_id)),
            Sampled::ByCaller(caller) => Some(request_span(Some(&caller), route, &request_id)),
        };
        let context = RequestContext {
            request_id: Arc::clone(&request_id),
            deadline: started + route.deadline,
            shutdown: shared.shutdown.clone(),
        };
        let deadline = route.deadline;
        let admitted = prepare(request, route, &shared, context);
        let answer = admitted.map(|(request, permits)| (self.inner.call(request), permits));
        let kept = Arc::clone(&self.route);
        let answered = async move {
            let response = match answer {
                Err(error) => error.into_response(),
                Ok((call, permits)) => within(deadline, call).await.map(|body| guard(body, permits)),
            };
            let response = finish(response, &request_id, &shared);
            if let Some(route) = kept.get() {
                let taken = started.elapsed();
                route.record(response.status(), taken);
                if let Some(Coded(code)) = response.extensions().get() {
                    route.record_problem(code);
                    note_problem(response.status(), code);
                }
                note_status(response.status());
                log(&response, route, &request_id, taken);
            }
            Ok(response)
        };
        match span {
            Some(span) => answered.instrument(span).boxed(),
            None => answered.boxed(),
        }
    }
}

/// The span of a sampled request, from its headers to the start of its answer. Its path and query are not told: they may hold what a caller keeps to himself.
fn request_span(caller: Option<&TraceContext>, route: &Route, request_id: &str) -> Span {
    let path = if route.path.is_empty() { "-" } else { &route.path };
    span_under!(
        caller,
        "request",
        otel.name = format_args!("{} {path}", route.method),
        otel.kind = "server",
        http.request.method = route.method,
        http.route = route.path,
        http.response.status_code = field::Empty,
        error.type = field::Empty,
        request_id,
    )
}

/// Tells the current span, if there is one, how it ended.
fn note_status(status: StatusCode) {
    let span = Span::current();
    if !span.is_disabled() {
        span.record("http.response.status_code", status.as_u16());
    }
}

fn note_problem(status: StatusCode, code: &str) {
    let span = Span::current();
    if span.is_disabled() {
        return;
    }
    span.record("error.type", code);
    if status.is_server_error() {
        failed(&span, code);
    }
}

fn prepare(
    request: Request,
    route: &Route,
    shared: &Shared,
    context: RequestContext,
) -> Result<(Request, super::admission::Permits), ApiError> {
    if route.no_parameters
        && let Some(query) = request.uri().query().filter(|query| !query.is_empty())
    {
        let name = query.split(['&', '=']).next().unwrap_or_default();
        return Err(unknown_parameter(name, &[]).into());
    }
    let permits = admit(&shared.places, route.places.as_ref())?;
    let mut request = limit_body(request, route.max_body_bytes)?;
    request.extensions_mut().insert(context);
    Ok((request, permits))
}

/// The handler's response; 504 over the deadline, 500 after a panic.
async fn within<F>(deadline: Duration, call: F) -> Response
where
    F: Future<Output = Result<Response, Infallible>>,
{
    match tokio::time::timeout(deadline, AssertUnwindSafe(call).catch_unwind()).await {
        Ok(Ok(Ok(response))) => response,
        Ok(Ok(Err(never))) => match never {},
        Ok(Err(panic)) => {
            let mut response = ApiError::internal(Panicked).into_response();
            response.extensions_mut().insert(Cause(panic_message(panic.as_ref())));
            response
        }
        Err(_) => {
            let detail = format!(
                "no answer within {} ms; ask for less, or ask again",
                deadline.as_millis()
            );
            ApiError::new(Code::DeadlineExceeded, detail)
                .caused_by(Late)
                .into_response()
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the handler panicked")]
struct Panicked;

#[derive(Debug, thiserror::Error)]
#[error("the handler did not answer within its deadline")]
struct Late;

fn panic_message(panic: &(dyn Any + Send)) -> Cow<'static, str> {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Cow::Owned(format!(
        "the handler panicked: {}",
        message.unwrap_or("without a message")
    ))
}

/// Problems instead of axum's empty bodies, the request id, and the end of the connection while draining.
fn finish(mut response: Response, request_id: &str, shared: &Shared) -> Response {
    if response.status() == StatusCode::METHOD_NOT_ALLOWED && !response.headers().contains_key(header::CONTENT_TYPE) {
        let allow = response.headers_mut().remove(header::ALLOW);
        let methods = allow.as_ref().and_then(|allow| allow.to_str().ok()).unwrap_or_default();
        let detail = format!("this path takes {methods}");
        response = ApiError::new(Code::MethodNotAllowed, detail).into_response();
        response.headers_mut().extend(allow.map(|allow| (header::ALLOW, allow)));
    }
    if let Ok(value) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert(request_id::HEADER, value);
    }
    if shared.shutdown.is_draining() {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Errors of our own are always logged; everything else only at level debug.
fn log(response: &Response, route: &Route, request_id: &str, taken: Duration) {
    let status = response.status().as_u16();
    let micros = u64::try_from(taken.as_micros()).unwrap_or(u64::MAX);
    match response.extensions().get::<Cause>() {
        Some(Cause(cause)) if status == 500 => {
            tracing::error!(route = route.path, status, request_id, micros, "{cause}");
        }
        Some(Cause(cause)) => tracing::warn!(route = route.path, status, request_id, micros, "{cause}"),
        None => tracing::debug!(route = route.path, status, request_id, micros, "answered"),
    }
}
