//! From the engine's batches to those of the answer: statuses, expressions, the columns that were asked for.

use std::{collections::HashSet, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, Int8Array, RecordBatch, StringArray},
    datatypes::{Field, Int8Type, Schema, SchemaRef},
    error::ArrowError,
};
use forebay_api::Code;
use forebay_model::Status;
use forebay_query::asof::{Found, Told};
use forebay_server::ApiResult;
use forebay_sql::{ViewInput, arrow_type, convert};

use crate::{
    plan::{Plan, PlanFeature},
    request::{Include, refuse},
};

/// How many columns the spine has, and where the engine puts the others.
#[derive(Debug)]
pub struct Shape {
    plan: Arc<Plan>,
    include: Include,
    spine_columns: usize,
    /// Per feature, its column.
    features: Vec<usize>,
    /// Per group, the columns of what was found and of the event time.
    found: Vec<Option<usize>>,
    event_times: Vec<Option<usize>>,
    /// Per request feature, its column.
    request: Vec<usize>,
    schema: SchemaRef,
}

/// What the engine is to tell of each group.
pub fn told(plan: &Plan, include: Include, always_found: bool) -> Vec<Told> {
    (0..plan.groups.len())
        .map(|group| Told {
            event_time: include.event_timestamps.then(|| format!("__event_time_{group}")),
            found: (include.statuses || always_found).then(|| format!("__found_{group}")),
        })
        .collect()
}

/// The features asked of a group, in the order of the plan: (feature, a name of its own).
pub fn features_of(plan: &Plan, group: usize) -> Vec<(String, String)> {
    of_group(plan, group)
        .map(|(index, feature)| (feature.feature.to_string(), format!("__feature_{index}")))
        .collect()
}

fn of_group(plan: &Plan, group: usize) -> impl Iterator<Item = (usize, &PlanFeature)> {
    plan.features
        .iter()
        .enumerate()
        .filter(move |(_, feature)| feature.group == group)
}

impl Shape {
    /// `engine` is the schema of the engine's batches, which begins with the spine's columns; `told` is what [`told`] gave.
    ///
    /// # Errors
    /// 422 when a column of the spine is named like one of the answer's.
    pub fn new(plan: Arc<Plan>, include: Include, engine: &Schema, told: &[Told], pointer: &str) -> ApiResult<Self> {
        let added: usize = told
            .iter()
            .map(|told| usize::from(told.event_time.is_some()) + usize::from(told.found.is_some()))
            .sum();
        let spine_columns = engine.fields().len() - plan.features.len() - added;
        let mut features = vec![0; plan.features.len()];
        let (mut found, mut event_times) = (Vec::new(), Vec::new());
        let mut next = spine_columns;
        let mut take = || {
            next += 1;
            next - 1
        };
        for (group, told) in told.iter().enumerate() {
            for (index, _) in of_group(&plan, group) {
                features[index] = take();
            }
            event_times.push(told.event_time.is_some().then(&mut take));
            found.push(told.found.is_some().then(&mut take));
        }
        let spine = &engine.fields()[..spine_columns];
        let request = plan
            .request
            .iter()
            .map(|(name, _)| {
                let place = spine.iter().position(|field| field.name() == name.as_str());
                place.ok_or_else(|| refuse(Code::MissingField, pointer, format!("the spine has no column `{name}`")))
            })
            .collect::<ApiResult<_>>()?;
        let mut fields: Vec<_> = spine.to_vec();
        let field = |name: &str, data_type| Arc::new(Field::new(name, data_type, true));
        for feature in &plan.features {
            if include.values {
                fields.push(field(&feature.name, arrow_type(&feature.data_type)));
            }
            if include.statuses {
                fields.push(field(&status_name(&feature.name), arrow::datatypes::DataType::Utf8));
            }
            if include.event_timestamps {
                let name = format!("{}__event_timestamp", feature.name);
                fields.push(field(&name, forebay_rows::arrow_types::timestamp_type()));
            }
        }
        for expression in &plan.expressions {
            if include.values {
                fields.push(field(expression.name.as_str(), arrow_type(&expression.data_type)));
            }
            if include.statuses {
                fields.push(field(
                    &status_name(expression.name.as_str()),
                    arrow::datatypes::DataType::Utf8,
                ));
            }
        }
        let mut names = HashSet::new();
        if let Some(twice) = fields.iter().find(|field| !names.insert(field.name().clone())) {
            let detail = format!(
                "the column `{}` would stand twice in the answer; rename the spine's",
                twice.name()
            );
            return Err(refuse(Code::Duplicate, pointer, detail));
        }
        Ok(Self {
            plan,
            include,
            spine_columns,
            features,
            found,
            event_times,
            request,
            schema: Arc::new(Schema::new(fields)),
        })
    }

    /// The columns of the answer.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// One batch of the answer.
    ///
    /// # Errors
    /// When a request feature holds a value that its type cannot hold.
    pub fn batch(&self, engine: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let rows = engine.num_rows();
        let mut columns: Vec<ArrayRef> = engine.columns()[..self.spine_columns].to_vec();
        for (feature, &column) in self.plan.features.iter().zip(&self.features) {
            let values = engine.column(column);
            if self.include.values {
                columns.push(Arc::clone(values));
            }
            if let Some(found) = self.found[feature.group].filter(|_| self.include.statuses) {
                columns.push(statuses(values, engine.column(found).as_primitive::<Int8Type>()));
            }
            if let Some(event_time) = self.event_times[feature.group] {
                columns.push(Arc::clone(engine.column(event_time)));
            }
        }
        let request = self
            .request
            .iter()
            .zip(&self.plan.request)
            .map(|(&column, (_, data_type))| convert(engine.column(column), data_type))
            .collect::<Result<Vec<_>, _>>()?;
        for expression in &self.plan.expressions {
            let inputs: Vec<ArrayRef> = expression
                .inputs
                .iter()
                .map(|input| match input {
                    ViewInput::Feature(index) => Arc::clone(engine.column(self.features[*index])),
                    ViewInput::Request(index) => Arc::clone(&request[*index]),
                })
                .collect();
            let values = expression.compiled.evaluate(&inputs, rows)?;
            if self.include.statuses {
                let status = values_present(&values);
                if self.include.values {
                    columns.push(values);
                }
                columns.push(status);
            } else {
                columns.push(values);
            }
        }
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }
}

fn status_name(name: &str) -> String {
    format!("{name}__status")
}

fn statuses(values: &ArrayRef, found: &Int8Array) -> ArrayRef {
    let nulls = values.logical_nulls();
    let status = found.values().iter().enumerate().map(|(row, &found)| {
        let status = match found {
            found if found == Found::Nothing as i8 => Status::NotFound,
            found if found == Found::TooOld as i8 => Status::OutsideMaxAge,
            _ if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) => Status::NullValue,
            _ => Status::Present,
        };
        Some(status.as_str())
    });
    Arc::new(status.collect::<StringArray>())
}

fn values_present(values: &ArrayRef) -> ArrayRef {
    let status = (0..values.len()).map(|row| {
        let status = if values.is_null(row) {
            Status::NullValue
        } else {
            Status::Present
        };
        Some(status.as_str())
    });
    Arc::new(status.collect::<StringArray>())
}
