//! A plan that no optimiser takes apart.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err, plan_err};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties, SendableRecordBatchStream,
};

/// The rows of a plan of one partition, in its order.
///
/// DataFusion knows the order of sorted columns, but not that a file's or a request's own order matters: it would split such a scan among threads and put
/// the parts together as they come. Here it sees a leaf.
#[derive(Debug)]
pub struct InOrderExec {
    plan: Arc<dyn ExecutionPlan>,
}

impl InOrderExec {
    /// # Errors
    /// When the plan has several partitions: they have no order among each other.
    pub fn try_new(plan: Arc<dyn ExecutionPlan>) -> Result<Self> {
        match plan.output_partitioning().partition_count() {
            1 => Ok(Self { plan }),
            several => plan_err!("The order of rows in {several} partitions is not known; plan them as one."),
        }
    }
}

impl DisplayAs for InOrderExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "InOrderExec: {}", self.plan.name())
    }
}

impl ExecutionPlan for InOrderExec {
    fn name(&self) -> &'static str {
        "InOrderExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.plan.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match children.as_slice() {
            [] => Ok(self),
            _ => internal_err!("InOrderExec has no children"),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.plan.execute(partition, context)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        self.plan.metrics()
    }
}
