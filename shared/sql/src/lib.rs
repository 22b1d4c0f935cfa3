//! The SQL of definitions: batch queries and the expressions of views. Parsing, type check, column lineage and evaluation of
//! scalar expressions, on DataFusion's planner and expression crates; the engine that runs batch queries is `forebay-query`.
//!
//! [`BatchSql`] is one query of a group, [`Expression`] one expression of a view, [`SqlError`] what is wrong with either, with
//! its place in the caller's own text.

mod arrow_type;
mod batch;
mod blame;
mod conversion;
mod error;
mod expression;
mod functions;
mod lineage;
mod look_back;
mod output;
mod planner;
mod stack;
mod syntax;
mod tables;
mod view;

pub use arrow_type::{arrow_type, model_type};
pub use batch::{BatchPlan, BatchSql, END, START};
pub use conversion::{Conversion, conversion, convert};
pub use error::{ErrorKind, Position, SqlError};
pub use expression::Expression;
pub use functions::{expr_planners, options};
pub use lineage::{ColumnLineage, Edge, Lineage, SourceColumn};
pub use output::{Output, OutputColumn, Wanted};
pub use tables::{TableName, Tables, group_schema, input_schema};
pub use view::{ViewExpression, ViewInput};
