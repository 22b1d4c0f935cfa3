//! JSON bodies, in and out.

use axum::extract::{FromRequest, OptionalFromRequest, Request};
use axum::response::{IntoResponse, Response};
use forebay_api::{Code, Problem};
use http::{HeaderMap, HeaderValue, header};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use super::body::{collect, media_type, refuse_encodings};
use super::json_fault::explain;
use super::json_scan::{Fault, MAX_DEPTH, scan};
use super::objects_only::ObjectsOnly;
use crate::error::ApiError;

/// A JSON body, as an extractor and as a response.
///
/// Rejections: 400 for what is not JSON, not UTF-8, nested too deeply, followed by more, or has a key twice; 415 for
/// another content type; 422 with the JSON pointer for an unknown or missing field, a wrong type or value. `T` says
/// `#[serde(deny_unknown_fields)]`. `Option<Json<T>>` takes an empty body as `None`.
#[derive(Clone, Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        check_headers(request.headers())?;
        let body = collect(request.into_body()).await?;
        if body.is_empty() {
            return Err(ApiError::new(
                Code::NotParseable,
                "the body is empty; send a JSON object",
            ));
        }
        parse(&body).map(Json)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> OptionalFromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Option<Self>, ApiError> {
        let headers_fit = check_headers(request.headers());
        let body = collect(request.into_body()).await?;
        if body.is_empty() {
            return Ok(None);
        }
        headers_fit?;
        parse(&body).map(|value| Some(Json(value)))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => (
                [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))],
                body,
            )
                .into_response(),
            Err(error) => ApiError::internal(error).into_response(),
        }
    }
}

/// Parses a whole JSON body with the checks and the errors of [`Json`]; `T` may borrow from it.
pub fn parse<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, ApiError> {
    let text = std::str::from_utf8(body).map_err(|error| {
        ApiError::new(
            Code::InvalidUtf8,
            format!("the body is not UTF-8 at byte {}", error.valid_up_to()),
        )
    })?;
    scan(text).map_err(|fault| match fault {
        Fault::DuplicateKey(pointer) => Problem::at(Code::DuplicateKey, pointer, "this key stands twice in its object"),
        Fault::TooDeep(pointer) => Problem::at(
            Code::TooDeep,
            pointer,
            format!("at most {MAX_DEPTH} levels of nesting are taken"),
        ),
    })?;
    if text.trim_start().starts_with('[') {
        return Err(not_an_object(text).into());
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let parsed = T::deserialize(ObjectsOnly(&mut deserializer)).and_then(|value| deserializer.end().map(|()| value));
    parsed.map_err(|error| explain::<T>(text, &error).into())
}

fn not_an_object(text: &str) -> Problem {
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => Problem::at(Code::WrongType, "", "the body is a JSON list; send an object"),
        Err(error) => Problem::new(Code::NotParseable, format!("the body is not JSON: {error}")),
    }
}

