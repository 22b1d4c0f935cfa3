//! Registered objects as `GET /v1/domains`, `/entities`, `/groups`, `/features`, `/views` and `/sources` answer them: in the
//! canonical form, with every shorthand spelled out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Makes the structs of this file: serde always, a schema with the feature `openapi`, absent options and lists left out.
macro_rules! answers {
    ($( $(#[$doc:meta])* pub struct $name:ident { $( $(#[$field_doc:meta])* pub $field:ident: $type:ty, )+ } )+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub struct $name { $( $(#[$field_doc])* pub $field: $type, )+ }
    )+};
}

answers! {
    /// What a team owns.
    pub struct Domain {
        pub kind: String,
        pub name: String,
        /// Counts this object's changes from 1; the ETag.
        pub revision: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub description: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub owners: Vec<String>,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        pub tags: BTreeMap<String, String>,
    }

    /// A thing that features describe.
    pub struct Entity {
        pub kind: String,
        pub name: String,
        /// Counts this object's changes from 1; the ETag.
        pub revision: u64,
        pub domain: String,
        /// In the order in which they make the key.
        pub keys: Vec<TypedName>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub description: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub owners: Vec<String>,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        pub tags: BTreeMap<String, String>,
    }

    /// A name and its type, such as `int64`, `decimal(10,2)`, `list<string>`, `vector<float32, 8>`.
    pub struct TypedName {
        pub name: String,
        pub r#type: String,
    }

    /// Where data comes from: exactly one of `delta` and `kafka`.
    pub struct Source {
        pub kind: String,
        pub name: String,
        /// Counts this object's changes from 1; the ETag.
        pub revision: u64,
        pub domain: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub delta: Option<DeltaLocation>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub kafka: Option<KafkaTopic>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub event_time: Option<EventTime>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub schema: Vec<TypedName>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub description: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub owners: Vec<String>,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        pub tags: BTreeMap<String, String>,
    }

    /// A Delta table, by a path below the lake's root or a URI below an allowed one.
    pub struct DeltaLocation {
        pub uri: String,
    }

    /// A Kafka topic; `format` is json or avro.
    pub struct KafkaTopic {
        pub topic: String,
        pub format: String,
    }

    /// The column that says when a record's facts became true.
    pub struct EventTime {
        pub field: String,
        /// s, ms, us or ns since 1970, where the column is a number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub unit: Option<String>,
        /// IANA name of the zone in which times without offset are meant.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub time_zone: Option<String>,
    }

    /// One table of features.
    pub struct FeatureGroup {
        pub kind: String,
        /// `domain.group`.
        pub name: String,
        /// Counts this object's changes from 1; the ETag.
        pub revision: u64,
        pub entities: Vec<EntityUse>,
        /// Where its rows are kept: online, offline.
        pub stores: Vec<String>,
        /// How long a row is visible, such as `90d`; absent: forever.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub ttl: Option<String>,
        pub features: Vec<GroupFeature>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub batch: Option<Batch>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub streaming: Option<Streaming>,
        /// rows or commits; absent for a computed group.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub ingest: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub depends_on: Vec<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub description: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub owners: Vec<String>,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        pub tags: BTreeMap<String, String>,
        /// The columns of its key, in order. Given by the registry.
        pub keys: Vec<TypedName>,
        /// How its rows come in: batch, streaming, rows or commits. Given by the registry.
        pub way_in: String,
        /// What it reads: sources and groups. Given by the registry.
        pub reads: Vec<String>,
        /// Its place in the order of work. Given by the registry; absent for an old revision.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub level: Option<usize>,
        /// Whether its tables and topics are there. Given by the registry; absent for an old revision.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub ready: Option<bool>,
        /// Why it is not ready.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub not_ready_reason: Option<String>,
    }

    /// An entity whose keys are keys of the group.
    pub struct EntityUse {
        pub entity: String,
        /// The entity's key -> the group's column, where they differ.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        pub keys: BTreeMap<String, String>,
    }

    /// A feature within its group.
    pub struct GroupFeature {
        pub name: String,
        pub r#type: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub unit: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub checks: Option<Checks>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub aggregate: Option<Aggregate>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub description: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub owners: Vec<String>,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        pub tags: BTreeMap<String, String>,
    }

    /// What a feature's values must be like.
    pub struct Checks {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(value_type = Option<f64>))]
        pub min: Option<serde_json::Number>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(value_type = Option<f64>))]
        pub max: Option<serde_json::Number>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        pub not_null: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub one_of: Option<Vec<String>>,
        /// reject, null or warn.
        pub on_fail: String,
    }

    /// An aggregation over a window of event time.
    pub struct Aggregate {
        pub function: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub of: Option<String>,
        pub window: String,
    }

    /// How a group is computed by SQL.
    pub struct Batch {
        /// Point-in-time joins of features, by the name the query gives them.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        pub inputs: BTreeMap<String, Input>,
        pub sql: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub trigger: Option<Trigger>,
    }

    /// Features joined as of each moment.
    pub struct Input {
        pub features: Vec<InputFeature>,
    }

    pub struct InputFeature {
        pub feature: String,
        #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
        pub alias: Option<String>,
    }

    /// When a group is computed without being asked: exactly one of `on_change`, `every` and `cron`.
    pub struct Trigger {
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        pub on_change: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub every: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub cron: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub time_zone: Option<String>,
    }

    /// How a group is computed by windows over a stream.
    pub struct Streaming {
        pub source: String,
        #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
        pub filter: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub lateness: Option<String>,
    }

    /// A feature on its own.
    pub struct Feature {
        /// `domain.group.feature`.
        pub name: String,
        pub group: String,
        /// The group's revision; the ETag.
        pub revision: u64,
        pub r#type: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub unit: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub checks: Option<Checks>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub aggregate: Option<Aggregate>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub description: Option<String>,
        /// Its own, else its group's, else its domain's.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub owners: Vec<String>,
        /// Its group's and its own.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        pub tags: BTreeMap<String, String>,
        /// The columns of its group's key, in order.
        pub keys: Vec<TypedName>,
        /// What it is made from and what decides about it, directly; absent for an old revision.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub upstream: Vec<Dependency>,
        /// The features and views that read it, directly; absent for an old revision.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub downstream: Vec<Dependency>,
    }

    /// The other end of an edge of the graph.
    pub struct Dependency {
        /// The node's id in `GET /v1/graph`.
        pub id: String,
        /// value, influence or declared.
        pub kind: String,
        /// The column that is read, of a source, or of a group's keys and times.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub column: Option<String>,
    }

    /// What one model reads.
    pub struct FeatureView {
        pub kind: String,
        pub name: String,
        /// Counts this object's changes from 1; the ETag.
        pub revision: u64,
        pub domain: String,
        /// In the order of the answer.
        pub features: Vec<ViewFeature>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub request: Vec<RequestFeature>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub expressions: Vec<Expression>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub description: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub owners: Vec<String>,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        pub tags: BTreeMap<String, String>,
    }

    pub struct ViewFeature {
        pub feature: String,
        #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
        pub alias: Option<String>,
        /// The group's key -> the request's column, where they differ.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        pub keys: BTreeMap<String, String>,
    }

    /// What the caller sends with each request.
    pub struct RequestFeature {
        pub name: String,
        pub r#type: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub description: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub owners: Vec<String>,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        pub tags: BTreeMap<String, String>,
    }

    /// Computed from features and request features when they are read.
    pub struct Expression {
        pub name: String,
        pub r#type: String,
        pub sql: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub description: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub owners: Vec<String>,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        pub tags: BTreeMap<String, String>,
    }
}
