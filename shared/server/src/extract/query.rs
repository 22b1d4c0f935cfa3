//! Query parameters.

use axum::extract::FromRequestParts;
use forebay_api::{Code, Problem};
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::percent::decode_query;
use super::query_de::QueryDeserializer;
use crate::error::ApiError;

/// The query parameters as a struct, whose fields are the only parameters that are taken.
///
/// A field is a scalar, an enum of unit variants, an `Option` of one, or a `Vec` (repeated, or separated by commas).
/// `#[serde(flatten)]` does not work here. Rejections: 422 that names the parameter (`unknown_parameter`,
/// `missing_parameter`, `invalid_parameter`), 400 for what is not UTF-8.
#[derive(Clone, Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parse(parts.uri.query().unwrap_or_default()).map(Query)
    }
}

fn parse<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    let pairs = decode_query(query)
        .map_err(|part| Problem::parameter(Code::InvalidUtf8, part, "this query parameter is not UTF-8"))?;
    T::deserialize(QueryDeserializer::new(pairs)).map_err(|fault| fault.into_problem().into())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Search {
        q: String,
        #[serde(default)]
        tag: Vec<String>,
        page_size: Option<u32>,
        #[serde(default)]
        prune: bool,
        kind: Option<Kind>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        FeatureGroup,
    }

    #[derive(Debug, Deserialize)]
    struct Nothing {}

    fn fault(query: &str) -> (u16, String, String) {
        let problem = parse::<Search>(query).expect_err("a problem").into_problem();
        let parameter = problem.errors[0].parameter.clone().unwrap_or_default();
        (problem.status, problem.code.to_string(), parameter)
    }

    #[test]
    fn reads_scalars_lists_and_enums() {
        let search: Search = parse("q=a%20b&tag=x&tag=y,z&page_size=10&prune=true&kind=feature_group").expect("parses");
        let expected = Search {
            q: "a b".to_owned(),
            tag: vec!["x".to_owned(), "y".to_owned(), "z".to_owned()],
            page_size: Some(10),
            prune: true,
            kind: Some(Kind::FeatureGroup),
        };
        assert_eq!(search, expected);
        let empty: Search = parse("q=").expect("parses");
        assert_eq!((empty.q.as_str(), empty.tag.len(), empty.page_size), ("", 0, None));
    }

    #[test]
    fn faults_name_the_parameter() {
        assert_eq!(
            fault("q=a&pagesize=1"),
            (422, "unknown_parameter".to_owned(), "pagesize".to_owned())
        );
        assert_eq!(
            fault("page_size=1"),
            (422, "missing_parameter".to_owned(), "q".to_owned())
        );
        for wrong in ["page_size=x", "page_size=-1", "page_size=1&page_size=2", "page_size="] {
            assert_eq!(
                fault(&format!("q=a&{wrong}")),
                (422, "invalid_parameter".to_owned(), "page_size".to_owned())
            );
        }
        assert_eq!(fault("q=a&prune=yes").2, "prune");
        assert_eq!(fault("q=a&kind=nothing").2, "kind");
        assert_eq!(fault("q=%ff"), (400, "invalid_utf8".to_owned(), "q=%ff".to_owned()));
        assert!(parse::<Nothing>("").is_ok());
        assert!(parse::<Nothing>("a=1").is_err());
    }
}
