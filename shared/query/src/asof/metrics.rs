//! What an as-of join counts.

use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, Gauge, MetricBuilder, SpillMetrics, Time,
};

/// Metrics of one execution.
#[derive(Debug, Clone)]
pub(super) struct AsOfJoinMetrics {
    pub(super) baseline: BaselineMetrics,
    pub(super) spine_rows: Count,
    /// Distinct (key, time, known-at) of the spine.
    pub(super) slots: Count,
    /// Rows that reached the join; what a scan dropped by the pushed filter is not among them.
    pub(super) history_rows: Count,
    /// Rows that were the best of their slot when they came.
    pub(super) kept_rows: Count,
    /// Versions that only a hash of the whole row could decide.
    pub(super) ties: Count,
    /// Reading and indexing the spine.
    pub(super) index_time: Time,
    /// Looking up history rows, summed over partitions.
    pub(super) probe_time: Time,
    /// Peak bytes reserved for spine, index and kept rows, summed over tasks.
    pub(super) peak_mem_used: Gauge,
    pub(super) spill: SpillMetrics,
}

impl AsOfJoinMetrics {
    pub(super) fn new(metrics: &ExecutionPlanMetricsSet) -> Self {
        let counter = |name| MetricBuilder::new(metrics).counter(name, 0);
        let time = |name| MetricBuilder::new(metrics).subset_time(name, 0);
        Self {
            baseline: BaselineMetrics::new(metrics, 0),
            spine_rows: counter("spine_rows"),
            slots: counter("slots"),
            history_rows: counter("history_rows"),
            kept_rows: counter("kept_rows"),
            ties: counter("ties"),
            index_time: time("index_time"),
            probe_time: time("probe_time"),
            peak_mem_used: MetricBuilder::new(metrics).gauge("peak_mem_used", 0),
            spill: SpillMetrics::new(metrics, 0),
        }
    }
}
