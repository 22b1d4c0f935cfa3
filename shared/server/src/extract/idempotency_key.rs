//! The `Idempotency-Key` header.

use axum::extract::FromRequestParts;
use forebay_api::{Code, Problem};
use http::request::Parts;

use crate::error::ApiError;

const HEADER: &str = "idempotency-key";

/// Longest key that is taken, in characters.
const MAX_LENGTH: usize = 255;

/// The caller's key for this request, if it sent one: 1 to 255 visible ASCII characters. Otherwise 400.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(pub Option<String>);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let mut values = parts.headers.get_all(HEADER).iter();
        let Some(value) = values.next() else {
            return Ok(IdempotencyKey(None));
        };
        let text = value.as_bytes();
        let visible = text.iter().all(|byte| byte.is_ascii_graphic());
        if values.next().is_some() || !visible || text.is_empty() || text.len() > MAX_LENGTH {
            let detail = format!("send one key of 1 to {MAX_LENGTH} visible ASCII characters, a UUID for example");
            return Err(Problem::parameter(Code::NotParseable, "Idempotency-Key", detail).into());
        }
        Ok(IdempotencyKey(Some(String::from_utf8_lossy(text).into_owned())))
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    async fn read(values: &[&str]) -> Result<Option<String>, ApiError> {
        let mut request = Request::builder();
        for value in values {
            request = request.header(HEADER, *value);
        }
        let (mut parts, ()) = request.body(()).expect("a request").into_parts();
        IdempotencyKey::from_request_parts(&mut parts, &())
            .await
            .map(|key| key.0)
    }

    #[tokio::test]
    async fn one_visible_word_or_400() {
        assert_eq!(read(&[]).await.expect("none"), None);
        assert_eq!(read(&["k-1"]).await.expect("one").as_deref(), Some("k-1"));
        let long = "k".repeat(256);
        for wrong in [&[""][..], &["a b"], &["a", "b"], &[&long], &["ä"]] {
            assert_eq!(
                read(wrong).await.expect_err("a problem").problem().status,
                400,
                "{wrong:?}"
            );
        }
    }
}
