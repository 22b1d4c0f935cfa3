//! Features as they were: groups joined to a spine.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::{Column as ColumnName, JoinType, Result, ScalarValue, plan_datafusion_err};
use datafusion::datasource::{MemTable, TableProvider, provider_as_source};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Operator, ident, lit};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::filter_pushdown::FilterPushdown;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, SendableRecordBatchStream, execute_stream};
use forebay_model::{Duration, Timestamp};
use forebay_rows::arrow_types::EVENT_TIME;

use crate::asof::{Found, KnownAt, SpineRoles, Told};
use crate::group_history::HistoryJoin;
use crate::moments::moments;
use crate::{Engine, GroupHistory, InOrderExec, QueryError};

/// Which keys and times are asked for.
#[derive(Debug, Clone)]
pub enum Spine {
    /// The rows of a table, in its order; `time` names the column with the times.
    Table {
        table: Arc<dyn TableProvider>,
        time: String,
    },
    /// Every distinct key and event time in the period (start inclusive, end exclusive) at which one of the groups has a row, sorted. The groups have the
    /// same keys. The columns are the keys and `event_time`.
    Period {
        start: Option<Timestamp>,
        end: Option<Timestamp>,
        keys: Option<KeyFilter>,
    },
    /// Every key that has a visible row at this moment, sorted, with the same columns.
    At { at: Timestamp, keys: Option<KeyFilter> },
}

impl Spine {
    fn keys(&self) -> Option<&KeyFilter> {
        match self {
            Self::Table { .. } => None,
            Self::Period { keys, .. } | Self::At { keys, .. } => keys.as_ref(),
        }
    }
}

/// The keys wanted: the names of the columns, and the values of each key in that order.
#[derive(Debug, Clone)]
pub struct KeyFilter {
    pub columns: Vec<String>,
    pub keys: Vec<Vec<ScalarValue>>,
}

/// Up to which ingest time rows are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KnownTo {
    Always,
    At(Timestamp),
    /// As this column of the spine says, row by row.
    Column(String),
}

/// What is asked of one group. A group may be asked more than once, with other keys.
#[derive(Debug, Clone)]
pub struct AskedGroup {
    pub history: GroupHistory,
    /// The spine's column for each of the group's keys, in the group's order.
    pub keys: Vec<String>,
    /// (feature, name in the answer).
    pub features: Vec<(String, String)>,
    /// The smaller of the group's ttl and the request's `max_age`.
    pub max_age: Option<Duration>,
    pub told: Told,
}

#[derive(Debug, Clone)]
pub struct HistoricalQuery {
    pub spine: Spine,
    pub groups: Vec<AskedGroup>,
    pub known_at: KnownTo,
}

impl Engine {
    /// Starts a historical query. The answer has the spine's columns, then for each group its features and what it is told (see [`Told`]), in the spine's
    /// order, and as many rows.
    ///
    /// # Errors
    /// When a column of the spine is missing or has the wrong type, or groups of a period have different keys.
    pub async fn run_historical(&self, query: &HistoricalQuery) -> Result<SendableRecordBatchStream, QueryError> {
        let context = self.session();
        let plan = self.plan_historical(query, &context.state()).await?;
        Ok(execute_stream(plan, context.task_ctx())?)
    }

    async fn plan_historical(
        &self,
        query: &HistoricalQuery,
        state: &datafusion::execution::SessionState,
    ) -> Result<Arc<dyn ExecutionPlan>, QueryError> {
        let (spine, time) = match &query.spine {
            Spine::Table { table, time } => {
                let plan = LogicalPlanBuilder::scan("spine", provider_as_source(Arc::clone(table)), None)?.build()?;
                // One partition from end to end: the order of the rows is theirs.
                let plan = self.ordered_state().create_physical_plan(&plan).await?;
                (Arc::new(InOrderExec::try_new(in_one(plan))?) as _, time.as_str())
            }
            made => {
                let plan = made_spine(made, &query.groups, &query.known_at)?;
                (state.create_physical_plan(&plan).await?, EVENT_TIME)
            }
        };
        let mut plan = in_one(spine);
        // The spine's columns keep their places, whatever is joined behind them.
        let columns = plan.schema();
        let column = |name: &str| {
            columns
                .index_of(name)
                .map_err(|_| plan_datafusion_err!("The spine has no column {name}."))
        };
        let known_at = match &query.known_at {
            KnownTo::Always => KnownAt::Always,
            KnownTo::At(time) => KnownAt::At(time.micros()),
            KnownTo::Column(name) => KnownAt::Column(column(name)?),
        };
        let mut found = Vec::new();
        for (number, group) in query.groups.iter().enumerate() {
            let on = SpineRoles {
                keys: group.keys.iter().map(|name| column(name)).collect::<Result<_>>()?,
                time: column(time)?,
                known_at,
            };
            let mut told = group.told.clone();
            if let Spine::At { .. } = query.spine {
                let name = told.found.get_or_insert_with(|| format!("__found_{number}"));
                found.push(name.clone());
            }
            let filters: Vec<Expr> = key_filter(&query.spine).into_iter().collect();
            let join = HistoryJoin {
                on,
                features: &group.features,
                filters: &filters,
                max_age: group.max_age,
                told,
            };
            plan = group.history.join(state, plan, join).await?;
        }
        if let Spine::At { .. } = query.spine {
            plan = with_visible_row(plan, &found)?;
        }
        // The plan is put together by hand, so that nothing reorders it; only the joins' filters are still to be handed to the scans.
        let pushdown = FilterPushdown::new_post_optimization();
        Ok(pushdown.optimize(plan, state.config_options())?)
    }
}

