use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use forebay_api::{
    Code, Problem,
    online_features::{Int64Form, OnlineFeaturesRequest, OnlineFeaturesResponse},
};
use forebay_catalog::{LookupError, Snapshot};
use forebay_model::{FeatureRef, Name};
use forebay_rows::json::Int64As;
use forebay_server::{ApiError, ApiResult, RawBody, RequestContext, accept};
use http::{HeaderMap, HeaderValue, header};

use crate::{
    answer::Answer,
    arrow_ipc,
    json::{self, Style},
    plan::Plan,
    plans::Plans,
    request::{Include, Request},
    serve::{Asked, check_features, refuse},
    state::{AppState, Deps},
};

const JSON: &str = "application/json";
const ARROW: &str = "application/vnd.apache.arrow.stream";
const MESSAGE_PACK: &str = "application/vnd.msgpack";

/// The newest values of features for some entities.
///
/// Features by name, or a view with its request features and expressions. Groups with different entities can be asked together. A group that cannot be read
/// in time has status ERROR, unless the request is strict or nothing else is asked for. The answer is JSON, an Arrow IPC stream with a row for each entity, or
/// MessagePack of the same shape as the JSON, by `Accept`.
#[utoipa::path(
    post,
    path = "/v1/online-features",
    operation_id = "getOnlineFeatures",
    tag = "online-serving",
    request_body = OnlineFeaturesRequest,
    responses(
        (status = 200, description = "The values, column by column", content(
            (OnlineFeaturesResponse = "application/json"),
            (OnlineFeaturesResponse = "application/vnd.msgpack"),
            (Vec<u8> = "application/vnd.apache.arrow.stream"),
        )),
        (status = 406, description = "`not_acceptable`: none of the offered media types is accepted"),
    )
)]
pub async fn online_features(
    State(deps): State<AppState>,
    context: RequestContext,
    headers: HeaderMap,
    body: RawBody,
) -> ApiResult<Response> {
    let format = match headers.get(header::ACCEPT) {
        None => JSON,
        Some(_) => accept::preferred(&headers, &[JSON, ARROW, MESSAGE_PACK])?,
    };
    check_media_type(&body)?;
    let snapshot = deps.catalog.current();
    let plans = snapshot.extensions().get_or_insert_with(Plans::default);
    let opened = plans.openings.find(&body.bytes);
    let opened = opened.as_ref().and_then(|(plan, rest)| Some((plan, read_rest(rest)?)));
    let (request, plan) = match opened {
        Some((plan, request)) => (request, Arc::clone(plan)),
        None => {
            let request = parse(&body)?;
            let plan = plan(&deps, &snapshot, &plans, &body, &request)?;
            (request, plan)
        }
    };
    let asked = Asked {
        plan,
        max_age: request.max_age,
        strict: request.strict,
        deadline: context.deadline.into_std(),
    };
    let sent = asked.columns(&deps, &request.entities, &request.request)?;
    let read = asked.read(&deps, &sent).await;
    let groups = asked.groups(&deps, &read)?;
    let answer = Answer::new(&asked.plan, &sent, groups).map_err(ApiError::internal)?;
    let include = Include::of(request.include.as_deref());
    let mut response = if format == ARROW {
        arrow_ipc::write(&answer, include)
            .map_err(ApiError::internal)?
            .into_response()
    } else {
        let style = Style {
            include,
            int64: match request.int64 {
                Int64Form::Number => Int64As::Number,
                Int64Form::String => Int64As::String,
            },
            no_time: "null",
        };
        let json = json::write(&answer, &asked.plan.metadata, style).map_err(ApiError::internal)?;
        if format == MESSAGE_PACK {
            message_pack(&json.into_vec())?.into_response()
        } else {
            json.into_response()
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format));
    Ok(response)
}

fn check_media_type(body: &RawBody) -> ApiResult<()> {
    match body.media_type.as_deref() {
        Some(other) if other != JSON && !other.ends_with("+json") => {
            let detail = format!("the content type {other:?} is not supported; send application/json");
            Err(Problem::parameter(Code::UnsupportedMediaType, "Content-Type", detail).into())
        }
        _ => Ok(()),
    }
}

