//! Column lineage, from the analysed and not yet optimised plan: the optimiser erases real dependencies.

mod columns;
mod expr;
mod plan;

use std::{collections::BTreeSet, fmt};

use datafusion_expr::LogicalPlan;

use crate::TableName;
use columns::Made;

/// How an input column acts on an output column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Edge {
    /// The value is made from it.
    Value,
    /// It decides which rows or which values there are: filter, join, group, order, window, distinct, the condition of a CASE.
    Influence,
}

/// A column of a table that is read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceColumn {
    pub table: TableName,
    pub column: String,
}

impl fmt::Display for SourceColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.table, self.column)
    }
}

/// What one column of the answer depends on. A column may be there with both kinds of edges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnLineage {
    pub name: String,
    pub inputs: BTreeSet<(SourceColumn, Edge)>,
}

/// What a query's answer depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    /// In the answer's order.
    pub columns: Vec<ColumnLineage>,
    /// Every table that is read; also one of which no column is (`count(*)`), since its rows decide.
    pub tables: BTreeSet<TableName>,
}

impl Lineage {
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&ColumnLineage> {
        self.columns.iter().find(|column| column.name == name)
    }
}

pub(crate) fn trace(plan: &LogicalPlan) -> Lineage {
    let relation = plan::trace(plan, &[]);
    let columns = plan
        .schema()
        .fields()
        .iter()
        .zip(relation.columns)
        .map(|(field, Made { value, influence })| {
            let influence = influence.into_iter().chain(relation.rows.iter().cloned());
            ColumnLineage {
                name: field.name().clone(),
                inputs: value
                    .into_iter()
                    .map(|column| (column, Edge::Value))
                    .chain(influence.map(|column| (column, Edge::Influence)))
                    .collect(),
            }
        });
    Lineage {
        columns: columns.collect(),
        tables: relation.tables,
    }
}

#[cfg(test)]
mod tests;
