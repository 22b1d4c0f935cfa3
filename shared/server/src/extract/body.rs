//! Request bodies that are not JSON: whole in memory, or as a stream.

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use forebay_api::{Code, Problem};
use futures::Stream;
use futures::TryStreamExt;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError};

use crate::error::ApiError;

/// The whole body and the media type of its `Content-Type` (lower case, without parameters).
///
/// Larger bodies than the route's limit are rejected (413), as is every content encoding (415).
#[derive(Clone, Debug)]
pub struct RawBody {
    /// `application/json` and the like; none without the header.
    pub media_type: Option<String>,
    /// The body.
    pub bytes: Bytes,
}

/// The body as a stream of chunks under the route's limit.
#[derive(Debug)]
pub struct Body {
    /// `application/json` and the like; none without the header.
    pub media_type: Option<String>,
    body: axum::body::Body,
}

impl Body {
    /// The chunks as they arrive. The error is the answer to give: 413 over the limit, 400 when the caller went away.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, ApiError>> + Send + Unpin + 'static {
        TryStreamExt::map_err(self.body.into_data_stream(), body_error)
    }
}

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        refuse_encodings(request.headers())?;
        let media_type = media_type(request.headers());
        Ok(Body {
            media_type,
            body: request.into_body(),
        })
    }
}

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        refuse_encodings(request.headers())?;
        let media_type = media_type(request.headers());
        let bytes = collect(request.into_body()).await?;
        Ok(RawBody { media_type, bytes })
    }
}

/// Reads the whole body.
pub(super) async fn collect(body: axum::body::Body) -> Result<Bytes, ApiError> {
    match body.collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) => Err(body_error(error)),
    }
}

/// 413 for a body over the limit, 400 for one that ended early.
fn body_error(error: axum::Error) -> ApiError {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(error) = source {
        if error.is::<LengthLimitError>() {
            return ApiError::new(
                Code::BodyTooLarge,
                "the body is larger than this endpoint takes; send it in parts",
            );
        }
        source = error.source();
    }
    ApiError::new(Code::NotParseable, "the body ended early")
}

/// The media type of `Content-Type`, lower case and without parameters.
pub(super) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let media_type = value.split(';').next().unwrap_or_default().trim();
    Some(media_type.to_ascii_lowercase())
}

pub(super) fn refuse_encodings(headers: &HeaderMap) -> Result<(), ApiError> {
    match headers.get(header::CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => Err(Problem::parameter(
            Code::UnsupportedMediaType,
            "Content-Encoding",
            format!("the content encoding {encoding:?} is not supported; send the body as it is"),
        )
        .into()),
        _ => Ok(()),
    }
}
