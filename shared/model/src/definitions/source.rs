//! `kind: Source`: a Delta table or a Kafka topic that data comes from.

use std::collections::HashSet;

use serde::Serialize;
use serde_json::Value;

use super::{
    Metadata,
    limits::{SOURCE_COLUMNS, TEXT_LENGTH},
    reader::{Fields, Node},
};
use crate::{DataType, Name};

/// Exactly one of `delta` and `kafka` is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Source {
    pub name: Name,
    pub domain: Name,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta: Option<Delta>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kafka: Option<Kafka>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_time: Option<EventTime>,
    /// Declared columns; a Delta table's own schema needs none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schema: Vec<Column>,
    #[serde(flatten)]
    pub metadata: Metadata,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delta {
    /// A path below the lake's root, or a URI below one of the allowed roots.
    pub uri: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kafka {
    pub topic: String,
    pub format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    Json,
    Avro,
}

/// Which column says when a record's facts became true, and how it says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventTime {
    pub field: String,
    /// Of a number since 1970-01-01T00:00:00Z; none: the column is a timestamp or a date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<TimeUnit>,
    /// IANA name of the zone in which times without offset are meant; none: UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeUnit {
    S,
    Ms,
    Us,
    Ns,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    pub name: String,
    #[serde(rename = "type")]
    pub data_type: DataType,
}

impl Source {
    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.required("name", |node| node.name());
        let domain = fields.required("domain", |node| node.name());
        let delta = fields.optional("delta", Delta::read);
        let kafka = fields.optional("kafka", Kafka::read);
        let given = |field| fields.node.value.get(field).is_some_and(|v| !v.is_null());
        if given("delta") == given("kafka") {
            fields.node.problem(
                "invalid_combination",
                "a source has either `delta` or `kafka`, and not both",
            );
        }
        let event_time = fields.optional("event_time", EventTime::read);
        let schema = fields.list("schema", SOURCE_COLUMNS, Column::read).unwrap_or_default();
        let mut seen = HashSet::new();
        if let Some(twice) = schema.iter().find(|column| !seen.insert(&column.name)) {
            fields.node.problem(
                "duplicate",
                format!("the schema names the column `{}` more than once", twice.name),
            );
        }
        if kafka.is_some() && schema.is_empty() && !given("schema") {
            fields
                .node
                .problem("missing_field", "a Kafka source needs its `schema`");
        }
        if let Some(time) = &event_time
            && !schema.is_empty()
            && !schema.iter().any(|column| column.name == time.field)
        {
            fields.node.problem(
                "unknown_column",
                format!("`event_time` names `{}`, which is not in the schema", time.field),
            );
        }
        let metadata = Metadata::read(fields);
        Some(Self {
            name: name?,
            domain: domain?,
            delta,
            kafka,
            event_time,
            schema,
            metadata,
        })
    }
}

impl Delta {
    fn read(node: Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let uri = fields.required("uri", |node| node.short_text(2_048));
        fields.finish();
        Some(Self { uri: uri? })
    }
}

impl Kafka {
    fn read(node: Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let topic = fields.required("topic", |node| {
            let topic = node.short_text(249)?;
            // Kafka's own rule for topic names.
            let legal = topic.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
            if !legal || topic == "." || topic == ".." {
                node.problem("invalid_name", "a topic's name has letters, digits, `.`, `_` and `-`");
                return None;
            }
            Some(topic)
        });
        let format = fields.required("format", |node| {
            node.word(&[("json", Format::Json), ("avro", Format::Avro)])
        });
        fields.finish();
        Some(Self {
            topic: topic?,
            format: format?,
        })
    }
}

impl EventTime {
    /// `ts`, or `{field: ts, unit: ms}`, or `{field: ts, time_zone: America/Sao_Paulo}`.
    fn read(node: Node<'_>) -> Option<Self> {
        if let Value::String(_) = node.value {
            return Some(Self {
                field: node.short_text(TEXT_LENGTH)?,
                unit: None,
                time_zone: None,
            });
        }
        let mut fields = node.fields()?;
        let field = fields.required("field", |node| node.short_text(TEXT_LENGTH));
        let unit = fields.optional("unit", |node| {
            node.word(&[
                ("s", TimeUnit::S),
                ("ms", TimeUnit::Ms),
                ("us", TimeUnit::Us),
                ("ns", TimeUnit::Ns),
            ])
        });
        let time_zone = fields.optional("time_zone", |node| {
            let zone: chrono_tz::Tz = node.parsed("invalid_value")?;
            Some(zone.name().to_owned())
        });
        if unit.is_some() && time_zone.is_some() {
            node.problem(
                "invalid_combination",
                "`unit` is for numbers and `time_zone` for times without offset; give one of them",
            );
        }
        fields.finish();
        Some(Self {
            field: field?,
            unit,
            time_zone,
        })
    }
}

impl Column {
    fn read(node: Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let name = fields.required("name", |node| node.short_text(TEXT_LENGTH));
        let data_type = fields.required("type", |node| node.parsed("invalid_type"));
        fields.finish();
        Some(Self {
            name: name?,
            data_type: data_type?,
        })
    }
}
