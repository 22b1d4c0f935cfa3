//! The plan node of the as-of join.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics, internal_err, plan_err};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::expressions::{Column, DynamicFilterPhysicalExpr, lit};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::filter_pushdown::{
    ChildFilterDescription, ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildStats, DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
    SendableRecordBatchStream, StatisticsArgs,
};
use futures::TryStreamExt;

use super::keys::comparison_type;
use super::metrics::AsOfJoinMetrics;
use super::stream::AsOfJoin;
use super::time::is_time;

/// The hash that decides between rows of one key, event time and sequence.
///
/// It covers the whole row, not only the features a query asks for: online and offline must agree.
pub trait TieHash: fmt::Debug + Send + Sync {
    /// One hash per row of a batch of the tie breaker's schema (see [`AsOfJoinExec::with_tie_breaker`]).
    ///
    /// # Errors
    /// When a column of the group is missing or has another type.
    fn hash(&self, rows: &RecordBatch) -> Result<Vec<u64>>;
}

/// Which columns of the spine ask, by index.
#[derive(Debug, Clone)]
pub struct SpineRoles {
    /// In the order of [`HistoryRoles::keys`].
    pub keys: Vec<usize>,
    /// A timestamp or a date; naive times are UTC.
    pub time: usize,
    pub known_at: KnownAt,
}

/// Up to which ingest time rows are known to a spine row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownAt {
    /// To any.
    Always,
    /// To this moment, inclusive; microseconds UTC.
    At(i64),
    /// To the moment in this column of the spine; a null knows nothing.
    Column(usize),
}

/// What the columns of a group's history mean, by index.
#[derive(Debug, Clone)]
pub struct HistoryRoles {
    pub keys: Vec<usize>,
    pub event_time: usize,
    /// Without it rows count as taken in when they happened.
    pub ingest_time: Option<usize>,
    /// An `Int64`; where it is null or missing, the ingest time decides.
    pub sequence: Option<usize>,
    /// A `Boolean`; null is false.
    pub deleted: Option<usize>,
    /// The features asked for, each with its name in the output.
    pub features: Vec<(usize, String)>,
}

impl HistoryRoles {
    /// The columns that decide which row wins: keys, event time, ingest time, sequence.
    pub(super) fn deciding(&self) -> impl Iterator<Item = usize> + '_ {
        self.keys
            .iter()
            .copied()
            .chain([self.event_time])
            .chain(self.ingest_time)
            .chain(self.sequence)
    }
}

/// What a spine row is told beside the features' values.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// The column for the winning row's event time: a nullable timestamp, null where no row is found.
    pub event_time: Option<String>,
    /// The column for what was found: a [`Found`] as `Int8`, never null.
    pub found: Option<String>,
}

/// What the winning row of a spine row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub enum Found {
    /// A visible row.
    Row = 0,
    /// No row, or a delete.
    Nothing = 1,
    /// A row that is too old; its values are withheld.
    TooOld = 2,
}

/// Joins to each spine row the row of a group's history that wins at its time (DESIGN.md §3).
///
/// The output is the spine's columns, the features, then what [`Told`] asks for; as many rows as the
/// spine has, in its order. The spine must be one partition, the history may have any number.
///
/// The spine is read whole and indexed, then the history streams past the index once. Rows that cannot
/// win are dropped at once, and already in the scan if that takes dynamic filters. Over the
/// memory limit, both sides are split by the hash of their keys, on disk.
#[derive(Debug, Clone)]
pub struct AsOfJoinExec {
    pub(super) spine: Arc<dyn ExecutionPlan>,
    pub(super) history: Arc<dyn ExecutionPlan>,
    pub(super) tie_breaker: Option<Arc<dyn ExecutionPlan>>,
    pub(super) tie_hash: Arc<dyn TieHash>,
    pub(super) on: SpineRoles,
    pub(super) roles: HistoryRoles,
    /// Microseconds. None: rows of any age are visible.
    pub(super) max_age: Option<i64>,
    pub(super) told: Told,
    pub(super) schema: SchemaRef,
    filter: Option<Arc<DynamicFilterPhysicalExpr>>,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

impl AsOfJoinExec {
    /// Plans the join. `max_age` is the smaller of the group's ttl and the request's, in microseconds.
    ///
    /// Rows that neither event time nor sequence decide are compared by `tie_hash` over the history's
    /// own columns; pass [`Self::with_tie_breaker`] when these are not all of the group's.
    ///
    /// # Errors
    /// When roles and schemas do not fit: counts or types of keys, a time that is none, names used twice.
    pub fn try_new(
        spine: Arc<dyn ExecutionPlan>,
        history: Arc<dyn ExecutionPlan>,
        on: SpineRoles,
        roles: HistoryRoles,
        max_age: Option<i64>,
        told: Told,
        tie_hash: Arc<dyn TieHash>,
    ) -> Result<Self> {
        check(&spine.schema(), &history.schema(), &on, &roles)?;
        let schema = output_schema(&spine.schema(), &history.schema(), &roles, &told)?;
        let properties = properties(&spine, &schema);
        Ok(Self {
            spine,
            history,
            tie_breaker: None,
            tie_hash,
            on,
            roles,
            max_age,
            told,
            schema,
            filter: None,
            metrics: ExecutionPlanMetricsSet::new(),
            properties,
        })
    }

