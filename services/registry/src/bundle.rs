//! A request's body as definitions.

use forebay_api::{Code, Problem, ProblemError, apply::Bundle as JsonBundle};
use forebay_model::definitions::{self, Parsed};
use forebay_server::{ApiError, RawBody, json};
use serde_json::Value;

/// Objects in one bundle.
pub const MAX_OBJECTS: usize = 10_000;

/// A bundle that could be read.
#[derive(Debug)]
pub struct Bundle {
    pub objects: Vec<Parsed>,
    pub places: Places,
}

/// How a place within a document is written as a pointer into the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Places {
    /// `/objects/3/features/0`
    Json,
    /// `/3/features/0`: the documents of a YAML stream as a list.
    Yaml,
}

impl Bundle {
    /// # Errors
    /// 400 for what is no YAML or JSON, 415 for another content type, 422 with every problem of every document.
    pub fn read(body: &RawBody) -> Result<Self, ApiError> {
        let (documents, places) = match body.media_type.as_deref() {
            Some("application/json") => (json_documents(&body.bytes)?, Places::Json),
            Some("application/yaml" | "application/x-yaml" | "text/yaml" | "text/x-yaml") => {
                (yaml_documents(&body.bytes)?, Places::Yaml)
            }
            other => {
                let detail = format!(
                    "{} is not taken here: send application/yaml or application/json",
                    other.unwrap_or("a body without Content-Type")
                );
                return Err(Problem::parameter(Code::UnsupportedMediaType, "Content-Type", detail).into());
            }
        };
        if documents.len() > MAX_OBJECTS {
            let detail = format!("{} objects; at most {MAX_OBJECTS} are taken at once", documents.len());
            return Err(Problem::at(Code::OverLimit, "", detail).into());
        }
        let objects = definitions::parse(&documents).map_err(|problems| places.refuse(problems))?;
        if objects.is_empty() {
            return Err(Problem::at(Code::InvalidValue, "", "the bundle holds no object").into());
        }
        Ok(Self { objects, places })
    }
}

fn json_documents(body: &[u8]) -> Result<Vec<Value>, ApiError> {
    let bundle: JsonBundle = json::parse(body)?;
    Ok(bundle.objects.into_iter().map(Value::Object).collect())
}

fn yaml_documents(body: &[u8]) -> Result<Vec<Value>, ApiError> {
    let text = std::str::from_utf8(body).map_err(|error| {
        let detail = format!("the body is not UTF-8 at byte {}", error.valid_up_to());
        ApiError::new(Code::InvalidUtf8, detail)
    })?;
    serde_saphyr::from_multiple_with_options(text, yaml_options()).map_err(|error| {
        let detail: String = error.to_string().chars().take(1_000).collect();
        ApiError::new(Code::NotParseable, format!("the body is not YAML: {detail}"))
    })
}

/// YAML 1.2, so that a feature may be called `y` and a tag's value be `no`, with room for as many objects as a bundle may hold.
fn yaml_options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        strict_booleans: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 100_000 },
        budget: serde_saphyr::budget! {
            max_documents: MAX_OBJECTS + 1,
            max_nodes: 4_000_000,
            max_events: 10_000_000,
            // Anchors are copied as they are read: few definitions have any.
            max_recorded_anchor_events: 100_000,
            max_recorded_anchor_bytes: 4 << 20,
        },
    }
}

impl Places {
    /// 422 with every problem, each at its place and with its object.
    pub fn refuse(self, problems: Vec<definitions::Problem>) -> ApiError {
        Problem::of(problems.into_iter().map(|problem| self.error(problem)).collect()).into()
    }

    fn error(self, problem: definitions::Problem) -> ProblemError {
        let pointer = problem.document.map(|document| match self {
            Self::Json => format!("/objects/{document}{}", problem.pointer),
            Self::Yaml => format!("/{document}{}", problem.pointer),
        });
        // People count documents from 1.
        let place = match (problem.document, &problem.object) {
            (Some(document), Some(object)) => format!("document {} ({object}): ", document + 1),
            (Some(document), None) => format!("document {}: ", document + 1),
            (None, Some(object)) => format!("{object} (registered earlier): "),
            (None, None) => String::new(),
        };
        ProblemError {
            pointer,
            parameter: None,
            code: problem.code.into(),
            detail: format!("{place}{}", problem.detail),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(media_type: &str, text: &[u8]) -> Result<Bundle, Box<Problem>> {
        let body = RawBody {
            media_type: Some(media_type.to_owned()),
            bytes: text.to_vec().into(),
        };
        Bundle::read(&body).map_err(|error| Box::new(error.into_problem()))
    }

    #[test]
    fn yaml_and_json_say_the_same() {
        let yaml = read(
            "application/yaml",
            b"kind: Domain\nname: a\n---\nkind: Domain\nname: b\n---\n",
        );
        let json = br#"{"objects": [{"kind": "Domain", "name": "a"}, {"kind": "Domain", "name": "b"}]}"#;
        let json = read("application/json", json);
        assert_eq!(yaml.expect("a bundle").objects, json.expect("a bundle").objects);
    }

    #[test]
    fn words_are_words() {
        let text = b"kind: Domain\nname: y\ndescription: on\ntags: {pii: no}\n";
        let bundle = read("application/yaml", text).expect("a bundle");
        assert_eq!(bundle.objects[0].definition.name(), "y");
    }

    #[test]
    fn problems_name_their_document_and_place() {
        let text = b"kind: Domain\nname: a\n---\nkind: Domain\nname: b\ncolour: red\n";
        let problem = read("application/yaml", text).expect_err("an unknown field");
        assert_eq!((problem.status, &*problem.code), (422, "unknown_field"));
        assert_eq!(problem.errors[0].pointer.as_deref(), Some("/1/colour"));
        assert_eq!(problem.detail, "document 2 (Domain b): `colour` is not a field here");
        let json = br#"{"objects": [{"kind": "Domain", "name": "A"}]}"#;
        let problem = read("application/json", json).expect_err("a bad name");
        assert_eq!(problem.errors[0].pointer.as_deref(), Some("/objects/0/name"));
    }

    #[test]
    fn what_cannot_be_read_is_a_4xx() {
        for (media_type, text, status) in [
            ("application/yaml", &b"a: [1"[..], 400),
            ("application/yaml", b"\xff", 400),
            ("application/yaml", b"kind: Domain\nkind: Domain\nname: a\n", 400),
            ("application/json", b"{", 400),
            ("application/json", b"[]", 422),
            ("application/json", b"{\"objects\": []}", 422),
            ("application/yaml", b"", 422),
            ("application/yaml", b"- 1\n", 422),
            ("text/plain", b"", 415),
        ] {
            let problem = read(media_type, text).expect_err("a problem");
            assert_eq!(problem.status, status, "{media_type} {text:?}: {problem:?}");
        }
        let laughs = (1..30).fold("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, n| {
            let of = format!("*a{}", n - 1);
            text + &format!("a{n}: &a{n} [{}]\n", [of.as_str(); 9].join(", "))
        });
        assert_eq!(
            read("application/yaml", laughs.as_bytes())
                .expect_err("too much")
                .status,
            400
        );
        let deep = format!("a: {}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(
            read("application/yaml", deep.as_bytes()).expect_err("too deep").status,
            400
        );
    }
}
