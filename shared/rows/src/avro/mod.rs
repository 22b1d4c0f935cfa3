//! Rows as Avro, for a group's topic: what a producer of any language writes, and what Kafka's tools read.
//!
//! A record holds the keys, `event_time`, `ingest_time` (null: the record's own time is taken), the features, each null or a value, and `_deleted`. Layout `n` of a
//! group has one schema; a later layout only adds features with default null, so that every schema reads what another of them wrote.

mod decoder;
mod encoder;
mod schema;
mod schema_id;
mod topic_name;

pub use decoder::{AvroDecoder, AvroError, AvroRow};
pub use encoder::AvroEncoder;
pub use schema::avro_schema;
pub use schema_id::{
    WIRE_HEAD_LENGTH, of_schema_id, read_wire_head, schema_id, subject, topic_of_subject, write_wire_head,
};
pub use topic_name::topic_name;

#[cfg(test)]
mod tests;
