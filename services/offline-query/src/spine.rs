//! Which keys and times a request asks for.

use std::sync::Arc;

use arrow::{
    array::Array,
    datatypes::{DataType as ArrowType, SchemaRef},
};
use datafusion::{common::ScalarValue, datasource::MemTable};
use forebay_api::Code;
use forebay_model::{DataType, KeyType, Name};
use forebay_query::{KeyFilter, KnownTo, Spine};
use forebay_rows::{
    arrow_types::{EVENT_TIME, forebay_type},
    json::read_column,
};
use forebay_server::{ApiError, ApiResult};
use forebay_sql::conversion;

use crate::{
    inline_spine::{self, escape},
    plan::Plan,
    query_error,
    request::{Columns, Request, SpineRequest, refuse},
    state::State,
};

/// A spine that is ready to be joined.
pub struct Resolved {
    pub spine: Spine,
    pub known_at: KnownTo,
    /// Where the spine stands in the request, for errors.
    pub pointer: &'static str,
}

/// Finds the spine of a request.
///
/// # Errors
/// 422 at what is missing, does not go together, has the wrong type or lies outside the configured roots.
pub async fn resolve(state: &State, plan: &Plan, request: &Request<'_>) -> ApiResult<Resolved> {
    let known_at = match (request.known_at, &request.known_at_column) {
        (Some(_), Some(_)) => {
            let detail = "give either `known_at` or `known_at_column`, not both";
            return Err(refuse(Code::InvalidCombination, "/known_at_column", detail));
        }
        (Some(time), None) => KnownTo::At(time),
        (None, Some(column)) => KnownTo::Column(column.clone()),
        (None, None) => KnownTo::Always,
    };
    match (&request.spine, &request.period, request.at) {
        (Some(spine), None, None) => {
            if request.entities.is_some() {
                let detail = "`entities` goes with `period` or `at`; a spine names its own keys";
                return Err(refuse(Code::InvalidCombination, "/entities", detail));
            }
            let spine = of_table(state, plan, spine, &known_at).await?;
            Ok(Resolved {
                spine,
                known_at,
                pointer: "/spine",
            })
        }
        (None, period, at) if period.is_some() != at.is_some() => {
            if let KnownTo::Column(_) = known_at {
                let detail = "`known_at_column` is a column of a spine; use `known_at`";
                return Err(refuse(Code::InvalidCombination, "/known_at_column", detail));
            }
            if let Some((name, _)) = plan.request.first() {
                let detail = format!("the view's request feature `{name}` comes from a spine; give one");
                return Err(refuse(Code::InvalidCombination, "/view", detail));
            }
            let keys = same_keys(plan)?;
            let keys = match &request.entities {
                Some(entities) => Some(key_filter(entities, &keys, state.deps.limits.entities)?),
                None => None,
            };
            let (spine, pointer) = match (period, at) {
                (Some(period), _) => {
                    let (start, end) = (period.start, period.end);
                    (Spine::Period { start, end, keys }, "/period")
                }
                (None, Some(at)) => (Spine::At { at, keys }, "/at"),
                (None, None) => return Err(one_of()),
            };
            Ok(Resolved {
                spine,
                known_at,
                pointer,
            })
        }
        _ => Err(one_of()),
    }
}

fn one_of() -> ApiError {
    refuse(
        Code::InvalidCombination,
        "",
        "give exactly one of `spine`, `period` and `at`",
    )
}

/// The spine's columns that have a meaning, with their types; the others only pass through.
fn known_columns(plan: &Plan, time: &str, known_at: &KnownTo) -> Vec<(String, DataType)> {
    let keys = plan
        .keys()
        .map(|(name, key_type)| (name.to_string(), DataType::from(key_type)));
    let mut known: Vec<_> = keys.collect();
    known.push((time.to_owned(), DataType::Timestamp));
    if let KnownTo::Column(column) = known_at {
        known.push((column.clone(), DataType::Timestamp));
    }
    let request = plan.request.iter();
    known.extend(request.map(|(name, data_type)| (name.to_string(), data_type.clone())));
    known
}

async fn of_table(state: &State, plan: &Plan, spine: &SpineRequest<'_>, known_at: &KnownTo) -> ApiResult<Spine> {
    let time = spine.event_time.as_deref().unwrap_or(EVENT_TIME);
    let known = known_columns(plan, time, known_at);
    let (table, pointer) = match (&spine.columns, &spine.uri, &spine.id) {
        (Some(columns), None, None) => {
            let batch = inline_spine::read(columns, &known, state.deps.limits.inline_rows)?;
            let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).map_err(ApiError::internal)?;
            (
                Arc::new(table) as Arc<dyn datafusion::datasource::TableProvider>,
                "/spine/columns",
            )
        }
        (None, Some(uri), None) => {
            let table = state.deps.engine.spine_table(uri, &known).await;
            (
                table.map_err(|error| query_error::problem(error, "/spine/uri"))?,
                "/spine/uri",
            )
        }
        (None, None, Some(id)) => (state.uploads.open(&state.deps.engine, id, &known).await?, "/spine/id"),
        _ => {
            let detail = "give exactly one of `columns`, `uri` and `id`";
            return Err(refuse(Code::InvalidCombination, "/spine", detail));
        }
    };
    check(&table.schema(), plan, time, known_at, pointer)?;
    Ok(Spine::Table {
        table,
        time: time.to_owned(),
    })
}