    /// A scan of the whole rows, with every column of `history` under the same name. It is read only
    /// when rows tie that differ in what is asked for, which takes a writer who gives rows of one key the same times.
    ///
    /// # Errors
    /// When a column of the history is missing.
    pub fn with_tie_breaker(mut self, whole_rows: Arc<dyn ExecutionPlan>) -> Result<Self> {
        let whole = whole_rows.schema();
        for field in self.history.schema().fields() {
            if whole.index_of(field.name()).is_err() {
                return plan_err!("The tie breaker of an as-of join lacks the column {}.", field.name());
            }
        }
        self.tie_breaker = Some(whole_rows);
        Ok(self)
    }

    /// Deciding columns of the history as expressions.
    fn deciding_columns(&self) -> Vec<Arc<dyn PhysicalExpr>> {
        let schema = self.history.schema();
        self.roles
            .deciding()
            .map(|index| Arc::new(Column::new(schema.field(index).name(), index)) as Arc<dyn PhysicalExpr>)
            .collect()
    }

    fn with_children(&self, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Self> {
        let mut children = children.into_iter();
        let (Some(spine), Some(history), tie_breaker, None) =
            (children.next(), children.next(), children.next(), children.next())
        else {
            return internal_err!("AsOfJoinExec has two children and may have a third");
        };
        if tie_breaker.is_some() != self.tie_breaker.is_some() {
            return internal_err!("AsOfJoinExec keeps the number of its children");
        }
        let schema = output_schema(&spine.schema(), &history.schema(), &self.roles, &self.told)?;
        Ok(Self {
            properties: properties(&spine, &schema),
            spine,
            history,
            tie_breaker,
            schema,
            metrics: ExecutionPlanMetricsSet::new(),
            ..self.clone()
        })
    }
}

fn check(spine: &Schema, history: &Schema, on: &SpineRoles, roles: &HistoryRoles) -> Result<()> {
    if on.keys.len() != roles.keys.len() || on.keys.is_empty() {
        return plan_err!(
            "An as-of join needs the same number of key columns on both sides, at least one: {} and {}.",
            on.keys.len(),
            roles.keys.len()
        );
    }
    for (&left, &right) in on.keys.iter().zip(&roles.keys) {
        let (left, right) = (spine.field(left), history.field(right));
        let (Some(a), Some(b)) = (comparison_type(left.data_type()), comparison_type(right.data_type())) else {
            return plan_err!("{} and {} are not of key types.", left, right);
        };
        if a != b {
            return plan_err!(
                "The spine's key {} is {}, the group's key {} is {}; cast the spine's.",
                left.name(),
                left.data_type(),
                right.name(),
                right.data_type()
            );
        }
    }
    let mut times = vec![spine.field(on.time), history.field(roles.event_time)];
    times.extend(roles.ingest_time.map(|index| history.field(index)));
    if let KnownAt::Column(index) = on.known_at {
        times.push(spine.field(index));
    }
    if let Some(field) = times.iter().find(|field| !is_time(field.data_type())) {
        return plan_err!("{} is {}, not a timestamp.", field.name(), field.data_type());
    }
    for (index, wanted) in [(roles.sequence, DataType::Int64), (roles.deleted, DataType::Boolean)] {
        if let Some(field) = index.map(|index| history.field(index))
            && field.data_type() != &wanted
        {
            return plan_err!("{} is {}, not {wanted}.", field.name(), field.data_type());
        }
    }
    Ok(())
}

fn output_schema(spine: &Schema, history: &Schema, roles: &HistoryRoles, told: &Told) -> Result<SchemaRef> {
    let mut fields: Vec<_> = spine.fields().iter().cloned().collect();
    for (index, name) in &roles.features {
        let field = history.field(*index).clone().with_name(name).with_nullable(true);
        fields.push(Arc::new(field));
    }
    if let Some(name) = &told.event_time {
        let data_type = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        fields.push(Arc::new(Field::new(name, data_type, true)));
    }
    if let Some(name) = &told.found {
        fields.push(Arc::new(Field::new(name, DataType::Int8, false)));
    }
    Ok(Arc::new(Schema::new(fields)))
}

fn properties(spine: &Arc<dyn ExecutionPlan>, schema: &SchemaRef) -> Arc<PlanProperties> {
    // The spine's columns come first and unchanged, so what is known of its order holds.
    let mut equivalences = EquivalenceProperties::new(Arc::clone(schema));
    if let Some(ordering) = spine.output_ordering() {
        equivalences.add_ordering(ordering.clone());
    }
    Arc::new(PlanProperties::new(
        equivalences,
        Partitioning::UnknownPartitioning(1),
        EmissionType::Final,
        Boundedness::Bounded,
    ))
}

impl DisplayAs for AsOfJoinExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        let (spine, history) = (self.spine.schema(), self.history.schema());
        let on = self
            .on
            .keys
            .iter()
            .zip(&self.roles.keys)
            .map(|(&left, &right)| format!("{} = {}", spine.field(left).name(), history.field(right).name()))
            .collect::<Vec<_>>()
            .join(", ");
        write!(
            f,
            "AsOfJoinExec: on=[{on}], as_of=[{} <= {}]",
            history.field(self.roles.event_time).name(),
            spine.field(self.on.time).name()
        )?;
        match self.on.known_at {
            KnownAt::Always => {}
            KnownAt::At(micros) => write!(f, ", known_at={micros}")?,
            KnownAt::Column(index) => write!(f, ", known_at={}", spine.field(index).name())?,
        }
        match self.max_age {
            Some(micros) => write!(f, ", max_age={micros}us"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for AsOfJoinExec {
    fn name(&self) -> &'static str {
        "AsOfJoinExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        let mut required = vec![Distribution::SinglePartition, Distribution::UnspecifiedDistribution];
        required.extend(self.tie_breaker.iter().map(|_| Distribution::UnspecifiedDistribution));
        required
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        let mut maintains = vec![false; self.children().len()];
        maintains[0] = true;
        maintains
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        // The history streams past the index in as many tasks as it has partitions.
        let mut benefits = vec![true; self.children().len()];
        benefits[0] = false;
        benefits
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        let mut children = vec![&self.spine, &self.history];
        children.extend(self.tie_breaker.as_ref());
        children
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        match &self.filter {
            Some(filter) => {
                let filter: Arc<dyn PhysicalExpr> = Arc::clone(filter) as _;
                f(&filter)
            }
            None => Ok(TreeNodeRecursion::Continue),
        }
    }

    fn dynamic_expressions_produced(&self) -> Vec<Arc<dyn PhysicalExpr>> {
        self.filter.iter().map(|filter| Arc::clone(filter) as _).collect()
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(self.with_children(children)?))
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self {
            metrics: ExecutionPlanMetricsSet::new(),
            filter: None,
            ..self.as_ref().clone()
        }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("AsOfJoinExec has one partition, not {}", partition + 1);
        }
        let partitions = self.spine.output_partitioning().partition_count();
        if partitions != 1 {
            return internal_err!("The spine of an as-of join must be one partition, not {partitions}");
        }
        let metrics = AsOfJoinMetrics::new(&self.metrics);
        let publish = self.filter.clone().map(|filter| (filter, self.deciding_columns()));
        let join = Arc::new(AsOfJoin::new(self, publish, context, metrics));
        let answer = futures::stream::once(join.run()).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            Arc::clone(&self.schema),
            answer,
        )))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        let mut requests = vec![ChildStats::Skip; self.children().len()];
        requests[0] = ChildStats::At(partition);
        requests
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], _args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema);
        statistics.num_rows = inputs[0].num_rows;
        Ok(Arc::new(statistics))
    }

    fn gather_filters_for_pushdown(
        &self,
        phase: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> Result<FilterDescription> {
        // A filter on the spine's own columns keeps or drops whole rows: it may go below the join.
        let spine_columns = (0..self.spine.schema().fields().len()).collect();
        let spine =
            ChildFilterDescription::from_child_with_allowed_indices(&parent_filters, spine_columns, &self.spine)?;
        let mut history = ChildFilterDescription::all_unsupported(&parent_filters);
        if phase == FilterPushdownPhase::Post && self.filter.is_none() {
            history = history.with_self_filter(Arc::new(DynamicFilterPhysicalExpr::new(
                self.deciding_columns(),
                lit(true),
            )));
        }
        let mut description = FilterDescription::new().with_child(spine).with_child(history);
        if self.tie_breaker.is_some() {
            description = description.with_child(ChildFilterDescription::all_unsupported(&parent_filters));
        }
        Ok(description)
    }

    fn handle_child_pushdown_result(
        &self,
        _phase: FilterPushdownPhase,
        results: ChildPushdownResult,
        _config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let pushed = results.self_filters.get(1).and_then(|filters| filters.first()).cloned();
        let mut propagation = FilterPushdownPropagation::if_any(results);
        // Even a scan that cannot evaluate the filter may prune files and row groups with it.
        if let Some(Ok(filter)) = pushed.map(|pushed| Arc::downcast::<DynamicFilterPhysicalExpr>(pushed.predicate)) {
            let node: Arc<dyn ExecutionPlan> = Arc::new(Self {
                filter: Some(filter),
                ..self.clone()
            });
            propagation = propagation.with_updated_node(node);
        }
        Ok(propagation)
    }
}
