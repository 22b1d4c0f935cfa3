//! Path parameters.

use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, MatchedPath};
use forebay_api::{Code, Problem};
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::error::ApiError;

/// The path parameters. One that cannot be a name of the kind names nothing: 404.
#[derive(Clone, Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Path(value)),
            Err(PathRejection::FailedToDeserializePathParams(error)) => Err(match error.into_kind() {
                ErrorKind::InvalidUtf8InPathParam { key } => {
                    Problem::parameter(Code::InvalidUtf8, key, "this path parameter is not UTF-8").into()
                }
                ErrorKind::ParseErrorAtKey { key, value, .. } => not_found(&key, &value).into(),
                ErrorKind::DeserializeError { key, value, .. } => not_found(&key, &value).into(),
                ErrorKind::ParseError { value, .. } => not_found(only_name(parts), &value).into(),
                other => ApiError::new(Code::NotFound, format!("nothing has this path: {other}")),
            }),
            Err(other) => Err(ApiError::internal(other)),
        }
    }
}

/// The name of the path's one parameter, which axum leaves out of its error.
fn only_name(parts: &Parts) -> &str {
    let path = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    path.split(['{', '}']).nth(1).unwrap_or_default()
}

fn not_found(key: &str, value: &str) -> Problem {
    Problem::parameter(Code::NotFound, key, format!("nothing is named {value:?}"))
}