/// Refuses a spine that lacks a column, or has it with a type that would lose values.
fn check(schema: &SchemaRef, plan: &Plan, time: &str, known_at: &KnownTo, pointer: &str) -> ApiResult<()> {
    let column = |name: &str| schema.field_with_name(name).ok().map(|field| field.data_type());
    let missing = |code, name: &str| {
        let columns: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let detail = format!(
            "the spine has no column `{name}`; its columns are {}",
            columns.join(", ")
        );
        refuse(code, pointer, detail)
    };
    for (name, key_type) in plan.keys() {
        let found = column(name.as_str()).ok_or_else(|| missing(Code::MissingKey, name.as_str()))?;
        if !can_be_key(found, key_type) {
            let detail = format!("the key `{name}` is {key_type}, the spine's column is {found}");
            return Err(refuse(Code::WrongType, pointer, detail));
        }
    }
    let mut times = vec![(time, Code::MissingEventTime)];
    if let KnownTo::Column(column) = known_at {
        times.push((column, Code::UnknownColumn));
    }
    for (name, code) in times {
        let found = column(name).ok_or_else(|| missing(code, name))?;
        if !matches!(found, ArrowType::Timestamp(..) | ArrowType::Date32 | ArrowType::Date64) {
            let detail = format!("`{name}` is the time asked for, the spine's column is {found}");
            return Err(refuse(Code::WrongType, pointer, detail));
        }
    }
    for (name, data_type) in &plan.request {
        let found = column(name.as_str()).ok_or_else(|| missing(Code::MissingField, name.as_str()))?;
        if conversion(found, data_type).is_none() {
            let detail = format!("the request feature `{name}` is {data_type}, the spine's column is {found}");
            return Err(refuse(Code::WrongType, pointer, detail));
        }
    }
    Ok(())
}

/// Integers of any width serve integer keys: a value that no key can have finds nothing.
fn can_be_key(found: &ArrowType, key_type: KeyType) -> bool {
    let integer = |data_type: &DataType| matches!(data_type, DataType::Int32 | DataType::Int64);
    let wanted = DataType::from(key_type);
    match forebay_type(found) {
        _ if matches!(found, ArrowType::Timestamp(..)) => wanted == DataType::Timestamp,
        Some(given) => given == wanted || integer(&given) && integer(&wanted),
        None => false,
    }
}

/// The keys that all groups of a period or moment have.
fn same_keys(plan: &Plan) -> ApiResult<Vec<(Name, KeyType)>> {
    let keys_of = |index: usize| -> Vec<(Name, KeyType)> {
        let keys = plan.groups[index].group.keys();
        keys.iter().map(|key| (key.name.clone(), key.key_type)).collect()
    };
    let first = keys_of(0);
    for (index, group) in plan.groups.iter().enumerate() {
        let keys = keys_of(index);
        let same = keys.len() == first.len() && keys.iter().all(|key| first.contains(key));
        // A view that calls a key otherwise for one of its groups means another entity.
        let mapped = group
            .keys
            .iter()
            .zip(group.group.keys())
            .any(|(name, key)| *name != key.name);
        if !same || mapped {
            let detail = format!(
                "{} and {} have different keys: a period or moment needs groups of the same keys; give a spine",
                plan.groups[0].group.name, group.group.name
            );
            return Err(refuse(Code::MixedKeys, "/features", detail));
        }
    }
    Ok(first)
}

/// The keys that `entities` names, column by column; length 1 is repeated.
fn key_filter(entities: &Columns<'_>, keys: &[(Name, KeyType)], most: usize) -> ApiResult<KeyFilter> {
    let mut columns = Vec::with_capacity(keys.len());
    for (name, key_type) in keys {
        let Some((_, text)) = entities.0.iter().find(|(column, _)| column == name.as_str()) else {
            return Err(refuse(
                Code::MissingKey,
                "/entities",
                format!("the key `{name}` is missing"),
            ));
        };
        let pointer = format!("/entities/{}", escape(name.as_str()));
        let array = read_column(text.get(), &DataType::from(*key_type)).map_err(|faults| {
            let fault = faults.into_iter().next();
            let place = match fault.as_ref().and_then(|fault| fault.index) {
                Some(index) => format!("{pointer}/{index}"),
                None => pointer.clone(),
            };
            refuse(
                Code::WrongType,
                place,
                fault.map_or_else(|| "a wrong value".to_owned(), |fault| fault.detail),
            )
        })?;
        columns.push(array);
    }
    if let Some((other, _)) = entities
        .0
        .iter()
        .find(|(column, _)| !keys.iter().any(|(name, _)| name.as_str() == column))
    {
        let detail = format!("`{other}` is no key of the asked groups");
        return Err(refuse(Code::UnknownKey, format!("/entities/{}", escape(other)), detail));
    }
    let rows = columns.iter().map(|column| column.len()).max().unwrap_or(0);
    if rows > most {
        let detail = format!("{rows} keys; at most {most} in one request");
        return Err(refuse(Code::OverLimit, "/entities", detail));
    }
    if columns.iter().any(|column| column.len() != rows && column.len() != 1) {
        let detail = "the columns have one length, or length 1";
        return Err(refuse(Code::InvalidValue, "/entities", detail));
    }
    let keys_wanted = (0..rows)
        .map(|row| {
            columns
                .iter()
                .map(|column| ScalarValue::try_from_array(column, if column.len() == 1 { 0 } else { row }))
                .collect::<Result<Vec<_>, _>>()
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(ApiError::internal)?;
    Ok(KeyFilter {
        columns: keys.iter().map(|(name, _)| name.to_string()).collect(),
        keys: keys_wanted,
    })
}