fn check_headers(headers: &HeaderMap) -> Result<(), ApiError> {
    refuse_encodings(headers)?;
    match media_type(headers) {
        // Without the header a body is taken for JSON: nothing else is sent here.
        None => Ok(()),
        Some(kind) if kind == "application/json" || kind.ends_with("+json") => Ok(()),
        Some(kind) => Err(Problem::parameter(
            Code::UnsupportedMediaType,
            "Content-Type",
            format!("the content type {kind:?} is not supported; send application/json"),
        )
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Body {
        features: Option<Vec<String>>,
        #[serde(default)]
        entities: BTreeMap<String, Vec<i64>>,
        mode: Option<Mode>,
        limit: Option<u8>,
        nested: Option<Nested>,
        #[serde(default)]
        all: Vec<Nested>,
        #[serde(default)]
        by_name: BTreeMap<String, Nested>,
        shape: Option<Shape>,
        raw: Option<Box<serde_json::value::RawValue>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    #[allow(dead_code)]
    enum Shape {
        Named { name: String },
        Pair(i64, i64),
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Mode {
        Fast,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Nested {
        name: String,
    }

    fn fault(body: impl AsRef<[u8]>) -> (u16, String, String) {
        let problem = parse::<Body>(body.as_ref()).expect_err("a problem").into_problem();
        let pointer = problem.errors.first().and_then(|error| error.pointer.clone());
        (problem.status, problem.code.to_string(), pointer.unwrap_or_default())
    }

    fn expect(body: &str, status: u16, code: &str, pointer: &str) {
        assert_eq!(fault(body), (status, code.to_owned(), pointer.to_owned()), "{body}");
    }

    #[test]
    fn good_bodies_parse() {
        let body: Body =
            parse(br#" {"features": ["a"], "entities": {"k": [1]}, "mode": "fast", "limit": 3} "#).expect("parses");
        assert_eq!(body.features.as_deref(), Some(&["a".to_owned()][..]));
        let body: Body = parse(
            br#"{"nested": {"name": "n"}, "all": [{"name": "m"}], "shape": {"pair": [1, 2]}, "raw": [1, {"a": []}], "mode": null}"#,
        )
        .expect("parses");
        assert!(matches!(body.shape, Some(Shape::Pair(1, 2))));
        assert_eq!(body.all[0].name, "m");
        assert_eq!(body.raw.expect("there").get(), r#"[1, {"a": []}]"#);
    }

    #[test]
    fn what_is_not_json_is_400() {
        expect("{", 400, "not_parseable", "");
        expect("{} {}", 400, "not_parseable", "");
        expect("{} x", 400, "not_parseable", "");
        expect(r#"{"limit": 01}"#, 400, "not_parseable", "");
        expect(r#"{"limit": NaN}"#, 400, "not_parseable", "");
        // The wrong type comes first in the text, but the body as a whole is not JSON.
        expect(r#"{"limit": "x", "features": [}"#, 400, "not_parseable", "");
        assert_eq!(fault(b"{\"features\": [\"\xff\"]}").1, "invalid_utf8");
        expect(&"[".repeat(5000), 400, "too_deep", &"/0".repeat(64));
        expect(r#"{"limit": 1, "limit": 1}"#, 400, "duplicate_key", "/limit");
        expect(
            r#"{"entities": {"k": [1], "k": [2]}}"#,
            400,
            "duplicate_key",
            "/entities/k",
        );
    }

    #[test]
    fn what_does_not_fit_is_422_and_named() {
        expect(r#"{"fearures": []}"#, 422, "unknown_field", "/fearures");
        expect(r#"{"features": [1]}"#, 422, "wrong_type", "/features/0");
        expect(
            r#"{"entities": {"a/b": [1, 2.5]}}"#,
            422,
            "wrong_type",
            "/entities/a~1b/1",
        );
        expect(
            r#"{"entities": {"k": [99999999999999999999]}}"#,
            422,
            "wrong_type",
            "/entities/k/0",
        );
        expect(r#"{"limit": 256}"#, 422, "invalid_value", "/limit");
        expect(r#"{"mode": "slow"}"#, 422, "invalid_value", "/mode");
        expect(r#"{"nested": {}}"#, 422, "missing_field", "/nested/name");
        expect(
            r#"{"nested": {"name": "n", "nam": 1}}"#,
            422,
            "unknown_field",
            "/nested/nam",
        );
        // A list is not an object whose fields stand in their order.
        expect(r#"{"nested": ["n"]}"#, 422, "wrong_type", "/nested");
        expect(r#"{"nested": []}"#, 422, "wrong_type", "/nested");
        expect(r#"{"all": [{"name": "n"}, ["n"]]}"#, 422, "wrong_type", "/all/1");
        expect(r#"{"by_name": {"a": ["n"]}}"#, 422, "wrong_type", "/by_name/a");
        expect(r#"{"shape": {"named": ["n"]}}"#, 422, "wrong_type", "/shape/named");
        expect("[]", 422, "wrong_type", "");
        expect(r#"[["a"], {"k": [1]}]"#, 422, "wrong_type", "");
        expect("[1,", 400, "not_parseable", "");
        expect("null", 422, "wrong_type", "");
    }
}
