//! `kind: FeatureGroup`: one table of rows; the unit that is computed, ingested and stored.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use super::{
    Feature, Metadata, Trigger,
    limits::{INPUTS, SQL_LENGTH, TEXT_LENGTH, VIEW_COLUMNS},
    reader::{Fields, Node, name_code},
};
use crate::{
    Duration, FeatureRef, GroupName, Name, NameError,
    limits::{GROUP_FEATURES, KEY_COLUMNS},
};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeatureGroup {
    pub name: GroupName,
    /// In the order in which their keys make the group's key; at least one.
    pub entities: Vec<EntityUse>,
    pub stores: Stores,
    /// None: rows are visible forever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Duration>,
    pub features: Vec<Feature>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streaming: Option<Streaming>,
    /// None for a computed group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingest: Option<Ingest>,
    /// What the rows that callers send were computed from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<Dependency>,
    #[serde(flatten)]
    pub metadata: Metadata,
}

/// An entity whose keys are keys of the group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntityUse {
    pub entity: Name,
    /// The entity's key -> the group's column, where they differ.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<Name, Name>,
}

impl EntityUse {
    /// What the group calls a key of the entity.
    #[must_use]
    pub fn column_of<'a>(&'a self, key: &'a Name) -> &'a Name {
        self.keys.get(key).unwrap_or(key)
    }
}

/// Where a group's rows are kept; at least one is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stores {
    pub online: bool,
    pub offline: bool,
}

impl Serialize for Stores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let names = [(self.online, "online"), (self.offline, "offline")];
        serializer.collect_seq(names.iter().filter(|(there, _)| *there).map(|(_, name)| name))
    }
}

/// Computed by SQL over sources and groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Batch {
    /// Point-in-time joins of features, by the name the query gives them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<Name, Input>,
    pub sql: String,
    /// None: on request, and after what it reads was computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Trigger>,
}

/// Features joined as of each moment at which one of their groups has a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Input {
    pub features: Vec<InputFeature>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InputFeature {
    pub feature: FeatureRef,
    /// Its column in the input; none: the feature's own name.
    #[serde(rename = "as", skip_serializing_if = "Option::is_none")]
    pub alias: Option<Name>,
}

impl InputFeature {
    #[must_use]
    pub fn column(&self) -> &Name {
        self.alias.as_ref().unwrap_or_else(|| self.feature.feature())
    }
}

/// Computed by windows over a topic, or over the rows of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Streaming {
    pub source: StreamingSource,
    /// A condition on the source's columns.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// How late a record may come and still count; none: not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lateness: Option<Duration>,
}

/// A source's name or a group's.
pub type StreamingSource = Dependency;

/// How rows that callers compute come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ingest {
    /// By HTTP or through the group's topic.
    Rows,
    /// As commits to the group's Delta table.
    Commits,
}

/// A group's one way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WayIn {
    Batch,
    Streaming,
    Rows,
    Commits,
}

impl WayIn {
    /// Whether Forebay computes the rows, so that callers may not send any.
    #[must_use]
    pub const fn is_computed(self) -> bool {
        matches!(self, Self::Batch | Self::Streaming)
    }
}

/// Something that can be read: a source, a group or a feature, told apart by the dots in its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dependency {
    Source(Name),
    Group(GroupName),
    Feature(FeatureRef),
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(name) => name.fmt(f),
            Self::Group(name) => name.fmt(f),
            Self::Feature(name) => name.fmt(f),
        }
    }
}

impl FromStr for Dependency {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.matches('.').count() {
            0 => text.parse().map(Self::Source),
            1 => text.parse().map(Self::Group),
            _ => text.parse().map(Self::Feature),
        }
    }
}

impl<'de> Deserialize<'de> for Dependency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Serialize for Dependency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FeatureGroup {
    #[must_use]
    pub fn way_in(&self) -> WayIn {
        match (&self.batch, &self.streaming, self.ingest) {
            (Some(_), _, _) => WayIn::Batch,
            (_, Some(_), _) => WayIn::Streaming,
            (_, _, Some(Ingest::Commits)) => WayIn::Commits,
            _ => WayIn::Rows,
        }
    }

