//! Forebay's words and rules: names, types, keys, times, which row wins, what a reader sees, definitions and their graph.
//!
//! Nothing here does I/O, is async or knows Arrow, so every service and every backend can share one implementation of the semantics.

pub mod admission;
pub mod canonical;
pub mod change;
pub mod clock;
pub mod data_type;
pub mod definitions;
pub mod duration;
pub mod entity_key;
pub mod graph;
pub mod limits;
pub mod names;
pub mod row_version;
pub mod schema;
pub mod status;
pub mod timestamp;
pub mod value;

pub use admission::{Admission, Inadmissible};
pub use clock::{Clock, ManualClock, SystemClock};
pub use data_type::{DataType, KeyType};
pub use duration::Duration;
pub use entity_key::{EntityKey, KeyError};
pub use names::{FeatureRef, GroupName, Name, NameError};
pub use row_version::{RowVersion, Sequence};
pub use schema::{Generation, GroupId, GroupSchema, KeyColumn, LayoutNumber, Slot};
pub use status::{Freshness, Status};
pub use timestamp::Timestamp;
pub use value::Value;
