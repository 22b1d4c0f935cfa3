//! What a scenario plays on: an installation, and names in it that nobody else uses.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::Http;
use crate::lake::Lake;

/// An installation and a domain of one's own in it.
#[derive(Clone, Debug)]
pub struct Stage {
    pub http: Http,
    /// The lake, which the scenario may write to as an outsider.
    pub lake: Lake,
    /// The domain's name, also the prefix of other names.
    pub domain: String,
}

impl Stage {
    pub fn new(http: Http, lake: Lake) -> Self {
        let unique = uuid::Uuid::new_v4().simple().to_string();
        Stage {
            http,
            lake,
            domain: format!("t{}", &unique[..8]),
        }
    }

    /// `name` in the stage's own domain.
    pub fn group(&self, name: &str) -> String {
        format!("{}.{name}", self.domain)
    }

    /// A group's Delta table, as a path under the lake's root.
    pub fn table(&self, group: &str) -> String {
        format!("{}/{group}", self.domain)
    }

    /// Waits until a group's table is made, which it is as soon as the group is ready.
    pub async fn has_table(&self, group: &str) {
        eventually(
            Duration::from_secs(60),
            "the group's table is made",
            async || match self.lake.commits(&self.table(group)).await.is_empty() {
                true => Err("no log".to_owned()),
                false => Ok(()),
            },
        )
        .await;
    }

    /// Applies YAML in which `DOMAIN` stands for the stage's domain.
    #[track_caller]
    pub fn apply(&self, yaml: &str) -> impl Future<Output = Value> {
        let yaml = yaml.replace("DOMAIN", &self.domain);
        async move { self.http.post_yaml("/v1/apply", &[], &yaml).await.expect(200) }
    }

    /// Pushes rows and waits until both stores hold them.
    pub async fn push(&self, group: &str, rows: &[Value]) -> Value {
        let path = format!("/v1/rows/{}?wait=online,offline&timeout=60s", self.group(group));
        self.http.post(&path, &json!({"rows": rows})).await.expect(200)
    }

    /// The online answer for a list of features.
    pub async fn online(&self, features: &[String], entities: Value) -> Value {
        self.http
            .post(
                "/v1/online-features",
                &json!({"features": features, "entities": entities}),
            )
            .await
            .expect(200)
    }

    /// Starts a run and waits for its end. Returns the run.
    pub async fn run(&self, request: &Value) -> Value {
        let started = self.http.post("/v1/runs", request).await.expect(202);
        let id = started["id"].as_str().expect("a run has an id").to_owned();
        self.finished(&id).await
    }

    /// Waits for the end of a run.
    pub async fn finished(&self, id: &str) -> Value {
        eventually(Duration::from_secs(120), "the run ends", async || {
            let run = self.http.get(&format!("/v1/runs/{id}")).await.expect(200);
            let open = matches!(run["state"].as_str(), Some("queued" | "running"));
            if open { Err(run.to_string()) } else { Ok(run) }
        })
        .await
    }
}

/// Asks again until it is so; fails the test when it is not so in time, with what was seen last.
pub async fn eventually<T>(within: Duration, what: &str, mut ask: impl AsyncFnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match ask().await {
            Ok(value) => return value,
            Err(seen) if start.elapsed() > within => panic!("within {within:?} not: {what}; last seen: {seen}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(25)).await,
        }
    }
}

/// Whether a process that follows a group's table says that it has stopped.
pub async fn is_stopped(http: &Http, group: &str) -> bool {
    let metrics = http.get("/metrics").await.text();
    metrics
        .lines()
        .any(|line| line.starts_with("forebay_follower_stopped") && line.contains(group) && line.ends_with(" 1"))
}

/// The columns of a JSON answer to a historical query: the values of the column of this name.
#[track_caller]
pub fn column<'a>(answer: &'a Value, name: &str) -> &'a Vec<Value> {
    answer["columns"]
        .as_array()
        .and_then(|columns| columns.iter().find(|column| column["name"] == name))
        .and_then(|column| column["values"].as_array())
        .unwrap_or_else(|| panic!("no column {name} in {answer}"))
}

/// The place of a name in an online answer.
#[track_caller]
pub fn place(answer: &Value, name: &str) -> usize {
    answer["metadata"]["feature_names"]
        .as_array()
        .and_then(|names| names.iter().position(|found| found == name))
        .unwrap_or_else(|| panic!("no feature {name} in {answer}"))
}