    /// Whether its past can be asked for.
    #[must_use]
    pub const fn has_history(&self) -> bool {
        self.stores.offline
    }

    #[must_use]
    pub fn feature(&self, name: &str) -> Option<&Feature> {
        self.features.iter().find(|f| f.name.as_str() == name)
    }

    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name: Option<GroupName> = fields.required("name", |node| node.named(str::parse));
        let domain = fields.optional("domain", |node| node.name().map(|name| (node, name)));
        if let (Some(group), Some((node, domain))) = (&name, domain)
            && group.domain() != &domain
        {
            node.problem(
                "invalid_combination",
                format!(
                    "`{group}` belongs to the domain `{}`, not to `{domain}`",
                    group.domain()
                ),
            );
        }
        let entities = fields.required("entities", |node| {
            let entities = node.list(KEY_COLUMNS, EntityUse::read)?;
            if node.value.as_array().is_some_and(Vec::is_empty) {
                node.problem("invalid_value", "a group has at least one entity");
            }
            Some(entities)
        });
        let stores = fields.optional("stores", Stores::read);
        let ttl = fields.optional("ttl", |node| node.parsed("invalid_value"));
        let features = fields.required("features", |node| {
            let features = node.list(GROUP_FEATURES, Feature::read)?;
            if node.value.as_array().is_some_and(Vec::is_empty) {
                node.problem("invalid_value", "a group has at least one feature");
            }
            Some(features)
        });
        let batch = fields.optional("batch", Batch::read);
        let streaming = fields.optional("streaming", Streaming::read);
        let ingest = fields.optional("ingest", |node| {
            node.word(&[("rows", Ingest::Rows), ("commits", Ingest::Commits)])
        });
        let depends_on = fields
            .list("depends_on", VIEW_COLUMNS, Dependency::read)
            .unwrap_or_default();
        let metadata = Metadata::read(fields);

        let given = |field| fields.node.value.get(field).is_some_and(|v| !v.is_null());
        let contradict = |detail: &str| fields.node.problem("invalid_combination", detail);
        if [given("batch"), given("streaming"), given("ingest")]
            .iter()
            .filter(|there| **there)
            .count()
            > 1
        {
            contradict("a group has one way in: `batch`, `streaming` or `ingest`");
        }
        let stores = stores.unwrap_or(Stores {
            online: true,
            offline: true,
        });
        if ingest == Some(Ingest::Commits) && !stores.offline {
            contradict("`ingest: commits` needs the offline store: the commits are those of its table");
        }
        if !depends_on.is_empty() && (given("batch") || given("streaming")) {
            contradict(
                "`depends_on` is for groups whose rows callers send; a computed group's dependencies are read from its definition",
            );
        }
        let features = features?;
        let mut seen = HashSet::new();
        for (index, feature) in features.iter().enumerate() {
            if !seen.insert(&feature.name) {
                fields.node.problem(
                    "duplicate",
                    format!("`{}` stands in `features` more than once", feature.name),
                );
            }
            if given("streaming") && feature.aggregate.is_none() {
                fields.node.problem(
                    "missing_field",
                    format!(
                        "features/{index}: `{}` needs an `aggregate`, as every feature of a streaming group",
                        feature.name
                    ),
                );
            }
            if !given("streaming") && feature.aggregate.is_some() {
                fields.node.problem(
                    "invalid_combination",
                    format!(
                        "features/{index}: `{}` has an `aggregate`, which is for streaming groups only",
                        feature.name
                    ),
                );
            }
        }
        let ingest = if batch.is_some() || streaming.is_some() {
            None
        } else {
            Some(ingest.unwrap_or(Ingest::Rows))
        };
        Some(Self {
            name: name?,
            entities: entities?,
            stores,
            ttl,
            features,
            batch,
            streaming,
            ingest,
            depends_on,
            metadata,
        })
    }
}

impl EntityUse {
    /// `product`, or `{entity: user, keys: {user_id: buyer_id}}`.
    fn read(node: Node<'_>) -> Option<Self> {
        if let Value::String(_) = node.value {
            return Some(Self {
                entity: node.name()?,
                keys: BTreeMap::new(),
            });
        }
        let mut fields = node.fields()?;
        let entity = fields.required("entity", |node| node.name());
        let keys = fields.optional("keys", read_key_mapping).unwrap_or_default();
        fields.finish();
        Some(Self { entity: entity?, keys })
    }
}

