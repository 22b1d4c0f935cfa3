//! What can go wrong on the way to Forebay and back.

use forebay_api::{Code, Problem};

/// Why a call did not succeed, after all its repeats.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The base URL is none.
    #[error("{url:?} is not a base URL: {reason}; give one such as http://127.0.0.1:7070")]
    Url {
        /// As given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Forebay answered with a problem.
    #[error("{}{}", .0.detail, places(.0))]
    Problem(Box<Problem>),
    /// Something answered that is not Forebay, or not this version of it.
    #[error("{method} {path} answered {status} with something unexpected: {body}")]
    Unexpected {
        /// The method of the request.
        method: String,
        /// The path of the request.
        path: String,
        /// The status of the answer.
        status: u16,
        /// The beginning of its body, or why it does not read.
        body: String,
    },
    /// No answer, or only a part of it.
    #[error(
        "{url} does not answer: {reason}; is Forebay running there? `forebay serve` starts it, --url names another"
    )]
    Unreachable {
        /// The base URL.
        url: String,
        /// What the connection says.
        reason: String,
    },
    /// A request that cannot be written as JSON.
    #[error("the request cannot be written as JSON: {0}")]
    Request(#[source] serde_json::Error),
}

impl ClientError {
    /// The problem, if Forebay answered with one.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            ClientError::Problem(problem) => Some(problem),
            _ => None,
        }
    }

    /// Whether Forebay answered with this code.
    pub fn is(&self, code: Code) -> bool {
        self.problem().is_some_and(|problem| problem.known_code() == Some(code))
    }
}

/// The places of a problem that its detail does not already give.
fn places(problem: &Problem) -> String {
    let mut text = String::new();
    for error in &problem.errors {
        let place = error
            .pointer
            .as_deref()
            .or(error.parameter.as_deref())
            .unwrap_or_default();
        match error.detail == problem.detail {
            true if place.is_empty() => {}
            true => text.push_str(&format!(" (at {place})")),
            false => text.push_str(&format!("\n  {place}: {}", error.detail)),
        }
    }
    text
}

/// An error with its sources on one line.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use forebay_api::ProblemError;

    use super::*;

    #[test]
    fn says_where_it_is_wrong() {
        let one = ClientError::Problem(Box::new(Problem::at(Code::WrongType, "/a/0", "expected a number")));
        assert_eq!(one.to_string(), "expected a number (at /a/0)");
        let places = ["/a", "/b"].map(|place| ProblemError::at(place, Code::WrongType, format!("{place} is wrong")));
        let two = ClientError::Problem(Box::new(Problem::of(places.into())));
        assert_eq!(
            two.to_string(),
            "/a is wrong (and 1 more)\n  /a: /a is wrong\n  /b: /b is wrong"
        );
    }
}
