//! A group's history as one side of an as-of join.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::catalog::Session;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, cast, ident};
use datafusion::physical_plan::ExecutionPlan;
use forebay_model::{Duration, GroupSchema};
use forebay_rows::arrow_types::{DELETED, EVENT_TIME, Flavor, INGEST_TIME, SEQUENCE, arrow_type};

use crate::OfflineTable;
use crate::asof::{AsOfJoinExec, HistoryRoles, SpineRoles, Told};
use crate::tie_hash::CanonicalTieHash;

/// A version of a group's table.
#[derive(Debug, Clone)]
pub struct GroupHistory {
    pub schema: Arc<GroupSchema>,
    pub table: OfflineTable,
}

/// How a spine is joined to a group.
pub(crate) struct HistoryJoin<'a> {
    pub(crate) on: SpineRoles,
    /// (feature, name in the output).
    pub(crate) features: &'a [(String, String)],
    /// On keys and event time; they must not exclude a row that could win.
    pub(crate) filters: &'a [Expr],
    /// None: rows of any age are visible.
    pub(crate) max_age: Option<Duration>,
    pub(crate) told: Told,
}

impl GroupHistory {
    /// Plans the join of this group to a spine of one partition.
    ///
    /// # Errors
    /// When the table cannot be planned, or the spine's keys have other types.
    pub(crate) async fn join(
        &self,
        session: &dyn Session,
        spine: Arc<dyn ExecutionPlan>,
        join: HistoryJoin<'_>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let HistoryJoin {
            on,
            features,
            filters,
            max_age,
            told,
        } = join;
        let names: Vec<&str> = features.iter().map(|(feature, _)| feature.as_str()).collect();
        let mut distinct = names.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let history = self.scan(session, &distinct, filters).await?;
        let keys = self.schema.keys.len();
        let column = |name: &str| history.schema().index_of(name);
        let roles = HistoryRoles {
            keys: (0..keys).collect(),
            event_time: keys,
            ingest_time: Some(keys + 1),
            sequence: Some(keys + 2),
            deleted: Some(column(DELETED)?),
            features: features
                .iter()
                .map(|(feature, name)| Ok((column(feature)?, name.clone())))
                .collect::<Result<_>>()?,
        };
        let hash = Arc::new(CanonicalTieHash::new(&self.schema));
        let mut join = AsOfJoinExec::try_new(spine, history, on, roles, max_age.map(Duration::micros), told, hash)?;
        if distinct.len() < self.schema.slots.len() {
            let all: Vec<&str> = self.schema.slots.iter().map(|slot| slot.name.as_str()).collect();
            join = join.with_tie_breaker(self.scan(session, &all, filters).await?)?;
        }
        Ok(Arc::new(join))
    }

    /// Keys, event time, ingest time, sequence, the features, the deleted flag.
    async fn scan(&self, session: &dyn Session, features: &[&str], filters: &[Expr]) -> Result<Arc<dyn ExecutionPlan>> {
        let mut columns: Vec<Expr> = self.schema.keys.iter().map(|key| ident(key.name.as_str())).collect();
        columns.extend([EVENT_TIME, INGEST_TIME, SEQUENCE].map(ident));
        for &feature in features {
            columns.push(self.feature(feature));
        }
        columns.push(ident(DELETED));
        let mut plan = LogicalPlanBuilder::scan("history", provider_as_source(Arc::clone(&self.table.provider)), None)?;
        if let Some(filter) = conjunction(filters.iter().cloned()) {
            plan = plan.filter(filter)?;
        }
        let plan = session.create_physical_plan(&plan.project(columns)?.build()?).await?;
        in_parallel(plan, session)
    }

    /// Delta has no fixed-size lists: a vector becomes one here.
    fn feature(&self, name: &str) -> Expr {
        let slot = self.schema.slots.iter().find(|slot| slot.name.as_str() == name);
        match slot.map(|slot| arrow_type(&slot.data_type, Flavor::Arrow)) {
            Some(vector @ DataType::FixedSizeList(_, _)) => cast(ident(name), vector).alias(name),
            _ => ident(name),
        }
    }

    /// The keys and event times of the table's rows, each once, in any order; `filters` as in [`Self::join`].
    pub(crate) async fn moments(&self, session: &dyn Session, filters: &[Expr]) -> Result<Arc<dyn ExecutionPlan>> {
        let mut columns: Vec<Expr> = self.schema.keys.iter().map(|key| ident(key.name.as_str())).collect();
        columns.push(ident(EVENT_TIME));
        let mut plan = LogicalPlanBuilder::scan("history", provider_as_source(Arc::clone(&self.table.provider)), None)?;
        if let Some(filter) = conjunction(filters.iter().cloned()) {
            plan = plan.filter(filter)?;
        }
        let plan = plan.project(columns)?.distinct()?.build()?;
        session.create_physical_plan(&plan).await
    }
}

/// Splits the files of a scan among as many partitions as a query may have: on its own, a plan without an operator that asks for more is left as it is.
fn in_parallel(plan: Arc<dyn ExecutionPlan>, session: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
    let partitions = session.config().target_partitions();
    plan.transform_down(|node| {
        if !node.children().is_empty() {
            return Ok(Transformed::no(node));
        }
        Ok(match node.repartitioned(partitions, session.config_options())? {
            Some(split) => Transformed::yes(split),
            None => Transformed::no(node),
        })
    })
    .data()
}