/// `{user_id: buyer_id}`: a key -> the column that holds it.
pub(super) fn read_key_mapping(node: Node<'_>) -> Option<BTreeMap<Name, Name>> {
    node.map(KEY_COLUMNS, |node, key| node_name(node, key), |node| node.column())
}

fn node_name(node: &Node<'_>, text: &str) -> Option<Name> {
    Name::new(text)
        .map_err(|error| node.problem(name_code(&error), error.to_string()))
        .ok()
}

impl Stores {
    fn read(node: Node<'_>) -> Option<Self> {
        let names = node.list(2, |item| item.word(&[("online", true), ("offline", false)]))?;
        let (online, offline) = (names.contains(&true), names.contains(&false));
        if node.value.as_array().is_some_and(Vec::is_empty) {
            node.problem(
                "invalid_value",
                "a group is kept in at least one store: online, offline",
            );
        }
        Some(Self { online, offline })
    }
}

impl Batch {
    fn read(node: Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let inputs = fields
            .optional("inputs", |node| {
                node.map(INPUTS, |node, key| column_name(node, key), Input::read)
            })
            .unwrap_or_default();
        let sql = fields.required("sql", read_sql);
        let trigger = fields.optional("trigger", Trigger::read);
        fields.finish();
        Some(Self {
            inputs,
            sql: sql?,
            trigger,
        })
    }
}

fn column_name(node: &Node<'_>, text: &str) -> Option<Name> {
    Name::column(text)
        .map_err(|error| node.problem(name_code(&error), error.to_string()))
        .ok()
}

pub(super) fn read_sql(node: Node<'_>) -> Option<String> {
    let text = node.text()?;
    if text.len() > SQL_LENGTH {
        node.problem(
            "over_limit",
            format!("{} bytes of SQL; at most {SQL_LENGTH} are allowed", text.len()),
        );
        return None;
    }
    if text.trim().is_empty() {
        node.problem("invalid_value", "expected SQL, found nothing");
        return None;
    }
    Some(text.to_owned())
}

impl Input {
    fn read(node: Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let features = fields.required("features", |node| {
            let features = node.list(VIEW_COLUMNS, InputFeature::read)?;
            if node.value.as_array().is_some_and(Vec::is_empty) {
                node.problem("invalid_value", "an input has at least one feature");
            }
            let mut seen = HashSet::new();
            if let Some(twice) = features.iter().find(|f| !seen.insert(f.column())) {
                node.problem(
                    "duplicate",
                    format!("two features are called `{}` here; name one with `as`", twice.column()),
                );
            }
            Some(features)
        });
        fields.finish();
        Some(Self { features: features? })
    }
}

impl InputFeature {
    /// `product.value.sale_price`, or `{feature: product.value.sale_price, as: price}`.
    fn read(node: Node<'_>) -> Option<Self> {
        if let Value::String(_) = node.value {
            return Some(Self {
                feature: node.named(str::parse)?,
                alias: None,
            });
        }
        let mut fields = node.fields()?;
        let feature = fields.required("feature", |node| node.named(str::parse));
        let alias = fields.optional("as", |node| node.column());
        fields.finish();
        Some(Self {
            feature: feature?,
            alias,
        })
    }
}

impl Streaming {
    fn read(node: Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let source = fields.required("source", |node| {
            let source = Dependency::read(node.clone())?;
            if matches!(source, Dependency::Feature(_)) {
                node.problem(
                    "invalid_name",
                    format!("`{source}` is a feature; expected a source or a group"),
                );
                return None;
            }
            Some(source)
        });
        let filter = fields.optional("where", read_sql);
        let lateness = fields.optional("lateness", |node| node.parsed("invalid_value"));
        fields.finish();
        Some(Self {
            source: source?,
            filter,
            lateness,
        })
    }
}

impl Dependency {
    fn read(node: Node<'_>) -> Option<Self> {
        node.short_text(3 * TEXT_LENGTH)?;
        node.named(str::parse)
    }
}
