//! A feature: one column of a group.

use chrono::NaiveDate;
use serde::Serialize;

use super::{
    Checks, Metadata,
    limits::TEXT_LENGTH,
    reader::{Fields, Node},
};
use crate::{DataType, Duration, FeatureRef, Name};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Feature {
    pub name: Name,
    #[serde(rename = "type")]
    pub data_type: DataType,
    /// What its numbers count, for people: `BRL/month`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checks: Option<Checks>,
    /// Only in a streaming group, and there on every feature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregate: Option<Aggregate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<Deprecated>,
    #[serde(flatten)]
    pub metadata: Metadata,
}

/// An aggregation over a window of event time that ends at the row's event time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Aggregate {
    pub function: AggregateFunction,
    /// The column that is aggregated; `count` needs none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    pub window: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AggregateFunction {
    Count,
    CountDistinct,
    Sum,
    Min,
    Max,
    Mean,
    First,
    Last,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deprecated {
    /// What its readers should read in its place.
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    pub replacement: Option<FeatureRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remove_after: Option<NaiveDate>,
}

impl Feature {
    pub(super) fn read(node: Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let name = fields.required("name", |node| node.column());
        let data_type: Option<DataType> = fields.required("type", |node| node.parsed("invalid_type"));
        let unit = fields.optional("unit", |node| node.short_text(TEXT_LENGTH));
        let checks = fields.optional("checks", |node| {
            let checks = Checks::read(node.clone())?;
            let unfit = data_type.as_ref().and_then(|t| checks.unfit_for(t));
            if let Some(why) = unfit {
                node.problem("wrong_type", why);
            }
            Some(checks)
        });
        let aggregate = fields.optional("aggregate", Aggregate::read);
        let deprecated = fields.optional("deprecated", Deprecated::read);
        let metadata = Metadata::read(&mut fields);
        fields.finish();
        Some(Self {
            name: name?,
            data_type: data_type?,
            unit,
            checks,
            aggregate,
            deprecated,
            metadata,
        })
    }
}

impl Aggregate {
    fn read(node: Node<'_>) -> Option<Self> {
        let mut fields: Fields<'_> = node.fields()?;
        let function = fields.required("function", |node| {
            node.word(&[
                ("count", AggregateFunction::Count),
                ("count_distinct", AggregateFunction::CountDistinct),
                ("sum", AggregateFunction::Sum),
                ("min", AggregateFunction::Min),
                ("max", AggregateFunction::Max),
                ("mean", AggregateFunction::Mean),
                ("first", AggregateFunction::First),
                ("last", AggregateFunction::Last),
            ])
        });
        let of = fields.optional("of", |node| node.short_text(TEXT_LENGTH));
        let window = fields.required("window", |node| node.parsed("invalid_value"));
        fields.finish();
        let function = function?;
        if function != AggregateFunction::Count && of.is_none() {
            node.problem("missing_field", "`of` is missing: it names the column to aggregate");
        }
        Some(Self {
            function,
            of,
            window: window?,
        })
    }

    /// The type that the aggregation of a column of type `of` gives; none when it cannot aggregate it.
    #[must_use]
    pub fn output_type(&self, of: Option<&DataType>) -> Option<DataType> {
        let numeric = of.is_some_and(DataType::is_numeric);
        match (self.function, of) {
            (AggregateFunction::Count, _) => Some(DataType::Int64),
            (AggregateFunction::CountDistinct, Some(_)) => Some(DataType::Int64),
            (AggregateFunction::Sum, Some(DataType::Int32 | DataType::Int64)) => Some(DataType::Int64),
            (AggregateFunction::Sum | AggregateFunction::Mean, Some(_)) if numeric => Some(DataType::Float64),
            (
                AggregateFunction::Min | AggregateFunction::Max | AggregateFunction::First | AggregateFunction::Last,
                Some(of),
            ) => Some(of.clone()),
            _ => None,
        }
    }
}

impl Deprecated {
    fn read(node: Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let replacement = fields.optional("use", |node| node.parsed("invalid_name"));
        let remove_after = fields.optional("remove_after", |node| {
            let text = node.text()?;
            NaiveDate::parse_from_str(text, "%Y-%m-%d")
                .map_err(|_| node.problem("invalid_value", "expected a date such as 2027-02-01"))
                .ok()
        });
        fields.finish();
        Some(Self {
            replacement,
            remove_after,
        })
    }
}
