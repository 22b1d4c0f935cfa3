use std::{borrow::Cow, sync::Arc};

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use forebay_api::{
    Code,
    get_online_features::{FeastRequest, FeastResponse},
};
use forebay_catalog::Snapshot;
use forebay_model::{FeatureRef, GroupName, Name};
use forebay_rows::json::Int64As;
use forebay_server::{ApiError, ApiResult, RawBody, RequestContext};
use http::{HeaderValue, header};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::online_features::of_view;
use crate::{
    answer::Answer,
    json::{self, Style},
    plan::Plan,
    plans::Plans,
    request::{Columns, Include},
    serve::{Asked, check_features, refuse},
    state::{AppState, Deps},
};

/// What Feast's servers write where there is no event timestamp.
const NO_TIME: &str = "\"1970-01-01T00:00:00Z\"";

/// [`FeastRequest`] as it arrives. Fields that Feast's clients add and Forebay has no use for are left alone.
#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    feature_service: Option<Cow<'a, str>>,
    #[serde(borrow)]
    features: Option<&'a RawValue>,
    #[serde(borrow)]
    entities: Columns<'a>,
    #[serde(borrow)]
    request_context: Option<Columns<'a>>,
    #[serde(default)]
    full_feature_names: bool,
}

/// The newest values of features, asked and answered as Feast's feature servers do.
///
/// `feature_service` names a view. Features are named `group:feature`, `group__feature` or in full; a group's dot may be written `__`. Request features may come
/// among the entities, as Feast's clients send them. A group that cannot be read fails the request.
#[utoipa::path(
    post,
    path = "/get-online-features",
    operation_id = "getOnlineFeaturesFeast",
    tag = "online-serving",
    request_body = FeastRequest,
    responses((status = 200, description = "The values, column by column", body = FeastResponse))
)]
pub async fn get_online_features(
    State(deps): State<AppState>,
    context: RequestContext,
    body: RawBody,
) -> ApiResult<Response> {
    let request: Request<'_> = serde_json::from_slice(&body.bytes).or_else(|error| {
        forebay_server::json::parse::<FeastRequest>(&body.bytes)?;
        Err(ApiError::new(Code::NotParseable, error.to_string()))
    })?;
    let snapshot = deps.catalog.current();
    let plan = plan(&deps, &snapshot, &request)?;
    let (entities, context_columns) = split(&plan, request.entities, request.request_context.unwrap_or_default());
    let asked = Asked {
        plan,
        max_age: None,
        strict: true,
        deadline: context.deadline.into_std(),
    };
    let sent = asked.columns(&deps, &entities, &context_columns)?;
    let read = asked.read(&deps, &sent).await;
    let groups = asked.groups(&deps, &read)?;
    let answer = Answer::new(&asked.plan, &sent, groups).map_err(ApiError::internal)?;
    let names = names(&asked.plan, request.full_feature_names);
    let metadata = serde_json::to_vec(&serde_json::json!({ "feature_names": names })).map_err(ApiError::internal)?;
    let style = Style {
        include: Include::ALL,
        int64: Int64As::Number,
        no_time: NO_TIME,
    };
    let json = json::write(&answer, &metadata, style).map_err(ApiError::internal)?;
    Ok((
        [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))],
        json,
    )
        .into_response())
}

fn plan(deps: &Deps, snapshot: &Snapshot, request: &Request<'_>) -> ApiResult<Arc<Plan>> {
    let plans = snapshot.extensions().get_or_insert_with(FeastPlans::default);
    match (&request.feature_service, request.features) {
        // Feast's clients send an empty list beside a service.
        (Some(view), features)
            if features.is_none_or(|features| names_in(features).is_ok_and(|names| names.is_empty())) =>
        {
            plans
                .0
                .get_or_compile(view.as_bytes(), || of_view(deps, snapshot, view, None))
        }
        (None, Some(features)) => plans
            .0
            .get_or_compile(features.get().as_bytes(), || of_features(deps, snapshot, features)),
        (Some(_), _) => {
            let detail = "give either `features` or `feature_service`, not both";
            Err(refuse(Code::InvalidCombination, "/feature_service", detail))
        }
        (None, None) => Err(refuse(
            Code::MissingField,
            "/features",
            "give `features` or `feature_service`",
        )),
    }
}

/// Apart from the other endpoint's plans, since the same text may name features otherwise there.
#[derive(Default)]
struct FeastPlans(Plans);

fn names_in(features: &RawValue) -> Result<Vec<String>, ApiError> {
    serde_json::from_str(features.get()).map_err(|_| {
        refuse(
            Code::WrongType,
            "/features",
            "expected a list of names such as \"product.value:sale_price\"",
        )
    })
}

fn of_features(deps: &Deps, snapshot: &Snapshot, features: &RawValue) -> ApiResult<Plan> {
    let names = names_in(features)?;
    if names.is_empty() {
        return Err(refuse(
            Code::InvalidValue,
            "/features",
            "the list is empty; name at least one feature",
        ));
    }
    check_features(deps, names.len())?;
    let features = names.iter().enumerate().map(|(index, name)| {
        let feature = resolve(snapshot, name).ok_or_else(|| {
            let detail = format!("`{name}` is not known; expected group:feature such as product.value:sale_price");
            refuse(Code::UnknownFeature, format!("/features/{index}"), detail)
        })?;
        Ok((feature.to_string(), feature))
    });
    Plan::of_features(snapshot, features.collect::<Result<_, ApiError>>()?)
}

/// The feature that one of Feast's references means: `product.value:sale_price`, `product__value__sale_price` and every mixture of the two.
fn resolve(snapshot: &Snapshot, reference: &str) -> Option<FeatureRef> {
    if let Ok(feature) = reference.parse::<FeatureRef>() {
        return Some(feature);
    }
    let (group, feature) = reference.rsplit_once(':').or_else(|| reference.rsplit_once("__"))?;
    // No name holds two underscores in a row, so there is one way to read them.
    let group: GroupName = group.replacen("__", ".", 1).parse().ok()?;
    let feature = group.feature(Name::new(feature).ok()?);
    snapshot.feature(&feature).is_ok().then_some(feature)
}

/// Feast's clients send request features among the entities: what the view calls a request feature is one.
fn split<'a>(plan: &Plan, entities: Columns<'a>, mut context: Columns<'a>) -> (Columns<'a>, Columns<'a>) {
    let is_request = |name: &str| plan.request.iter().any(|request| request.name.as_str() == name);
    let (request, entities): (Vec<_>, Vec<_>) = entities.0.into_iter().partition(|(name, _)| is_request(name));
    context.0.extend(request);
    (Columns(entities), context)
}

/// The answer's names: features by their last part, or as `group__feature`.
fn names(plan: &Plan, full: bool) -> Vec<String> {
    let features = plan.features.iter().map(|feature| match (full, plan.view_revision) {
        (true, None) => format!("{}__{}", feature.feature.group(), feature.feature.feature()),
        (false, None) => feature.feature.feature().to_string(),
        // A view has given its features the names that its model knows.
        (_, Some(_)) => feature.name.rsplit('.').next().unwrap_or(&feature.name).to_owned(),
    });
    let keys = plan.keys.iter().map(|key| key.name.to_string());
    let request = plan.request.iter().map(|request| request.name.to_string());
    let expressions = plan.expressions.iter().map(|expression| expression.name.to_string());
    keys.chain(features).chain(request).chain(expressions).collect()
}
