//! Revisions as entity tags: `ETag`, `If-Match`, `If-None-Match`.

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use forebay_api::{Code, Problem};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::error::ApiError;

/// The `If-Match` header: the revision that the caller saw. None without the header or with `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IfMatch(pub Option<u64>);

/// The `If-None-Match` header: the revision that the caller has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IfNoneMatch(pub Option<u64>);

impl IfMatch {
    /// 412 unless the caller saw the current revision, or named none.
    pub fn check(self, current: u64) -> Result<(), ApiError> {
        match self.0 {
            Some(seen) if seen != current => {
                let detail = format!("revision {seen} is not the current one, {current}; read it again and repeat");
                Err(ApiError::from(Problem::new(Code::StaleRevision, detail)).header(header::ETAG, etag(current)))
            }
            _ => Ok(()),
        }
    }
}

/// `"41"`, the strong entity tag of a revision.
pub fn etag(revision: u64) -> HeaderValue {
    // Digits and quotes are always a valid header value.
    HeaderValue::from_str(&format!("\"{revision}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// A response with the `ETag` of its revision; 304 without a body if the caller has that revision already.
#[derive(Debug)]
pub struct WithEtag<R> {
    /// The revision of the object.
    pub revision: u64,
    /// What the caller has, from the request's [`IfNoneMatch`].
    pub seen: IfNoneMatch,
    /// The response to give otherwise.
    pub response: R,
}

impl<R: IntoResponse> IntoResponse for WithEtag<R> {
    fn into_response(self) -> Response {
        let mut response = if self.seen.0 == Some(self.revision) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            self.response.into_response()
        };
        response.headers_mut().insert(header::ETAG, etag(self.revision));
        response
    }
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        revision(&parts.headers, header::IF_MATCH).map(IfMatch)
    }
}

impl<S: Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        revision(&parts.headers, header::IF_NONE_MATCH).map(IfNoneMatch)
    }
}

/// One revision in quotes, `W/` before it or not; the bare number is taken too.
fn revision(headers: &HeaderMap, name: header::HeaderName) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get(&name) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let bare = text.strip_prefix("W/").unwrap_or(text);
    let bare = bare
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(bare);
    bare.parse().map(Some).map_err(|_| {
        let detail = format!("{text:?} is not one revision in quotes, as the ETag header gives it: \"41\"");
        Problem::parameter(Code::NotParseable, name.as_str(), detail).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &'static str) -> Result<Option<u64>, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_MATCH, HeaderValue::from_static(value));
        revision(&headers, header::IF_MATCH)
    }

    #[test]
    fn reads_what_etag_writes() {
        assert_eq!(etag(41), "\"41\"");
        for text in ["\"41\"", "W/\"41\"", "41"] {
            assert_eq!(read(text).expect("a revision"), Some(41));
        }
        assert_eq!(read("*").expect("any"), None);
        for text in ["\"41\", \"42\"", "\"a\"", "", "\"-1\"", "\"41"] {
            assert_eq!(read(text).expect_err("a problem").problem().status, 400, "{text}");
        }
    }

    #[test]
    fn a_stale_revision_is_412() {
        assert!(IfMatch(Some(2)).check(2).is_ok());
        assert!(IfMatch(None).check(2).is_ok());
        assert_eq!(IfMatch(Some(1)).check(2).expect_err("stale").problem().status, 412);
    }
}
