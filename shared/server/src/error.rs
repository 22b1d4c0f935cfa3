//! The one place where an error becomes a response.

use std::borrow::Cow;
use std::error::Error;

use axum::response::{IntoResponse, Response};
use forebay_api::{Code, PROBLEM_JSON, Problem};
use http::{HeaderName, HeaderValue, StatusCode, header};

/// What a handler returns.
pub type ApiResult<T> = Result<T, ApiError>;

/// An error on its way out: a [`Problem`] for the caller and the cause for the log.
///
/// An endpoint's error enum has an `impl From<MyError> for ApiError` that picks a [`Code`] for each variant; the code
/// picks the HTTP status.
#[derive(Clone, Debug)]
pub struct ApiError(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    problem: Problem,
    cause: Option<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// The stable code of a problem, for the metrics of [`crate::edge`].
#[derive(Clone, Debug)]
pub(crate) struct Coded(pub Cow<'static, str>);

/// Why Forebay failed, for the log of [`crate::edge`]; callers never see it.
#[derive(Clone, Debug)]
pub(crate) struct Cause(pub Cow<'static, str>);

impl ApiError {
    /// An error with this code's status and title.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Problem::new(code, detail).into()
    }

    /// A fault of Forebay's own (500): the caller learns nothing of it, the log has the error with its sources.
    pub fn internal(error: impl Error) -> Self {
        ApiError::new(
            Code::Internal,
            "Forebay failed; its log has the cause under this response's x-request-id",
        )
        .caused_by(error)
    }

    /// A backend that does not answer (503), to be tried again in a second.
    pub fn unavailable(what: impl Into<String>, error: impl Error) -> Self {
        ApiError::from(Problem::new(Code::Unavailable, what).retry_after(1)).caused_by(error)
    }

    /// The same error with a cause for the log: the error and its sources. It is logged for a 5xx only.
    pub fn caused_by(mut self, error: impl Error) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        self.0.cause = Some(text);
        self
    }

    /// The same error with a response header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// What the caller gets.
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }

    /// What the caller gets.
    pub fn into_problem(self) -> Problem {
        self.0.problem
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        ApiError(Box::new(Inner {
            problem,
            cause: None,
            headers: Vec::new(),
        }))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Inner {
            problem,
            cause,
            headers,
        } = *self.0;
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (status, body).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(seconds) = problem.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.headers_mut().extend(headers);
        response.extensions_mut().insert(Coded(problem.code));
        // A server that refuses under load must not drown in its log: a 503 without a cause is only counted.
        let cause = cause.or_else(|| (status == StatusCode::INTERNAL_SERVER_ERROR).then_some(problem.detail));
        if let Some(cause) = cause.filter(|_| status.is_server_error()) {
            response.extensions_mut().insert(Cause(Cow::Owned(cause)));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the store is closed")]
    struct Closed(#[source] std::io::Error);

    #[test]
    fn internal_errors_tell_the_log_and_not_the_caller() {
        let error = ApiError::internal(Closed(std::io::Error::other("disk gone")));
        assert!(!error.problem().detail.contains("disk"));
        let response = error.into_response();
        assert_eq!(response.status(), 500);
        let cause = response.extensions().get::<Cause>().expect("a cause");
        assert_eq!(cause.0, "the store is closed: disk gone");
    }

    #[test]
    fn refusals_under_load_are_not_logged() {
        let response = ApiError::new(Code::Overloaded, "busy").into_response();
        assert!(response.extensions().get::<Cause>().is_none());
        let response = ApiError::unavailable("down", std::io::Error::other("refused")).into_response();
        assert!(response.extensions().get::<Cause>().is_some());
    }

    #[test]
    fn retry_after_is_a_header_too() {
        let response = ApiError::from(Problem::new(Code::Full, "the queue is full").retry_after(3)).into_response();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "3");
        assert_eq!(response.headers()["content-type"], PROBLEM_JSON);
    }
}
