//! The body of a request, with columns as text and in the order in which they were sent.

use std::{borrow::Cow, fmt};

use forebay_api::{Code, Problem};
use forebay_api::{
    historical_features::{HistoricalFeaturesRequest, HistoricalInclude, Period},
    online_features::Int64Form,
};
use forebay_model::{Duration, Timestamp};
use forebay_server::{ApiError, ApiResult, RawBody};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// [`HistoricalFeaturesRequest`] as it arrives.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request<'a> {
    pub features: Option<Vec<String>>,
    pub view: Option<String>,
    pub revision: Option<u64>,
    #[serde(borrow)]
    pub spine: Option<SpineRequest<'a>>,
    pub period: Option<Period>,
    pub at: Option<Timestamp>,
    #[serde(borrow)]
    pub entities: Option<Columns<'a>>,
    pub known_at: Option<Timestamp>,
    pub known_at_column: Option<String>,
    pub max_age: Option<Duration>,
    pub include: Option<Vec<HistoricalInclude>>,
    pub int64: Option<Int64Form>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpineRequest<'a> {
    #[serde(borrow)]
    pub columns: Option<Columns<'a>>,
    pub uri: Option<String>,
    pub id: Option<String>,
    pub event_time: Option<String>,
}

/// Named columns, each the text of a JSON value, in the order in which they were sent.
#[derive(Debug, Default)]
pub struct Columns<'a>(pub Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Columns<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ColumnsVisitor;

        impl<'de> Visitor<'de> for ColumnsVisitor {
            type Value = Columns<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of columns")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Columns<'de>, A::Error> {
                let mut columns = Vec::new();
                while let Some(Name(name)) = map.next_key::<Name<'de>>()? {
                    columns.push((name, map.next_value()?));
                }
                Ok(Columns(columns))
            }
        }

        deserializer.deserialize_map(ColumnsVisitor)
    }
}

/// A key of an object, borrowed where it holds no escape.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads a request.
///
/// # Errors
/// 415 for another content type, 400 for what is not JSON, 422 with the place for what does not fit.
pub fn parse(body: &RawBody) -> ApiResult<Request<'_>> {
    if let Some(other) = body
        .media_type
        .as_deref()
        .filter(|kind| *kind != "application/json" && !kind.ends_with("+json"))
    {
        let detail = format!("the content type {other:?} is not supported; send application/json");
        return Err(Problem::parameter(Code::UnsupportedMediaType, "Content-Type", detail).into());
    }
    // The documented type finds duplicate keys, deep nesting and wrong types, and tells where.
    forebay_server::json::parse::<HistoricalFeaturesRequest>(&body.bytes)?;
    serde_json::from_slice(&body.bytes).map_err(|error| ApiError::new(Code::NotParseable, error.to_string()))
}

/// 422 at one place of the body.
pub fn refuse(code: Code, pointer: impl Into<String>, detail: impl Into<String>) -> ApiError {
    Problem::at(code, pointer, detail).into()
}

/// What the answer holds of each feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Include {
    pub values: bool,
    pub statuses: bool,
    pub event_timestamps: bool,
}

impl Include {
    pub fn of(parts: Option<&[HistoricalInclude]>) -> Self {
        let has = |part| parts.is_some_and(|parts| parts.contains(&part));
        Self {
            values: parts.is_none() || has(HistoricalInclude::Values),
            statuses: has(HistoricalInclude::Statuses),
            event_timestamps: has(HistoricalInclude::EventTimestamps),
        }
    }
}
