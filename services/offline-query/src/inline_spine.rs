//! A spine within the request: JSON columns become Arrow columns.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, RecordBatch},
    datatypes::{Field, Schema},
};
use forebay_api::{Code, Problem, ProblemError};
use forebay_model::DataType;
use forebay_rows::json::read_column;
use forebay_server::{ApiError, ApiResult};
use serde_json::Value;

use crate::request::{Columns, refuse};

/// Reads the columns. `known` are those whose type is known; the others are bool, int64, float64 or string, whatever holds all their values.
///
/// # Errors
/// 422 at every value that does not fit, at columns of different lengths, and over `most_rows`.
pub fn read(columns: &Columns<'_>, known: &[(String, DataType)], most_rows: usize) -> ApiResult<RecordBatch> {
    if columns.0.is_empty() {
        let detail = "the spine has no columns; give the keys and `event_time`";
        return Err(refuse(Code::MissingKey, "/spine/columns", detail));
    }
    let mut fields = Vec::with_capacity(columns.0.len());
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(columns.0.len());
    let mut errors = Vec::new();
    for (name, text) in &columns.0 {
        let pointer = format!("/spine/columns/{}", escape(name));
        let data_type = match known.iter().find(|(known, _)| known == name) {
            Some((_, data_type)) => data_type.clone(),
            None => match guess(text.get()) {
                Ok(data_type) => data_type,
                Err(detail) => {
                    errors.push(ProblemError::at(pointer, Code::WrongType, detail));
                    continue;
                }
            },
        };
        match read_column(text.get(), &data_type) {
            Ok(array) => {
                fields.push(Field::new(name.as_ref(), array.data_type().clone(), true));
                arrays.push(array);
            }
            Err(faults) => errors.extend(faults.into_iter().map(|fault| {
                let place = match fault.index {
                    Some(index) => format!("{pointer}/{index}"),
                    None => pointer.clone(),
                };
                let code = Code::parse(fault.code.as_str()).unwrap_or(Code::WrongType);
                ProblemError::at(place, code, fault.detail)
            })),
        }
    }
    if !errors.is_empty() {
        return Err(Problem::of(errors).into());
    }
    let rows = arrays.first().map_or(0, |array| array.len());
    if let Some(other) = arrays.iter().position(|array| array.len() != rows) {
        let detail = format!(
            "the columns of a spine have one length: `{}` has {rows} values, `{}` has {}",
            fields[0].name(),
            fields[other].name(),
            arrays[other].len()
        );
        return Err(refuse(Code::InvalidValue, "/spine/columns", detail));
    }
    if rows > most_rows {
        let detail = format!("{rows} rows; at most {most_rows} within a request: upload the spine to /v1/spines");
        return Err(refuse(Code::OverLimit, "/spine/columns", detail));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(ApiError::internal)
}

/// The narrowest type that holds all values of a JSON array.
fn guess(text: &str) -> Result<DataType, String> {
    let values: Vec<Value> =
        serde_json::from_str(text).map_err(|_| "expected a list with a value for each row".to_owned())?;
    let present = || values.iter().filter(|value| !value.is_null());
    if present().all(Value::is_boolean) && present().next().is_some() {
        Ok(DataType::Bool)
    } else if present().all(Value::is_i64) && present().next().is_some() {
        Ok(DataType::Int64)
    } else if present().all(Value::is_number) && present().next().is_some() {
        Ok(DataType::Float64)
    } else if present().all(Value::is_string) {
        Ok(DataType::String)
    } else {
        Err("its values are of several types, or lists or objects; use booleans, numbers or strings".to_owned())
    }
}

/// A name as a part of a JSON pointer.
pub fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
