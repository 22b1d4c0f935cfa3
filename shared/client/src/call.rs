//! One HTTP call with its repeats.

use bytes::Bytes;
use forebay_api::{Page, Problem};
use forebay_telemetry::TraceContext;
use http::{HeaderMap, Method, StatusCode, header};
use reqwest::Response;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::client::Client;
use crate::error::{ClientError, with_sources};
use crate::retry::{Failure, Repeat};

/// Most of an unexpected body that an error shows, in bytes.
const SHOWN: usize = 500;

/// A request that can be sent more than once.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
    body: Option<Bytes>,
    repeat: Repeat,
}

impl Call {
    /// A read: it may be repeated.
    pub fn get(path: impl Into<String>) -> Self {
        Call::new(Method::GET, path.into(), Repeat::Always)
    }

    /// A change: it is repeated only if it was refused, unless it gets an idempotency key.
    pub fn post(path: impl Into<String>) -> Self {
        Call::new(Method::POST, path.into(), Repeat::IfRefused)
    }

    /// A change: it is repeated only if it was refused.
    pub fn delete(path: impl Into<String>) -> Self {
        Call::new(Method::DELETE, path.into(), Repeat::IfRefused)
    }

    fn new(method: Method, path: String, repeat: Repeat) -> Self {
        Call {
            method,
            path,
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
            repeat,
        }
    }

    /// A POST that changes nothing, so that it may be repeated.
    pub fn only_reads(mut self) -> Self {
        self.repeat = Repeat::Always;
        self
    }

    /// Carries an idempotency key of its own, so that it may be repeated.
    pub fn idempotent(mut self) -> Self {
        self.repeat = Repeat::Always;
        self.header("idempotency-key", Uuid::new_v4().to_string())
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// A query parameter, if there is a value.
    pub fn query(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.query.extend(value.map(|value| (name, value.to_string())));
        self
    }

    pub fn body(mut self, media_type: &str, body: Bytes) -> Self {
        self.body = Some(body);
        self.header("content-type", media_type)
    }

    pub fn json<T: Serialize>(self, body: &T) -> Result<Self, ClientError> {
        let body = serde_json::to_vec(body).map_err(ClientError::Request)?;
        Ok(self.body("application/json", Bytes::from(body)))
    }
}

impl Client {
    /// Sends the call until it succeeds or may not be repeated; any 2xx is success.
    pub(crate) async fn send(&self, call: &Call) -> Result<Response, ClientError> {
        let mut attempt = 1;
        loop {
            let (error, failure, asked) = match self.attempt(call).await {
                Ok(response) if response.status().is_success() => return Ok(response),
                Ok(response) => {
                    let status = response.status();
                    let error = refusal(call, response).await;
                    let asked = error.problem().and_then(|problem| problem.retry_after);
                    let again = call.repeat.after(&Failure::Answer(status, error.problem()));
                    (error, again, asked)
                }
                Err(error) => {
                    let failure = if error.is_connect() {
                        Failure::NotConnected
                    } else {
                        Failure::Lost
                    };
                    (self.lost(error), call.repeat.after(&failure), None)
                }
            };
            attempt += 1;
            if !failure || attempt > self.retry().attempts {
                return Err(error);
            }
            tokio::time::sleep(self.retry().pause(attempt, asked, rand::random())).await;
        }
    }

    /// Sends the call and reads the answer as text.
    pub(crate) async fn text(&self, call: &Call) -> Result<String, ClientError> {
        let response = self.send(call).await?;
        response.text().await.map_err(|error| self.lost(error))
    }

    /// All items of a list, whose pages are got with the token of the page before.
    pub(crate) async fn all_pages<T: DeserializeOwned>(
        &self,
        page: impl Fn(Option<String>) -> Call,
    ) -> Result<Vec<T>, ClientError> {
        let mut items = Vec::new();
        let mut token = None;
        loop {
            let next: Page<T> = self.json(&page(token)).await?;
            items.extend(next.items);
            token = next.next_page_token;
            if token.is_none() {
                return Ok(items);
            }
        }
    }

    fn lost(&self, error: reqwest::Error) -> ClientError {
        let reason = with_sources(&error.without_url());
        ClientError::Unreachable {
            url: self.base_url().to_owned(),
            reason,
        }
    }

    /// Sends the call and reads the answer as JSON.
    pub(crate) async fn json<T: DeserializeOwned>(&self, call: &Call) -> Result<T, ClientError> {
        let response = self.send(call).await?;
        let status = response.status();
        let body = response.bytes().await.map_err(|error| self.lost(error))?;
        serde_json::from_slice(&body).map_err(|error| unexpected(call, status, &error.to_string()))
    }

    async fn attempt(&self, call: &Call) -> Result<Response, reqwest::Error> {
        let mut request = self
            .http()
            .request(call.method.clone(), format!("{}{}", self.base_url(), call.path));
        if !call.query.is_empty() {
            request = request.query(&call.query);
        }
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        if let Some(body) = &call.body {
            request = request.body(body.clone());
        }
        if let Some(trace) = TraceContext::current() {
            let mut headers = HeaderMap::new();
            trace.inject(&mut headers);
            request = request.headers(headers);
        }
        request.send().await
    }
}

async fn refusal(call: &Call, response: Response) -> ClientError {
    let status = response.status();
    let retry_after = response
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let request_id = response
        .headers()
        .get("x-request-id")
        .and_then(|id| id.to_str().ok())
        .map(str::to_owned);
    let body = response.bytes().await.unwrap_or_default();
    match serde_json::from_slice::<Problem>(&body) {
        Ok(mut problem) => {
            problem.retry_after = problem.retry_after.or(retry_after);
            if let Some(id) = request_id.filter(|_| problem.status == 500) {
                problem.detail.push_str(&format!(" ({id})"));
            }
            ClientError::Problem(Box::new(problem))
        }
        Err(_) => unexpected(call, status, &String::from_utf8_lossy(&body[..body.len().min(SHOWN)])),
    }
}

fn unexpected(call: &Call, status: StatusCode, body: &str) -> ClientError {
    let (method, path) = (call.method.to_string(), call.path.clone());
    ClientError::Unexpected {
        method,
        path,
        status: status.as_u16(),
        body: body.to_owned(),
    }
}

/// A name as one segment of a path.
pub(crate) fn segment(name: &str) -> String {
    let mut segment = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => segment.push(char::from(byte)),
            other => segment.push_str(&format!("%{other:02X}")),
        }
    }
    segment
}