fn in_one(plan: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    match plan.output_partitioning().partition_count() {
        1 => plan,
        _ => Arc::new(CoalescePartitionsExec::new(plan)),
    }
}

/// The spine that the groups themselves make, sorted.
fn made_spine(spine: &Spine, groups: &[AskedGroup], known_at: &KnownTo) -> Result<LogicalPlan> {
    let known_at = match known_at {
        KnownTo::At(time) => Some(time.micros()),
        _ => None,
    };
    let mut filters: Vec<Expr> = key_filter(spine).into_iter().collect();
    let bound = |time: &Timestamp| {
        lit(ScalarValue::TimestampMicrosecond(
            Some(time.micros()),
            Some("UTC".into()),
        ))
    };
    match spine {
        Spine::Period { start, end, .. } => {
            filters.extend(start.as_ref().map(|start| ident(EVENT_TIME).gt_eq(bound(start))));
            filters.extend(end.as_ref().map(|end| ident(EVENT_TIME).lt(bound(end))));
        }
        Spine::At { at, .. } => filters.push(ident(EVENT_TIME).lt_eq(bound(at))),
        Spine::Table { .. } => {}
    }
    let histories: Vec<&GroupHistory> = groups.iter().map(|group| &group.history).collect();
    let keys: Vec<Expr> = groups
        .first()
        .map(|group| {
            group
                .history
                .schema
                .keys
                .iter()
                .map(|key| ident(key.name.as_str()))
                .collect()
        })
        .unwrap_or_default();
    let mut plan = LogicalPlanBuilder::from(moments(&histories, &filters, known_at)?);
    if let Some(filter) = spine.keys() {
        plan = of_keys(plan, filter)?;
    }
    if let Spine::At { at, .. } = spine {
        let mut columns = keys.clone();
        plan = plan.project(columns.clone())?.distinct()?;
        columns.push(bound(at).alias(EVENT_TIME));
        plan = plan.project(columns)?;
    }
    let mut order = keys;
    order.push(ident(EVENT_TIME));
    plan.sort(order.into_iter().map(|column| column.sort(true, false)))?
        .build()
}

/// Up to so many keys are told to the scans one by one.
const LISTED_KEYS: usize = 1_000;

/// `a IN (…) AND b IN (…)`: what scans can prune by. It lets other keys pass, and says nothing of very many.
fn key_filter(spine: &Spine) -> Option<Expr> {
    let filter = spine.keys().filter(|filter| filter.keys.len() <= LISTED_KEYS)?;
    conjunction(filter.columns.iter().enumerate().map(|(place, column)| {
        let values = filter.keys.iter().map(|key| lit(key[place].clone())).collect();
        ident(column.as_str()).in_list(values, false)
    }))
}

/// Exactly the rows of these keys.
fn of_keys(plan: LogicalPlanBuilder, filter: &KeyFilter) -> Result<LogicalPlanBuilder> {
    if filter.keys.is_empty() {
        return plan.filter(lit(false));
    }
    let named = |place: usize| format!("__key_{place}");
    let columns = (0..filter.columns.len())
        .map(|place| {
            let values = ScalarValue::iter_to_array(filter.keys.iter().map(|key| key[place].clone()))?;
            Ok((named(place), values))
        })
        .collect::<Result<Vec<_>>>()?;
    let keys = RecordBatch::try_from_iter(columns)?;
    let keys = MemTable::try_new(keys.schema(), vec![vec![keys]])?;
    let keys = LogicalPlanBuilder::scan("keys", provider_as_source(Arc::new(keys)), None)?.build()?;
    let ours = filter.columns.iter().map(ColumnName::from_name).collect::<Vec<_>>();
    let theirs = (0..filter.columns.len())
        .map(|place| ColumnName::from_name(named(place)))
        .collect();
    plan.join(keys, JoinType::LeftSemi, (ours, theirs), None)
}

/// Keeps the rows for which any group found a visible row.
fn with_visible_row(plan: Arc<dyn ExecutionPlan>, found: &[String]) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = plan.schema();
    let mut any: Option<Arc<dyn PhysicalExpr>> = None;
    for name in found {
        let column = Arc::new(Column::new(name, schema.index_of(name)?));
        let row = datafusion::physical_expr::expressions::lit(ScalarValue::Int8(Some(Found::Row as i8)));
        let is_row: Arc<dyn PhysicalExpr> = Arc::new(BinaryExpr::new(column, Operator::Eq, row));
        any = Some(match any {
            None => is_row,
            Some(others) => Arc::new(BinaryExpr::new(others, Operator::Or, is_row)),
        });
    }
    match any {
        None => Ok(plan),
        Some(any) => Ok(Arc::new(FilterExec::try_new(any, plan)?)),
    }
}
