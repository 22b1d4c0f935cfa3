use std::{collections::BTreeMap, sync::Arc, time::Instant};

use axum::{
    extract::State as Extract,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use datafusion::physical_plan::SendableRecordBatchStream;
use forebay_api::{
    Code,
    historical_features::{HistoricalFeaturesRequest, HistoricalFeaturesResponse, HistoricalMetadata},
    online_features::Int64Form,
};
use forebay_model::{Freshness, Timestamp};
use forebay_query::{AskedGroup, GroupHistory, HistoricalQuery, KnownTo, QueryError, Spine};
use forebay_rows::json::Int64As;
use forebay_server::{ApiError, ApiResult, RawBody, accept};
use forebay_telemetry::{child_span, failed as failed_span};
use futures::{StreamExt, TryStreamExt};
use http::{HeaderMap, HeaderValue, header};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, Span};

use crate::{
    answer::{self, Shape},
    encode::{EncodeError, Encoder, Format, Style},
    measures::Query,
    plan::Plan,
    query_error,
    request::{self, Include, Request, refuse},
    spine::{self, Resolved},
    state::{AppState, State},
};

/// Chunks of an answer that wait for a slow reader.
const CHUNKS_AHEAD: usize = 4;

/// Features as they were.
///
/// For each row of a spine, or each moment of a period, or all keys at one time: the values that were valid then, joined point in time. The answer has the
/// spine's columns, then the features as asked, then the view's expressions, and the spine's rows in its order. JSON, an Arrow IPC stream, Parquet or CSV by
/// `Accept`; all but JSON are streamed and have no limit on their size.
#[utoipa::path(
    post,
    path = "/v1/historical-features",
    operation_id = "getHistoricalFeatures",
    tag = "offline-query",
    request_body = HistoricalFeaturesRequest,
    responses(
        (status = 200, description = "The values, column by column", content(
            (HistoricalFeaturesResponse = "application/json"),
            (Vec<u8> = "application/vnd.apache.arrow.stream"),
            (Vec<u8> = "application/vnd.apache.parquet"),
            (String = "text/csv"),
        )),
        (status = 406, description = "`not_acceptable`: none of the offered media types is accepted"),
    )
)]
pub async fn historical_features(
    Extract(state): Extract<AppState>,
    headers: HeaderMap,
    body: RawBody,
) -> ApiResult<Response> {
    let media_type = accept::preferred(&headers, &Format::MEDIA_TYPES)?;
    let work = state.deps.work.clone();
    // On the runtime for work, and no longer than somebody waits for it.
    let span = child_span!("historical query", otel.kind = "internal", forebay.format = media_type);
    let query = state.measures.begin();
    let prepared = {
        let (state, body) = (Arc::clone(&state), body);
        let preparing = async move { prepare(&state, &body, Format::of(media_type)).await };
        work.spawn(preparing.instrument(span.clone()))
    };
    let prepared = match AbortOnDropHandle::new(prepared).await.map_err(ApiError::internal)? {
        Ok(prepared) => prepared,
        Err(error) => {
            query.failed();
            return Err(error);
        }
    };
    let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static(content_type(media_type)))];
    let body = match prepared {
        Prepared::Whole { body, rows } => {
            query.wrote(rows);
            query.done();
            axum::body::Body::from(body)
        }
        Prepared::Streamed(answer) => {
            let (chunks, reader) = mpsc::channel(CHUNKS_AHEAD);
            work.spawn(async move { answer.send(chunks, query).await }.instrument(span));
            let stream = futures::stream::unfold(reader, |mut reader| async move {
                reader.recv().await.map(|chunk| (chunk, reader))
            });
            axum::body::Body::from_stream(stream)
        }
    };
    Ok((content_type, body).into_response())
}

/// The types that are text say how it is encoded.
fn content_type(media_type: &str) -> &'static str {
    match Format::of(media_type) {
        Format::Json => "application/json",
        Format::Arrow => "application/vnd.apache.arrow.stream",
        Format::Parquet => "application/vnd.apache.parquet",
        Format::Csv => "text/csv; charset=utf-8; header=present",
    }
}

/// An answer of which all that can be refused has been.
enum Prepared {
    Whole { body: Bytes, rows: usize },
    Streamed(Box<Answer>),
}

struct Answer {
    shape: Shape,
    encoder: Encoder,
    rows: SendableRecordBatchStream,
    /// Taken from `rows` to see that there is an answer.
    first: Option<datafusion::arrow::array::RecordBatch>,
}

