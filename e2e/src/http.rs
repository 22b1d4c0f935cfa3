//! Plain HTTP against a base URL; the tests speak what any caller could.

use std::time::{Duration, Instant};

use forebay_api::{Code, PROBLEM_JSON};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;

use crate::load::tally::Tally;
use crate::proxy::{self, Upstreams};

/// A server at a base URL.
#[derive(Clone, Debug)]
pub struct Http {
    pub base_url: String,
    client: reqwest::Client,
    /// The processes behind the base URL that follow the registry.
    followers: Option<Upstreams>,
    /// Where every answer is noted.
    tally: Option<Tally>,
}

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// What was asked, for reports.
    asked: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Http {
    pub fn new(base_url: impl Into<String>) -> Self {
        Self::with_timeout(base_url, Duration::from_secs(120))
    }

    /// One that gives up on an answer after so long.
    pub fn with_timeout(base_url: impl Into<String>, timeout: Duration) -> Self {
        let client = reqwest::Client::builder().timeout(timeout).build().expect("a client");
        Http {
            base_url: base_url.into(),
            client,
            followers: None,
            tally: None,
        }
    }

    /// One that, after a change of definitions, waits until all these have heard of it and its tables and topics are made.
    pub fn heard_by(mut self, followers: Upstreams) -> Self {
        self.followers = Some(followers);
        self
    }

    /// One that notes how every request ended.
    pub fn noted_in(mut self, tally: &Tally) -> Self {
        self.tally = Some(tally.clone());
        self
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], Vec::new()).await
    }

    /// Sends JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_with(path, &[], body).await
    }

    /// Sends JSON with further headers.
    pub async fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let headers: Vec<_> = headers
            .iter()
            .copied()
            .chain([("content-type", "application/json")])
            .collect();
        self.send("POST", path, &headers, body.to_string().into_bytes()).await
    }

    /// Sends YAML.
    pub async fn post_yaml(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let headers: Vec<_> = headers
            .iter()
            .copied()
            .chain([("content-type", "application/yaml")])
            .collect();
        self.send("POST", path, &headers, body.into()).await
    }

    /// Sends anything. Fails the test when no answer comes.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let answer = self
            .try_send(method, path, headers, body)
            .await
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let is_change = method != "GET" && proxy::service_of(path.split('?').next().unwrap_or_default()) == "registry";
        if let (Some(followers), true, 200..300) = (&self.followers, is_change, answer.status) {
            followers.have_heard().await;
        }
        answer
    }

    /// Sends anything; an error when no answer comes.
    pub async fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> reqwest::Result<Answer> {
        let shown = String::from_utf8_lossy(&body[..body.len().min(600)]).into_owned();
        let asked = format!("{method} {path} {headers:?} {shown}");
        let mut request = self
            .client
            .request(method.parse().expect("a method"), format!("{}{path}", self.base_url))
            .body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let begin = Instant::now();
        let answer = answer(request, asked).await;
        if let Some(tally) = &self.tally {
            tally.note(&format!("{method} {path}"), begin.elapsed(), &answer);
        }
        answer
    }
}

/// The whole answer to a request.
async fn answer(request: reqwest::RequestBuilder, asked: String) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer {
        asked,
        status,
        headers,
        body: response.bytes().await?.to_vec(),
    })
}

impl Answer {
    /// The JSON of an answer that must have this status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}\nanswered {}", self.asked, self.text());
        if self.body.is_empty() {
            return Value::Null;
        }
        self.json()
    }

    /// The JSON of an answer that must have succeeded.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert!(
            (200..300).contains(&self.status),
            "{}\nanswered {} {}",
            self.asked,
            self.status,
            self.text()
        );
        self.json()
    }

    /// The body of an answer that must be a problem of this code, with all that RFC 9457 and the contract ask of it.
    #[track_caller]
    pub fn problem(&self, code: Code) -> Value {
        let told = format!("{}\nanswered {} {}", self.asked, self.status, self.text());
        assert_eq!(self.header(CONTENT_TYPE.as_str()), PROBLEM_JSON, "{told}");
        let problem = self.json();
        assert_eq!(problem["code"], code.as_str(), "{told}");
        assert_eq!(self.status, code.status(), "{told}");
        assert_eq!(problem["status"], code.status(), "{told}");
        assert_eq!(problem["title"], code.title(), "{told}");
        assert!(
            problem["type"]
                .as_str()
                .is_some_and(|kind| kind.ends_with(&format!("#{code}"))),
            "{told}"
        );
        assert!(
            problem["detail"].as_str().is_some_and(|detail| detail.len() > 5),
            "{told}"
        );
        problem
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{}\nanswered no JSON ({error}): {}", self.asked, self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value, empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}
