//! What expressions and relations are made from.

use std::collections::BTreeSet;

use datafusion_common::{Column, DFSchema};

use super::SourceColumn;
use crate::TableName;

/// What one column or expression is made from.
#[derive(Debug, Clone, Default)]
pub(super) struct Made {
    pub value: BTreeSet<SourceColumn>,
    pub influence: BTreeSet<SourceColumn>,
}

impl Made {
    pub fn add(&mut self, other: Self) {
        self.value.extend(other.value);
        self.influence.extend(other.influence);
    }

    /// `other` decides about this, it is no part of it.
    pub fn influenced_by(&mut self, other: Self) {
        self.influence.extend(other.all());
    }

    pub fn all(self) -> impl Iterator<Item = SourceColumn> {
        self.value.into_iter().chain(self.influence)
    }
}

/// What the columns of one plan node are made from.
#[derive(Debug, Clone, Default)]
pub(super) struct Relation {
    /// By the index of the column in the node's schema.
    pub columns: Vec<Made>,
    /// What decides which rows there are, and so influences every column.
    pub rows: BTreeSet<SourceColumn>,
    pub tables: BTreeSet<TableName>,
}

impl Relation {
    /// Everything, as one.
    pub fn whole(&self) -> Made {
        let mut whole = Made::default();
        for column in &self.columns {
            whole.add(column.clone());
        }
        whole.influence.extend(self.rows.iter().cloned());
        whole
    }

    pub fn rows_decided_by(&mut self, made: Made) {
        self.rows.extend(made.all());
    }

    /// Takes over what decides about the rows of another relation.
    pub fn take_rows(&mut self, other: &Self) {
        self.rows.extend(other.rows.iter().cloned());
        self.tables.extend(other.tables.iter().cloned());
    }
}

/// The columns that an expression may name.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub schema: &'a DFSchema,
    pub relation: &'a Relation,
}

impl Scope<'_> {
    pub fn made(&self, column: &Column) -> Option<Made> {
        let index = self.schema.maybe_index_of_column(column)?;
        self.relation.columns.get(index).cloned()
    }
}
