//! What was read for a request, before it is written in some format.

use arrow::{
    array::{Array, ArrayRef, new_null_array},
    error::ArrowError,
};
use forebay_model::{DataType, Status};
use forebay_rows::{
    PackedError, RowView,
    arrow_types::{Flavor, arrow_type},
    json::Column,
    to_arrow::slot_column,
};
use forebay_sql::ViewInput;

use crate::{
    columns::Sent,
    plan::Plan,
    read::{Cell, GroupRows},
};

/// Everything that the columns of an answer are made of.
pub struct Answer<'a> {
    pub plan: &'a Plan,
    pub sent: &'a Sent,
    pub groups: Vec<GroupRows<'a>>,
    /// One element for each entity.
    pub expressions: Vec<Computed>,
}

/// The values of an expression.
pub struct Computed {
    pub values: ArrayRef,
    /// Whether an input's group could not be read; the values are null then.
    pub failed: bool,
}

impl<'a> Answer<'a> {
    /// Evaluates the plan's expressions over what was read: missing and withheld inputs are null.
    ///
    /// # Errors
    /// Only where the service contradicts itself: an expression that is given other arrays than it was compiled for.
    pub fn new(plan: &'a Plan, sent: &'a Sent, groups: Vec<GroupRows<'a>>) -> Result<Self, ArrowError> {
        let mut answer = Self {
            plan,
            sent,
            groups,
            expressions: Vec::new(),
        };
        let expressions = plan.expressions.iter().map(|expression| {
            let inputs = expression
                .inputs
                .iter()
                .map(|input| answer.input(*input))
                .collect::<Result<Vec<_>, _>>();
            // A corrupt row is an error of its columns, and of what is computed from them.
            let Ok(inputs) = inputs else {
                return Ok(Computed::failed(&expression.data_type, sent.entities));
            };
            let failed = expression.inputs.iter().any(|input| answer.failed(*input));
            Ok(Computed {
                values: expression.compiled.evaluate(&inputs, sent.entities)?,
                failed,
            })
        });
        answer.expressions = expressions.collect::<Result<_, ArrowError>>()?;
        Ok(answer)
    }

    /// What each entity got of the group that holds a feature.
    pub fn cells(&self, feature: usize) -> &[Cell<'a>] {
        &self.groups[self.plan.features[feature].group].cells
    }

    /// A feature's values; null where there is none to show.
    pub fn feature(&self, index: usize) -> Result<ArrayRef, PackedError> {
        let feature = &self.plan.features[index];
        let rows = self.cells(index).iter().map(|cell| cell.row.as_ref());
        slot_column(&feature.data_type, Flavor::Arrow, feature.slot, rows)
    }

    /// A request feature's values: slot 0 of a row for each entity.
    pub fn request(&self, index: usize) -> Result<Vec<RowView<'_>>, PackedError> {
        let column: &Column = &self.sent.request[index];
        (0..self.sent.entities)
            .map(|entity| column.row(Sent::place(column.len(), entity)))
            .collect()
    }

    /// A request feature's values as an array.
    pub fn request_array(&self, index: usize) -> Result<ArrayRef, PackedError> {
        let rows = self.request(index)?;
        slot_column(
            &self.plan.request[index].data_type,
            Flavor::Arrow,
            0,
            rows.iter().map(Some),
        )
    }

    /// Whether the group of an input could not be read.
    fn failed(&self, input: ViewInput) -> bool {
        match input {
            ViewInput::Feature(index) => self.groups[self.plan.features[index].group].failure.is_some(),
            ViewInput::Request(_) => false,
        }
    }

    fn input(&self, input: ViewInput) -> Result<ArrayRef, PackedError> {
        match input {
            ViewInput::Feature(index) => self.feature(index),
            ViewInput::Request(index) => self.request_array(index),
        }
    }
}

impl Computed {
    fn failed(data_type: &DataType, entities: usize) -> Self {
        Self {
            values: new_null_array(&arrow_type(data_type, Flavor::Arrow), entities),
            failed: true,
        }
    }

    /// PRESENT, NULL_VALUE or ERROR.
    pub fn status(&self, entity: usize) -> Status {
        match (self.failed, self.values.is_null(entity)) {
            (true, _) => Status::Error,
            (false, true) => Status::NullValue,
            (false, false) => Status::Present,
        }
    }
}

/// The status of a value that a caller sent or that was stored: PRESENT unless it is null.
pub const fn status_of(is_null: bool) -> Status {
    if is_null { Status::NullValue } else { Status::Present }
}
