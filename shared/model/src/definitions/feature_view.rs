//! `kind: FeatureView`: what one model reads.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;
use serde_json::Value;

use super::{
    Metadata,
    feature_group::{read_key_mapping, read_sql},
    limits::VIEW_COLUMNS,
    reader::{Fields, Node},
};
use crate::{DataType, FeatureRef, Name};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeatureView {
    pub name: Name,
    pub domain: Name,
    /// In the order of the answer.
    pub features: Vec<ViewFeature>,
    /// What the caller sends with each request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub request: Vec<RequestFeature>,
    /// Computed from features and request features when they are read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expressions: Vec<Expression>,
    #[serde(flatten)]
    pub metadata: Metadata,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ViewFeature {
    pub feature: FeatureRef,
    /// The name it has in answers and expressions.
    #[serde(rename = "as", skip_serializing_if = "Option::is_none")]
    pub alias: Option<Name>,
    /// The group's key -> the request's column, where they differ.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<Name, Name>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
}

/// What training reads of a group that keeps no history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum History {
    /// Today's value.
    Current,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RequestFeature {
    pub name: Name,
    #[serde(rename = "type")]
    pub data_type: DataType,
    #[serde(flatten)]
    pub metadata: Metadata,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Expression {
    pub name: Name,
    #[serde(rename = "type")]
    pub data_type: DataType,
    pub sql: String,
    #[serde(flatten)]
    pub metadata: Metadata,
}

impl ViewFeature {
    /// Its name in answers: the alias, else the feature's full name.
    #[must_use]
    pub fn answer_name(&self) -> String {
        self.alias
            .as_ref()
            .map_or_else(|| self.feature.to_string(), ToString::to_string)
    }

    /// Its name in expressions: the alias, else the feature's own name.
    #[must_use]
    pub fn expression_name(&self) -> &Name {
        self.alias.as_ref().unwrap_or_else(|| self.feature.feature())
    }
}

impl FeatureView {
    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.required("name", |node| node.name());
        let domain = fields.required("domain", |node| node.name());
        let features = fields.required("features", |node| {
            let features = node.list(VIEW_COLUMNS, ViewFeature::read)?;
            if node.value.as_array().is_some_and(Vec::is_empty) {
                node.problem("invalid_value", "a view has at least one feature");
            }
            Some(features)
        });
        let request = fields.list("request", VIEW_COLUMNS, RequestFeature::read);
        let expressions = fields.list("expressions", VIEW_COLUMNS, Expression::read);
        let metadata = Metadata::read(fields);
        let view = Self {
            name: name?,
            domain: domain?,
            features: features?,
            request: request?,
            expressions: expressions?,
            metadata,
        };
        view.report_duplicates(fields);
        Some(view)
    }

    fn report_duplicates(&self, fields: &Fields<'_>) {
        let request = self.request.iter().map(|r| r.name.to_string());
        let answers = self
            .features
            .iter()
            .map(ViewFeature::answer_name)
            .chain(request.clone())
            .chain(self.expressions.iter().map(|e| e.name.to_string()));
        for name in twice(answers) {
            let detail = format!("`{name}` stands in the answer more than once; name one with `as`");
            fields.node.problem("duplicate", detail);
        }
        if !self.expressions.is_empty() {
            let inputs = self.features.iter().map(|f| f.expression_name().to_string());
            for name in twice(inputs.chain(request)) {
                let detail = format!("`{name}` could be one of several in expressions; name one with `as`");
                fields.node.problem("duplicate", detail);
            }
        }
    }
}

fn twice(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = HashSet::new();
    names.filter(|name| !seen.insert(name.clone())).collect()
}

impl ViewFeature {
    /// `product.yield.gross_yield`, or an object with `feature`, `as`, `keys`, `history`.
    fn read(node: Node<'_>) -> Option<Self> {
        if let Value::String(_) = node.value {
            return Some(Self {
                feature: node.named(str::parse)?,
                alias: None,
                keys: BTreeMap::new(),
                history: None,
            });
        }
        let mut fields = node.fields()?;
        let feature = fields.required("feature", |node| node.named(str::parse));
        let alias = fields.optional("as", |node| node.column());
        let keys = fields.optional("keys", read_key_mapping).unwrap_or_default();
        let history = fields.optional("history", |node| node.word(&[("current", History::Current)]));
        fields.finish();
        Some(Self {
            feature: feature?,
            alias,
            keys,
            history,
        })
    }
}

impl RequestFeature {
    fn read(node: Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let name = fields.required("name", |node| node.column());
        let data_type = fields.required("type", |node| node.parsed("invalid_type"));
        let metadata = Metadata::read(&mut fields);
        fields.finish();
        Some(Self {
            name: name?,
            data_type: data_type?,
            metadata,
        })
    }
}

impl Expression {
    fn read(node: Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let name = fields.required("name", |node| node.column());
        let data_type = fields.required("type", |node| node.parsed("invalid_type"));
        let sql = fields.required("sql", read_sql);
        let metadata = Metadata::read(&mut fields);
        fields.finish();
        Some(Self {
            name: name?,
            data_type: data_type?,
            sql: sql?,
            metadata,
        })
    }
}
