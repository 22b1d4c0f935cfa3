//! What a group's bare name means in SQL: its winning rows.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::TableProvider;
use datafusion::logical_expr::expr_rewriter::unnormalize_col;
use datafusion::logical_expr::{Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, lit};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use forebay_rows::arrow_types::EVENT_TIME;
use forebay_sql::group_schema;

use crate::GroupHistory;
use crate::asof::{Found, KnownAt, SpineRoles, Told};
use crate::group_history::HistoryJoin;

/// One row per key and event time, the one that wins there, deletes left out: the keys, `event_time` and the group's visible features.
///
/// It is the as-of join of the table with its own moments.
#[derive(Debug)]
pub struct WinningRows {
    history: GroupHistory,
    known_at: KnownAt,
    schema: SchemaRef,
}

/// Columns of the join that no group has.
const WINNER_TIME: &str = "__winner_time";
const FOUND: &str = "__found";

impl WinningRows {
    /// With `known_at` (microseconds), rows taken in later do not exist.
    #[must_use]
    pub fn new(history: GroupHistory, known_at: Option<i64>) -> Self {
        let keys = &history.schema.keys;
        let schema = group_schema(
            keys.iter().map(|key| (key.name.as_str(), key.key_type.into())),
            history
                .schema
                .visible()
                .map(|(_, slot)| (slot.name.as_str(), slot.data_type.clone())),
        );
        Self {
            history,
            known_at: known_at.map_or(KnownAt::Always, KnownAt::At),
            schema,
        }
    }

    /// Whether a filter may be applied before rows compete: it must keep or drop all rows of a key and event time alike.
    fn is_on_moments(&self, filter: &Expr) -> bool {
        let keys = &self.history.schema.keys;
        reads_only(filter, |column| {
            column == EVENT_TIME || keys.iter().any(|key| key.name.as_str() == column)
        })
    }
}

/// Whether a filter depends on these columns alone, and gives the same answer each time.
pub(crate) fn reads_only(filter: &Expr, may_read: impl Fn(&str) -> bool) -> bool {
    !has_subquery(filter)
        && !filter.is_volatile()
        && filter.column_refs().into_iter().all(|column| may_read(&column.name))
}

fn has_subquery(filter: &Expr) -> bool {
    let mut found = false;
    // The closure never fails.
    let _ = filter.apply(|expr| {
        found |= matches!(expr, Expr::InSubquery(_) | Expr::Exists(_) | Expr::ScalarSubquery(_));
        Ok(TreeNodeRecursion::Continue)
    });
    found
}

#[async_trait]
impl TableProvider for WinningRows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(filters
            .iter()
            .map(|filter| match self.is_on_moments(filter) {
                true => TableProviderFilterPushDown::Exact,
                false => TableProviderFilterPushDown::Unsupported,
            })
            .collect())
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let filters: Vec<Expr> = filters.iter().cloned().map(unnormalize_col).collect();
        let keys = self.history.schema.keys.len();
        let wanted: Vec<usize> = match projection {
            Some(columns) => columns.clone(),
            None => (0..self.schema.fields().len()).collect(),
        };
        let features: Vec<(String, String)> = wanted
            .iter()
            .filter(|&&column| column > keys)
            .map(|&column| {
                let name = self.schema.field(column).name().clone();
                (name.clone(), name)
            })
            .collect();
        let moments = self.history.moments(session, &filters).await?;
        let join = self
            .history
            .join(
                session,
                Arc::new(CoalescePartitionsExec::new(moments)),
                HistoryJoin {
                    on: SpineRoles {
                        keys: (0..keys).collect(),
                        time: keys,
                        known_at: self.known_at,
                    },
                    features: &features,
                    filters: &filters,
                    max_age: None,
                    told: Told {
                        event_time: Some(WINNER_TIME.to_owned()),
                        found: Some(FOUND.to_owned()),
                    },
                },
            )
            .await?;
        let schema = join.schema();
        let column =
            |name: &str| -> Result<Arc<dyn PhysicalExpr>> { Ok(Arc::new(Column::new(name, schema.index_of(name)?))) };
        // A moment whose rows are all inadmissible finds an older row, which is not its own.
        let own = BinaryExpr::new(column(WINNER_TIME)?, Operator::Eq, column(EVENT_TIME)?);
        let found = lit(ScalarValue::Int8(Some(Found::Row as i8)));
        let visible = BinaryExpr::new(column(FOUND)?, Operator::Eq, found);
        let winners = BinaryExpr::new(Arc::new(visible), Operator::And, Arc::new(own));
        let rows = FilterExec::try_new(Arc::new(winners), Arc::clone(&join))?;
        let columns = wanted
            .iter()
            .map(|&index| {
                let name = self.schema.field(index).name();
                Ok((column(name)?, name.clone()))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(ProjectionExec::try_new(columns, Arc::new(rows))?))
    }
}
