use std::sync::Arc;

use axum::extract::State;
use forebay_api::{Code, Problem, spines::SpineUpload};
use forebay_server::{ApiResult, Body, Json};

use crate::{state::AppState, uploads::Format};

/// Uploads a spine, to be named in historical queries until it expires.
///
/// Parquet, an Arrow IPC stream, or CSV with a header line, by `Content-Type`. The columns of a CSV that a query knows (keys, times, request features) are read
/// with their types, the others as what they look like.
#[utoipa::path(
    post,
    path = "/v1/spines",
    operation_id = "uploadSpine",
    tag = "offline-query",
    request_body(content(
        (Vec<u8> = "application/vnd.apache.parquet"),
        (Vec<u8> = "application/vnd.apache.arrow.stream"),
        (String = "text/csv"),
    )),
    responses((status = 200, description = "The spine is kept", body = SpineUpload))
)]
pub async fn upload_spine(State(state): State<AppState>, body: Body) -> ApiResult<Json<SpineUpload>> {
    let Some(format) = Format::of(body.media_type.as_deref()) else {
        let detail = "send application/vnd.apache.parquet, application/vnd.apache.arrow.stream or text/csv";
        return Err(Problem::parameter(Code::UnsupportedMediaType, "Content-Type", detail).into());
    };
    let upload = Arc::clone(&state);
    Ok(Json(upload.uploads.keep(format, body.into_stream()).await?))
}
