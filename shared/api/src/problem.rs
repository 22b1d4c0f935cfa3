//! The body of every error: RFC 9457 problem details (`application/problem+json`).

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::code::Code;

/// The media type of a [`Problem`].
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Most entries that `errors` holds; the rest is counted in the detail.
pub const MAX_ERRORS: usize = 100;

/// An error, for people (`title`, `detail`) and for programs (`status`, `code`, `errors`).
///
/// Some codes carry more members beside these: `breaks` with `breaking_change`, `rejected` with `rejected_rows`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({
    "type": "https://forebay.dev/errors#unknown_feature",
    "title": "A feature is not known",
    "status": 422,
    "code": "unknown_feature",
    "detail": "product.value.sale_prize is not known; did you mean product.value.sale_price?",
    "errors": [{"pointer": "/features/0", "code": "unknown_feature", "detail": "did you mean product.value.sale_price?"}]
})))]
pub struct Problem {
    /// A URI that names the kind of problem: `https://forebay.dev/errors#` and the code.
    #[serde(rename = "type", default = "about_blank")]
    pub kind: String,
    /// The kind of problem in words.
    #[serde(default)]
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The kind of problem as a stable word; docs/errors.md lists all of them.
    #[serde(default)]
    pub code: Cow<'static, str>,
    /// What went wrong here and what to do about it.
    #[serde(default)]
    pub detail: String,
    /// What is wrong in which place, at most 100 entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ProblemError>,
    /// Seconds after which a repeat may succeed; also the header Retry-After.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// Members that only some codes have.
    #[serde(flatten)]
    #[cfg_attr(feature = "openapi", schema(ignore))]
    pub extensions: Map<String, Value>,
}

/// One wrong place in a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProblemError {
    /// JSON pointer (RFC 6901) into the body; `""` is the whole of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The query parameter, path parameter or header, if the place is not in the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// The kind of fault, a word as in the problem's own `code`.
    pub code: Cow<'static, str>,
    /// What is wrong and what would be right.
    pub detail: String,
}

fn about_blank() -> String {
    "about:blank".to_owned()
}

impl Problem {
    /// A problem with this code's status and title.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Problem {
            kind: format!("https://forebay.dev/errors#{code}"),
            title: code.title().to_owned(),
            status: code.status(),
            code: Cow::Borrowed(code.as_str()),
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            extensions: Map::new(),
        }
    }

    /// One wrong field of the body; the entry's code and detail are the problem's own.
    pub fn at(code: Code, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Problem::new(code, detail.clone()).error(ProblemError::at(pointer, code, detail))
    }

    /// One wrong query parameter, path parameter or header.
    pub fn parameter(code: Code, name: impl Into<String>, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Problem::new(code, detail.clone()).error(ProblemError {
            pointer: None,
            parameter: Some(name.into()),
            code: Cow::Borrowed(code.as_str()),
            detail,
        })
    }

    /// Several wrong places. One of them, or several of one code, give the problem its code; otherwise it is `invalid`.
    ///
    /// All codes must have status 422. Entries beyond [`MAX_ERRORS`] are counted in the detail only.
    pub fn of(mut errors: Vec<ProblemError>) -> Self {
        let code = match errors.split_first() {
            Some((first, rest)) if rest.iter().all(|e| e.code == first.code) => {
                Code::parse(&first.code).unwrap_or(Code::Invalid)
            }
            _ => Code::Invalid,
        };
        let detail = match errors.as_slice() {
            [] => code.title().to_owned(),
            [only] => only.detail.clone(),
            [first, rest @ ..] => format!("{} (and {} more)", first.detail, rest.len()),
        };
        errors.truncate(MAX_ERRORS);
        Problem {
            errors,
            ..Problem::new(code, detail)
        }
    }

    /// The same problem with one more entry in `errors`, up to [`MAX_ERRORS`].
    pub fn error(mut self, error: ProblemError) -> Self {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(error);
        }
        self
    }

    /// The same problem, to be repeated after this many seconds.
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The same problem with a further member, such as `breaks`.
    pub fn with(mut self, member: &str, value: Value) -> Self {
        self.extensions.insert(member.to_owned(), value);
        self
    }

    /// The code, if this version knows it.
    pub fn known_code(&self) -> Option<Code> {
        Code::parse(&self.code)
    }
}

impl ProblemError {
    /// A wrong place in the body; `pointer` is a JSON pointer.
    pub fn at(pointer: impl Into<String>, code: Code, detail: impl Into<String>) -> Self {
        ProblemError {
            pointer: Some(pointer.into()),
            parameter: None,
            code: Cow::Borrowed(code.as_str()),
            detail: detail.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Problem {}

/// Appends one segment to a JSON pointer, escaping `~` and `/`.
pub fn push_pointer(pointer: &mut String, segment: &str) {
    pointer.push('/');
    for character in segment.chars() {
        match character {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serializes_as_rfc_9457() {
        let problem = Problem::at(
            Code::UnknownFeature,
            "/features/0",
            "did you mean product.value.sale_price?",
        );
        let json = serde_json::to_value(&problem).expect("a problem is JSON");
        assert_eq!(
            json,
            serde_json::json!({
                "type": "https://forebay.dev/errors#unknown_feature",
                "title": "A feature is not known",
                "status": 422,
                "code": "unknown_feature",
                "detail": "did you mean product.value.sale_price?",
                "errors": [{
                    "pointer": "/features/0",
                    "code": "unknown_feature",
                    "detail": "did you mean product.value.sale_price?",
                }],
            })
        );
    }

    #[test]
    fn reads_back_members_it_does_not_know() {
        let text = r#"{"status": 409, "code": "breaking_change", "breaks": [{"object": "a.b.c"}]}"#;
        let problem: Problem = serde_json::from_str(text).expect("a problem");
        assert_eq!(problem.known_code(), Some(Code::BreakingChange));
        assert_eq!(problem.extensions["breaks"][0]["object"], "a.b.c");
    }

    #[test]
    fn several_errors_share_a_code_or_are_invalid() {
        let one = |code| ProblemError::at("/a", code, "wrong");
        assert_eq!(
            Problem::of(vec![one(Code::WrongType), one(Code::WrongType)]).code,
            "wrong_type"
        );
        assert_eq!(
            Problem::of(vec![one(Code::WrongType), one(Code::MissingField)]).code,
            "invalid"
        );
        let many = Problem::of(vec![one(Code::WrongType); 150]);
        assert_eq!(many.errors.len(), MAX_ERRORS);
        assert!(many.detail.contains("149 more"));
    }

    #[test]
    fn pointers_escape() {
        let mut pointer = String::new();
        push_pointer(&mut pointer, "a/b~c");
        push_pointer(&mut pointer, "0");
        assert_eq!(pointer, "/a~1b~0c/0");
    }
}
