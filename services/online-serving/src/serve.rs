//! From what was asked to what was read: the part that all forms of the request share.

use std::{sync::Arc, time::Instant};

use forebay_api::{Code, Problem};
use forebay_model::Duration;
use forebay_server::ApiError;
use forebay_storage::{OnlineAnswer, StorageError};

use crate::{
    columns::Sent,
    plan::Plan,
    read::{GroupRows, Reads},
    request::Columns,
    state::Deps,
};

/// A request whose plan is known.
pub struct Asked {
    pub plan: Arc<Plan>,
    pub max_age: Option<Duration>,
    /// One group that cannot be read fails the request.
    pub strict: bool,
    pub deadline: Instant,
}

/// What the store answered.
pub struct Read {
    reads: Reads,
    answer: OnlineAnswer,
}

impl Asked {
    /// Reads the caller's columns as the plan wants them.
    ///
    /// # Errors
    /// 422 for every column that is wrong, and over a limit.
    pub fn columns(&self, deps: &Deps, entities: &Columns<'_>, request: &Columns<'_>) -> Result<Sent, ApiError> {
        let sent = Sent::read(&self.plan, entities, request).map_err(|errors| ApiError::from(Problem::of(errors)))?;
        let limits = &deps.limits;
        if sent.entities > limits.entities {
            return Err(over_limit("/entities", "entities", sent.entities, limits.entities));
        }
        let values = self.plan.features.len().saturating_mul(sent.entities);
        if values > limits.values {
            return Err(over_limit(
                "/entities",
                "values (features times entities)",
                values,
                limits.values,
            ));
        }
        Ok(sent)
    }

    /// Asks the store.
    pub async fn read(&self, deps: &Deps, sent: &Sent) -> Read {
        let deadline = self.deadline.min(Instant::now() + deps.limits.store_deadline());
        let reads = Reads::new(&self.plan, sent);
        let answer = reads.run(&self.plan, &*deps.store, deadline).await;
        Read { reads, answer }
    }

    /// What the store answered, group by group.
    ///
    /// # Errors
    /// When no group could be read, or any of them in a strict request.
    pub fn groups<'a>(&'a self, deps: &Deps, read: &'a Read) -> Result<Vec<GroupRows<'a>>, ApiError> {
        let now = deps.clock.now();
        let rows = |index| read.reads.rows(&self.plan, &read.answer, index, now, self.max_age);
        let groups: Vec<_> = (0..self.plan.groups.len()).map(rows).collect();
        let failures: Vec<_> = groups.iter().filter_map(|group| group.failure.as_ref()).collect();
        match failures.first() {
            Some(failure) if self.strict || failures.len() == groups.len() => Err(refusal(failure)),
            _ => Ok(groups),
        }
    }
}

/// Refuses a list of features that is longer than the limit, before it is planned.
pub fn check_features(deps: &Deps, features: usize) -> Result<(), ApiError> {
    let limit = deps.limits.features;
    if features > limit {
        Err(over_limit("/features", "features", features, limit))
    } else {
        Ok(())
    }
}

/// A refusal that names a field of the body.
pub fn refuse(code: Code, pointer: impl Into<String>, detail: impl Into<String>) -> ApiError {
    Problem::at(code, pointer, detail).into()
}

fn over_limit(pointer: &str, what: &str, found: usize, limit: usize) -> ApiError {
    refuse(
        Code::OverLimit,
        pointer,
        format!("{found} {what} are asked for; at most {limit} are answered at once"),
    )
}

fn refusal(failure: &StorageError) -> ApiError {
    match failure {
        StorageError::TimedOut { what } => ApiError::new(
            Code::DeadlineExceeded,
            format!("{what} did not answer within the deadline"),
        ),
        StorageError::NotProvisioned { .. } | StorageError::NewerLayout { .. } => {
            Problem::new(Code::NotReady, failure.to_string()).retry_after(1).into()
        }
        other => ApiError::unavailable("the online store cannot be read", other.clone()),
    }
}