async fn prepare(state: &State, body: &RawBody, format: Format) -> ApiResult<Prepared> {
    let request = request::parse(body)?;
    let snapshot = state.deps.catalog.current();
    let plan = Arc::new(Plan::of(&snapshot, &request, state.deps.limits.features)?);
    let include = Include::of(request.include.as_deref());
    let resolved = spine::resolve(state, &plan, &request).await?;
    let not_settled = settle(state, &plan, &resolved.known_at).await?;
    let (query, table_versions, told) = query(state, &plan, &request, include, &resolved).await?;
    let pointer = resolved.pointer;
    let failed = |error: QueryError| query_error::problem(error, pointer);
    let mut rows = state.deps.engine.run_historical(&query).await.map_err(failed)?;
    let shape = Shape::new(Arc::clone(&plan), include, &rows.schema(), &told, pointer)?;
    let metadata = HistoricalMetadata {
        registry_revision: plan.registry_revision,
        view_revision: plan.view_revision,
        rows: 0,
        not_point_in_time: Vec::new(),
        not_settled,
        table_versions,
    };
    let style = Style {
        format,
        int64: match request.int64.unwrap_or_default() {
            Int64Form::Number => Int64As::Number,
            Int64Form::String => Int64As::String,
        },
        json_values: state.deps.limits.json_values,
    };
    let mut encoder = Encoder::new(style, shape.schema(), metadata).map_err(ApiError::internal)?;
    let failed = |error| query_error::problem(QueryError::Engine(error), pointer);
    if format != Format::Json {
        let first = rows.try_next().await.map_err(failed)?;
        return Ok(Prepared::Streamed(Box::new(Answer {
            shape,
            encoder,
            rows,
            first,
        })));
    }
    let mut answered = 0;
    while let Some(batch) = rows.try_next().await.map_err(failed)? {
        answered += batch.num_rows();
        let batch = shape
            .batch(&batch)
            .map_err(|error| refuse(Code::InvalidValue, pointer, error.to_string()))?;
        encoder.write(&batch).map_err(encode_error)?;
    }
    Ok(Prepared::Whole {
        body: encoder.finish().map_err(encode_error)?,
        rows: answered,
    })
}

fn encode_error(error: EncodeError) -> ApiError {
    match error {
        EncodeError::TooLarge(_) => ApiError::new(Code::OverLimit, error.to_string()),
        error => ApiError::internal(error),
    }
}

/// Waits a little until the groups have settled to `known_at`; those that have not, with their settled times.
async fn settle(state: &State, plan: &Plan, known_at: &KnownTo) -> ApiResult<BTreeMap<String, Timestamp>> {
    let KnownTo::At(known_at) = known_at else {
        return Ok(BTreeMap::new());
    };
    let mut not_settled = BTreeMap::new();
    #[allow(clippy::disallowed_methods)] // a deadline, not a time of the data
    let deadline = Instant::now() + state.deps.limits.settle();
    for group in &plan.groups {
        let settled = state
            .deps
            .settled
            .wait(&group.group.schema, *known_at, deadline)
            .await
            .map_err(|error| ApiError::unavailable("the settled time of a group is not known", error))?;
        if settled < *known_at {
            not_settled.insert(group.group.name.to_string(), settled);
        }
    }
    Ok(not_settled)
}

type Planned = (HistoricalQuery, BTreeMap<String, u64>, Vec<forebay_query::asof::Told>);

async fn query(
    state: &State,
    plan: &Plan,
    request: &Request<'_>,
    include: Include,
    resolved: &Resolved,
) -> ApiResult<Planned> {
    let told = answer::told(plan, include, matches!(resolved.spine, Spine::At { .. }));
    let mut versions = BTreeMap::new();
    let mut groups = Vec::with_capacity(plan.groups.len());
    for (index, asked) in plan.groups.iter().enumerate() {
        let schema = &asked.group.schema;
        let name = asked.group.name.to_string();
        // A group that is read twice is read at one version.
        let version = versions.get(&name).copied();
        let table = state.deps.engine.tables().group(schema, version).await;
        let table = table.map_err(|error| query_error::problem(QueryError::Table(error), resolved.pointer))?;
        versions.insert(name, table.version);
        groups.push(AskedGroup {
            history: GroupHistory {
                schema: Arc::clone(schema),
                table,
            },
            keys: asked.keys.iter().map(ToString::to_string).collect(),
            features: answer::features_of(plan, index),
            max_age: Freshness::new(asked.group.ttl, request.max_age).limit(),
            told: told[index].clone(),
        });
    }
    let query = HistoricalQuery {
        spine: resolved.spine.clone(),
        groups,
        known_at: resolved.known_at.clone(),
    };
    Ok((query, versions, told))
}

impl Answer {
    /// Sends the answer until it ends, fails, or nobody reads any more. An error breaks the connection off: what was sent is not whole.
    async fn send(self, chunks: mpsc::Sender<Result<Bytes, std::io::Error>>, query: Query) {
        let Self {
            shape,
            mut encoder,
            rows,
            first,
        } = self;
        let mut rows = futures::stream::iter(first.map(Ok)).chain(rows);
        let failed = loop {
            let batch = match rows.try_next().await {
                Ok(Some(batch)) => batch,
                Ok(None) => break None,
                Err(error) => break Some(error.to_string()),
            };
            query.wrote(batch.num_rows());
            let encoded = shape.batch(&batch).map_err(EncodeError::from);
            match encoded.and_then(|batch| encoder.write(&batch)) {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => {
                    if chunks.send(Ok(bytes)).await.is_err() {
                        return;
                    }
                }
                Err(error) => break Some(error.to_string()),
            }
        };
        let last = match failed {
            Some(error) => Err(error),
            None => encoder.finish().map_err(|error| error.to_string()),
        };
        match &last {
            Ok(_) => query.done(),
            Err(error) => {
                query.failed();
                failed_span(&Span::current(), "broke off");
                tracing::error!(error, "a historical answer broke off");
            }
        }
        // Nobody reads any more: nothing is left to do.
        let _ = chunks.send(last.map_err(std::io::Error::other)).await;
    }
}
