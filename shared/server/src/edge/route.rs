//! What is known of one route: its limits, its parameters and its metrics.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use metrics::{Counter, Histogram};
use parking_lot::RwLock;
use tokio::sync::Semaphore;

/// One method of one path. Made when its first request comes in; the metric handles are kept.
pub(super) struct Route {
    pub path: String,
    pub deadline: Duration,
    pub max_body_bytes: usize,
    pub places: Option<Arc<Semaphore>>,
    /// The operation has no query parameters, so that any is refused here.
    pub no_parameters: bool,
    service: &'static str,
    pub method: String,
    seconds: Histogram,
    counters: RwLock<Vec<(StatusCode, Counter)>>,
    problems: RwLock<Vec<(String, Counter)>>,
}

/// The parts of a [`Route`] that come from the configuration and the service's document.
pub(super) struct RouteSettings {
    pub deadline: Duration,
    pub max_body_bytes: usize,
    pub places: Option<Arc<Semaphore>>,
    pub no_parameters: bool,
}

impl Route {
    pub fn new(service: &'static str, method: &Method, path: String, settings: RouteSettings) -> Self {
        let method = method.as_str().to_owned();
        let seconds = metrics::histogram!(
            "forebay_http_request_duration_seconds",
            "service" => service, "method" => method.clone(), "route" => path.clone(),
        );
        let RouteSettings {
            deadline,
            max_body_bytes,
            places,
            no_parameters,
        } = settings;
        let counters = RwLock::new(Vec::new());
        let problems = RwLock::new(Vec::new());
        Route {
            path,
            deadline,
            max_body_bytes,
            places,
            no_parameters,
            service,
            method,
            seconds,
            counters,
            problems,
        }
    }

    /// Counts an answered request and its time to the start of the answer.
    pub fn record(&self, status: StatusCode, taken: Duration) {
        self.seconds.record(taken.as_secs_f64());
        if let Some((_, counter)) = self.counters.read().iter().find(|(known, _)| *known == status) {
            counter.increment(1);
            return;
        }
        let counter = metrics::counter!(
            "forebay_http_requests_total",
            "service" => self.service, "method" => self.method.clone(), "route" => self.path.clone(),
            "status" => status.as_u16().to_string(),
        );
        counter.increment(1);
        self.counters.write().push((status, counter));
    }

    /// Counts an answer that is a problem.
    pub fn record_problem(&self, code: &str) {
        if let Some((_, counter)) = self.problems.read().iter().find(|(known, _)| known == code) {
            counter.increment(1);
            return;
        }
        let counter = metrics::counter!(
            "forebay_http_problems_total",
            "service" => self.service, "method" => self.method.clone(), "route" => self.path.clone(),
            "code" => code.to_owned(),
        );
        counter.increment(1);
        self.problems.write().push((code.to_owned(), counter));
    }
}
