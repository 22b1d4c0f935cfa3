//! What Forebay keeps in Apache Kafka: the rows of groups on their way to the stores, announcements between processes, and what sinks have set aside.
//!
//! librdkafka does the talking, on threads of its own. [`KafkaStreams::connect`] is cheap: a client is started by the first who needs it.

mod announcements;
mod client;
mod config;
mod describe;
mod ends;
mod names;
mod reader;
mod refusal;
mod rejected;
mod row_log;
mod sender;
mod streams;
mod topics;

pub use announcements::KafkaAnnouncements;
pub use config::{Compression, KafkaConfig, SaslMechanism};
pub use rejected::KafkaRejectedLog;
pub use row_log::KafkaRowLog;
pub use streams::{KafkaStreams, migrate};

#[cfg(test)]
mod tests;
