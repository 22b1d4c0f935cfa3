//! Runs of batch computations.

use forebay_api::Page;
use forebay_api::runs::{Run, RunRequest};
use forebay_api::schedule::Schedule;
use futures::{Stream, StreamExt};

use crate::call::{Call, segment};
use crate::client::Client;
use crate::error::{ClientError, with_sources};
use crate::events::events;

impl Client {
    /// Begins a run.
    pub async fn start_run(&self, request: &RunRequest) -> Result<Run, ClientError> {
        self.json(&Call::post("/v1/runs").idempotent().json(request)?).await
    }

    /// A run as it is.
    pub async fn run(&self, id: &str) -> Result<Run, ClientError> {
        self.json(&Call::get(format!("/v1/runs/{}", segment(id)))).await
    }

    /// Runs, newest first, at most `limit`.
    pub async fn runs(&self, limit: u32) -> Result<Page<Run>, ClientError> {
        self.json(&Call::get("/v1/runs").query("page_size", Some(limit))).await
    }

    /// Ends a run that is not finished; tasks under way stop without writing.
    pub async fn cancel_run(&self, id: &str) -> Result<Run, ClientError> {
        self.json(&Call::post(format!("/v1/runs/{}/cancel", segment(id))).idempotent())
            .await
    }

    /// Runs what a failed or cancelled run has left.
    pub async fn resume_run(&self, id: &str) -> Result<Run, ClientError> {
        self.json(&Call::post(format!("/v1/runs/{}/resume", segment(id))).idempotent())
            .await
    }

    /// The run after each of its changes, until the server ends the stream; the last one may not be final.
    pub async fn run_events(
        &self,
        id: &str,
    ) -> Result<impl Stream<Item = Result<Run, ClientError>> + Unpin + use<>, ClientError> {
        let path = format!("/v1/runs/{}/events", segment(id));
        let response = self
            .send(&Call::get(path.clone()).header("accept", "text/event-stream"))
            .await?;
        let url = self.base_url().to_owned();
        let runs = events(response.bytes_stream().boxed()).filter_map(move |event| {
            let read = match event {
                Ok(event) if event.name == "run" => Some(serde_json::from_str(&event.data).map_err(|error| {
                    let (method, body) = ("GET".to_owned(), error.to_string());
                    ClientError::Unexpected {
                        method,
                        path: path.clone(),
                        status: 200,
                        body,
                    }
                })),
                Ok(_) => None,
                Err(error) => {
                    let reason = with_sources(&error.without_url());
                    Some(Err(ClientError::Unreachable {
                        url: url.clone(),
                        reason,
                    }))
                }
            };
            futures::future::ready(read)
        });
        Ok(runs.boxed())
    }

    /// What will run, in which order, and when.
    pub async fn schedule(&self) -> Result<Schedule, ClientError> {
        self.json(&Call::get("/v1/schedule")).await
    }
}