/// A request whose list of features is known already; `None` leaves it to [`parse`], which tells what is wrong.
fn read_rest(rest: &[u8]) -> Option<Request<'_>> {
    let request: Request<'_> = serde_json::from_slice(rest).ok()?;
    let is_plain = request.features.is_none() && request.view.is_none() && request.revision.is_none();
    is_plain.then_some(request)
}

fn parse(body: &RawBody) -> ApiResult<Request<'_>> {
    // The request's own types refuse keys that stand twice, and read no nested object: what parses needs no second look. What does not is parsed again as the
    // documented type, to tell what is wrong and where.
    serde_json::from_slice(&body.bytes).or_else(|error| {
        forebay_server::json::parse::<OnlineFeaturesRequest>(&body.bytes)?;
        Err(ApiError::new(Code::NotParseable, error.to_string()))
    })
}

fn plan(
    deps: &Deps,
    snapshot: &Snapshot,
    plans: &Plans,
    body: &RawBody,
    request: &Request<'_>,
) -> ApiResult<Arc<Plan>> {
    match (request.features, &request.view) {
        (Some(features), None) if request.revision.is_none() => {
            let text = features.get();
            if let Some(plan) = plans.get(text.as_bytes()) {
                plans.openings.note(&body.bytes, features, &plan);
                return Ok(plan);
            }
            plans.get_or_compile(text.as_bytes(), || of_features(deps, snapshot, text))
        }
        (None, Some(view)) => {
            let key = format!("{view}@{}", request.revision.unwrap_or_default());
            plans.get_or_compile(key.as_bytes(), || of_view(deps, snapshot, view, request.revision))
        }
        (Some(_), None) => Err(refuse(
            Code::InvalidCombination,
            "/revision",
            "a revision goes with `view`, not with `features`",
        )),
        (Some(_), Some(_)) => Err(refuse(
            Code::InvalidCombination,
            "/view",
            "give either `features` or `view`, not both",
        )),
        (None, None) => Err(refuse(Code::MissingField, "/features", "give `features` or `view`")),
    }
}

fn of_features(deps: &Deps, snapshot: &Snapshot, text: &str) -> ApiResult<Plan> {
    let names: Vec<String> = serde_json::from_str(text).map_err(|_| {
        refuse(
            Code::WrongType,
            "/features",
            "expected a list of full names such as \"product.value.sale_price\"",
        )
    })?;
    if names.is_empty() {
        return Err(refuse(
            Code::InvalidValue,
            "/features",
            "the list is empty; name at least one feature",
        ));
    }
    check_features(deps, names.len())?;
    let features = names
        .into_iter()
        .enumerate()
        .map(|(index, name)| match name.parse::<FeatureRef>() {
            Ok(feature) => Ok((name, feature)),
            Err(error) => Err(refuse(
                Code::UnknownFeature,
                format!("/features/{index}"),
                error.to_string(),
            )),
        });
    Plan::of_features(snapshot, features.collect::<Result<_, _>>()?)
}

/// The plan of a view's revision, the newest if none is given.
pub(super) fn of_view(deps: &Deps, snapshot: &Snapshot, view: &str, revision: Option<u64>) -> ApiResult<Plan> {
    let name: Name = view
        .parse()
        .map_err(|error: forebay_model::NameError| refuse(Code::UnknownView, "/view", error.to_string()))?;
    let view = snapshot.view(&name, revision).map_err(|error| {
        let pointer = if matches!(error, LookupError::UnknownRevision { .. }) {
            "/revision"
        } else {
            "/view"
        };
        refuse(Code::UnknownView, pointer, error.to_string())
    })?;
    check_features(deps, view.definition().features.len())?;
    Plan::of_view(snapshot, view)
}

fn message_pack(json: &[u8]) -> ApiResult<Vec<u8>> {
    let value: serde_json::Value = serde_json::from_slice(json).map_err(ApiError::internal)?;
    rmp_serde::to_vec_named(&value).map_err(ApiError::internal)
}
