//! `inputs` of batch queries: features of several groups, joined as of each moment.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::{Result, plan_datafusion_err, plan_err};
use datafusion::datasource::TableProvider;
use datafusion::logical_expr::expr_rewriter::unnormalize_col;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::projection::ProjectionExec;
use forebay_model::{DataType, Duration};
use forebay_rows::arrow_types::EVENT_TIME;
use forebay_sql::input_schema;

use crate::GroupHistory;
use crate::asof::{KnownAt, SpineRoles, Told};
use crate::group_history::HistoryJoin;
use crate::moments::{has_same_keys, moments};
use crate::winning_rows::reads_only;

/// What an input takes from one group.
#[derive(Debug, Clone)]
pub struct InputGroup {
    pub history: GroupHistory,
    /// The group's; none: rows of any age are visible.
    pub ttl: Option<Duration>,
    /// (feature, its name in the input).
    pub features: Vec<(String, String)>,
}

/// The keys, `event_time`, and the features in the order of the definition: one row per key and moment at which any of the groups has a row, with what every
/// group said then. It never looks ahead.
#[derive(Debug)]
pub struct AsOfInput {
    groups: Vec<InputGroup>,
    schema: SchemaRef,
}

impl AsOfInput {
    /// `order` are the features' names in the input, in the order of its definition.
    ///
    /// # Errors
    /// When there is no group, the groups' keys differ, or a feature is unknown.
    pub fn try_new(groups: Vec<InputGroup>, order: &[String]) -> Result<Self> {
        let Some(first) = groups.first() else {
            return plan_err!("An input needs at least one feature.");
        };
        if let Some(other) = groups
            .iter()
            .find(|other| !has_same_keys(&first.history, &other.history))
        {
            return plan_err!(
                "The groups of an input have the same keys; those of {} and {} differ.",
                first.history.schema.name,
                other.history.schema.name
            );
        }
        let features = order
            .iter()
            .map(|name| Ok((name.as_str(), type_of(&groups, name)?)))
            .collect::<Result<Vec<_>>>()?;
        let keys = first.history.schema.keys.iter();
        let schema = input_schema(keys.map(|key| (key.name.as_str(), key.key_type.into())), features);
        Ok(Self { groups, schema })
    }

    fn key_names(&self) -> impl Iterator<Item = &str> {
        self.groups[0].history.schema.keys.iter().map(|key| key.name.as_str())
    }

    fn is_key(&self, column: &str) -> bool {
        self.key_names().any(|key| key == column)
    }
}

fn type_of(groups: &[InputGroup], name: &str) -> Result<DataType> {
    groups
        .iter()
        .flat_map(|group| group.features.iter().map(move |feature| (group, feature)))
        .find(|(_, (_, output))| output == name)
        .and_then(|(group, (feature, _))| {
            let slot = group.history.schema.slot(feature)?;
            Some(group.history.schema.slots[slot].data_type.clone())
        })
        .ok_or_else(|| plan_datafusion_err!("The input has no feature {name}."))
}

#[async_trait]
impl TableProvider for AsOfInput {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(filters
            .iter()
            .map(
                |filter| match reads_only(filter, |column| column == EVENT_TIME || self.is_key(column)) {
                    true => TableProviderFilterPushDown::Exact,
                    false => TableProviderFilterPushDown::Unsupported,
                },
            )
            .collect())
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wanted: Vec<usize> = match projection {
            Some(columns) => columns.clone(),
            None => (0..self.schema.fields().len()).collect(),
        };
        let filters: Vec<Expr> = filters.iter().cloned().map(unnormalize_col).collect();
        // A filter on time selects moments; the rows that win at a moment may be older.
        let on_keys: Vec<Expr> = filters
            .iter()
            .filter(|filter| reads_only(filter, |column| self.is_key(column)))
            .cloned()
            .collect();
        let histories: Vec<&GroupHistory> = self.groups.iter().map(|group| &group.history).collect();
        let spine = session
            .create_physical_plan(&moments(&histories, &filters, None)?)
            .await?;
        let mut plan: Arc<dyn ExecutionPlan> = Arc::new(CoalescePartitionsExec::new(spine));
        let time = self.key_names().count();
        for group in &self.groups {
            let features: Vec<_> = group
                .features
                .iter()
                .filter(|(_, name)| wanted.iter().any(|&column| self.schema.field(column).name() == name))
                .cloned()
                .collect();
            if features.is_empty() {
                continue;
            }
            let keys = group
                .history
                .schema
                .keys
                .iter()
                .map(|key| plan.schema().index_of(key.name.as_str()))
                .collect::<Result<_, _>>()?;
            let join = HistoryJoin {
                on: SpineRoles {
                    keys,
                    time,
                    known_at: KnownAt::Always,
                },
                features: &features,
                filters: &on_keys,
                max_age: group.ttl,
                told: Told::default(),
            };
            plan = group.history.join(session, plan, join).await?;
        }
        let schema = plan.schema();
        let columns = wanted
            .iter()
            .map(|&index| {
                let name = self.schema.field(index).name();
                let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(name, schema.index_of(name)?));
                Ok((column, name.clone()))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(ProjectionExec::try_new(columns, plan)?))
    }
}
