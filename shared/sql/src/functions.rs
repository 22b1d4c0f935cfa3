//! The functions that SQL may call: the engine's defaults, the same for batch queries and for expressions. Those that need rows are there with the feature
//! `queries`.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use datafusion_common::config::ConfigOptions;
use datafusion_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, Volatility, WindowUDF, planner::ExprPlanner};

/// Every function, by its name and its aliases.
pub(crate) struct Functions {
    pub scalar: HashMap<String, Arc<ScalarUDF>>,
    pub higher_order: HashMap<String, Arc<HigherOrderUDF>>,
    pub aggregate: HashMap<String, Arc<AggregateUDF>>,
    pub window: HashMap<String, Arc<WindowUDF>>,
    pub planners: Vec<Arc<dyn ExprPlanner>>,
    pub options: ConfigOptions,
}

pub(crate) static FUNCTIONS: LazyLock<Functions> = LazyLock::new(|| Functions {
    scalar: by_name(
        datafusion_functions::all_default_functions()
            .into_iter()
            .chain(datafusion_functions_nested::all_default_nested_functions()),
        |f| f.name(),
        |f| f.aliases(),
    ),
    higher_order: by_name(
        datafusion_functions_nested::all_default_higher_order_functions(),
        |f| f.name(),
        |f| f.aliases(),
    ),
    #[cfg(feature = "queries")]
    aggregate: by_name(
        datafusion_functions_aggregate::all_default_aggregate_functions(),
        |f| f.name(),
        |f| f.aliases(),
    ),
    #[cfg(feature = "queries")]
    window: by_name(
        datafusion_functions_window::all_default_window_functions(),
        |f| f.name(),
        |f| f.aliases(),
    ),
    #[cfg(not(feature = "queries"))]
    aggregate: HashMap::new(),
    #[cfg(not(feature = "queries"))]
    window: HashMap::new(),
    planners: expr_planners(),
    options: options(),
});

/// The options under which SQL is planned. An engine that runs the same SQL takes its own from here, so that both give the same
/// types.
#[must_use]
pub fn options() -> ConfigOptions {
    let mut options = ConfigOptions::new();
    options.sql_parser.collect_spans = true;
    // Strings have one Arrow type in all of Forebay.
    options.sql_parser.map_string_types_to_utf8view = false;
    // A timestamp with a time zone is UTC, as all times are.
    options.execution.time_zone = Some("UTC".to_owned());
    options
}

/// The planners of operators and literals (`[1, 2]`, `a[1]`, `EXTRACT`), in the engine's order.
#[must_use]
pub fn expr_planners() -> Vec<Arc<dyn ExprPlanner>> {
    vec![
        Arc::new(datafusion_functions::core::planner::CoreFunctionPlanner::default()),
        Arc::new(datafusion_functions_nested::planner::NestedFunctionPlanner),
        Arc::new(datafusion_functions_nested::planner::FieldAccessPlanner),
        Arc::new(datafusion_functions::datetime::planner::DatetimeFunctionPlanner),
        Arc::new(datafusion_functions::unicode::planner::UnicodeFunctionPlanner),
        #[cfg(feature = "queries")]
        Arc::new(datafusion_functions_aggregate::planner::AggregateFunctionPlanner),
        #[cfg(feature = "queries")]
        Arc::new(datafusion_functions_window::planner::WindowFunctionPlanner),
    ]
}

fn by_name<F>(
    functions: impl IntoIterator<Item = Arc<F>>,
    name: impl Fn(&F) -> &str,
    aliases: impl Fn(&F) -> &[String],
) -> HashMap<String, Arc<F>> {
    let mut map = HashMap::new();
    for function in functions {
        for alias in aliases(&function) {
            map.insert(alias.clone(), Arc::clone(&function));
        }
        map.insert(name(&function).to_owned(), function);
    }
    map
}

impl Functions {
    pub fn is_known(&self, name: &str) -> bool {
        // The planner's own: a row for each element of a list.
        name == "unnest"
            || self.scalar.contains_key(name)
            || self.higher_order.contains_key(name)
            || self.aggregate.contains_key(name)
            || self.window.contains_key(name)
    }

    /// Only in queries, not in expressions.
    pub fn needs_rows(&self, name: &str) -> bool {
        !self.scalar.contains_key(name) && (self.aggregate.contains_key(name) || self.window.contains_key(name))
    }

    /// Whether its answer depends on more than its arguments: the clock, chance, the file that is read.
    pub fn is_volatile(&self, name: &str) -> bool {
        self.scalar
            .get(name)
            .is_some_and(|f| f.signature().volatility != Volatility::Immutable)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.scalar
            .keys()
            .chain(self.higher_order.keys())
            .chain(self.aggregate.keys())
            .chain(self.window.keys())
            .map(String::as_str)
    }
}
