//! Whose turn it is to work on which table: one process at a time has a table's lease, and the tables are shared out among the processes.

mod placement;
mod work;

pub(crate) use work::{Context, supervise};

use forebay_storage::Topic;

/// The name of the lease of a group's table.
pub(crate) fn lease_name(topic: Topic) -> String {
    format!("tables/{}.{}", topic.group.0, topic.generation.0)
}
