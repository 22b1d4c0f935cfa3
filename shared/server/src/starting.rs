//! A process that is not ready yet: it lives, and says what it waits for.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse, Response};
use forebay_api::{Code, Problem};
use parking_lot::Mutex;

use crate::error::ApiError;

/// What a starting process waits for, as `/readyz` lists it. Clones speak of the same process.
#[derive(Clone, Debug, Default)]
pub struct Starting(Arc<Mutex<BTreeMap<&'static str, String>>>);

impl Starting {
    /// The process waits for this backend or service; `detail` says where it is and why it is not there yet.
    pub fn waits_for(&self, name: &'static str, detail: impl Into<String>) {
        self.0.lock().insert(name, detail.into());
    }

    /// It is there.
    pub fn found(&self, name: &'static str) {
        self.0.lock().remove(name);
    }

    /// Everything that is waited for, by name.
    #[must_use]
    pub fn waiting_for(&self) -> Vec<(&'static str, String)> {
        self.0
            .lock()
            .iter()
            .map(|(name, detail)| (*name, detail.clone()))
            .collect()
    }

    /// The answer to every request but those for the health.
    fn refuse(&self) -> Response {
        let mut detail = "this process is starting".to_owned();
        for (name, reason) in self.waiting_for() {
            detail.push_str(&format!("; it waits for {name}: {reason}"));
        }
        ApiError::from(Problem::new(Code::Unavailable, detail).retry_after(1)).into_response()
    }

    /// Routes that refuse everything.
    pub(crate) fn routes(&self) -> Router {
        let starting = self.clone();
        Router::new().fallback(move || {
            let starting = starting.clone();
            async move { starting.refuse() }
        })
    }
}
