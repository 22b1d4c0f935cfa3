//! One kind of call.

use std::{future::Future, time::Instant};

use forebay_telemetry::{child_span, failed};
use metrics::{Histogram, counter, histogram};
use tracing::{Instrument, Span};

use crate::{AppendError, SourceError, StorageError};

/// What is known of one kind of call: its name, and where its samples go.
pub(super) struct Operation {
    backend: &'static str,
    name: &'static str,
    seconds: Histogram,
}

/// What is counted of an error.
pub(super) trait Failure {
    /// A word for it; `None` when the backend did what it should.
    fn kind(&self) -> Option<&'static str>;
}

impl Failure for StorageError {
    fn kind(&self) -> Option<&'static str> {
        match self {
            Self::Unavailable { .. } => Some("unavailable"),
            Self::TimedOut { .. } => Some("timed_out"),
            Self::Full { .. } => Some("full"),
            Self::NoSpace { .. } => Some("no_space"),
            Self::Gone { .. } => Some("gone"),
            Self::Misconfigured { .. } => Some("misconfigured"),
            Self::Corrupt { .. } => Some("corrupt"),
            // What the caller came too early or too late for.
            Self::NotProvisioned { .. } | Self::NewerLayout { .. } | Self::Closed { .. } => None,
        }
    }
}

impl Failure for AppendError {
    fn kind(&self) -> Option<&'static str> {
        match self {
            Self::Storage(error) => error.kind(),
            Self::Rows(_) | Self::Moved { .. } => None,
        }
    }
}

impl Failure for SourceError {
    fn kind(&self) -> Option<&'static str> {
        match self {
            Self::Storage(error) => error.kind(),
            Self::NotAllowed { .. } | Self::NotFound { .. } => None,
        }
    }
}

impl Operation {
    pub fn new(backend: &'static str, name: &'static str) -> Self {
        Self {
            backend,
            name,
            seconds: histogram!("forebay_backend_request_duration_seconds", "backend" => backend, "operation" => name),
        }
    }

    /// A span of this call, within a sampled request.
    pub fn span(&self) -> Span {
        child_span!(
            "backend",
            otel.name = format_args!("{} {}", self.backend, self.name),
            otel.kind = "client",
            db.system.name = self.backend,
            db.operation.name = self.name,
        )
    }

    /// The call, measured.
    pub async fn measure<T, E: Failure>(&self, call: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        self.measure_in(self.span(), call).await
    }

    /// The call, measured, within a span that was made for it.
    pub async fn measure_in<T, E: Failure>(
        &self,
        span: Span,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let began = Instant::now();
        let outcome = match span.is_disabled() {
            true => call.await,
            false => call.instrument(span.clone()).await,
        };
        self.took(began);
        self.check(&span, &outcome);
        outcome
    }

    /// The call, whose failures only are counted: how long it takes is not the backend's matter.
    pub async fn count<T, E: Failure>(&self, call: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let outcome = call.await;
        self.check(&Span::none(), &outcome);
        outcome
    }

    pub fn took(&self, began: Instant) {
        self.seconds.record(began.elapsed().as_secs_f64());
    }

    pub fn failed(&self, span: &Span, error: &impl Failure) {
        if let Some(kind) = error.kind() {
            counter!("forebay_backend_errors_total", "backend" => self.backend, "operation" => self.name, "kind" => kind)
                .increment(1);
            failed(span, kind);
        }
    }

    fn check<T, E: Failure>(&self, span: &Span, outcome: &Result<T, E>) {
        if let Err(error) = outcome {
            self.failed(span, error);
        }
    }
}
