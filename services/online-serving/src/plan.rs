//! What a request reads, compiled once per registry revision for a view or a list of features.

use std::{collections::HashMap, sync::Arc};

use forebay_api::{Code, Problem, ProblemError, online_features::OnlineMetadata};
use forebay_catalog::{Asked, Group, KeyColumns, Snapshot, View};
use forebay_model::{DataType, FeatureRef, GroupName, KeyType, Name, definitions::FeatureView};
use forebay_rows::{
    Layouts,
    json::{ColumnReader, Int64As, SlotWriter},
};
use forebay_server::ApiError;
use forebay_sql::ViewExpression;

use crate::{measures::GroupMeasures, serve::refuse};

/// The columns of an answer and where each comes from.
#[derive(Debug)]
pub struct Plan {
    /// The revision of the view; none for a list of features.
    pub view_revision: Option<u64>,
    /// Columns that the caller sends as `entities`, in the order in which the features first need them.
    pub keys: Vec<PlanKey>,
    /// What is read from the store: each group once per mapping of its keys.
    pub groups: Vec<PlanGroup>,
    pub features: Vec<PlanFeature>,
    pub request: Vec<PlanRequest>,
    pub expressions: Vec<ViewExpression>,
    /// The `metadata` of an answer, as JSON.
    pub metadata: Vec<u8>,
}

#[derive(Debug)]
pub struct PlanKey {
    pub name: Name,
    pub key_type: KeyType,
}

#[derive(Debug)]
pub struct PlanGroup {
    pub group: Arc<Group>,
    /// For each of the group's key columns, which of [`Plan::keys`] it is.
    pub keys: Vec<usize>,
    pub layouts: Arc<Layouts>,
    pub measures: GroupMeasures,
}

#[derive(Debug)]
pub struct PlanFeature {
    /// Its name in the answer.
    pub name: String,
    pub feature: FeatureRef,
    /// Which of [`Plan::groups`] holds it, and in which slot.
    pub group: usize,
    pub slot: usize,
    pub data_type: DataType,
    /// What writes it as JSON, with int64 as number and as string.
    pub writers: [SlotWriter; 2],
}

#[derive(Debug)]
pub struct PlanRequest {
    pub name: Name,
    pub data_type: DataType,
    pub reader: ColumnReader,
}

impl Plan {
    /// The plan of a list of features; `names` gives the name of each in the answer.
    ///
    /// # Errors
    /// 422 naming every feature that does not exist or is not stored online, with its place in the list.
    pub fn of_features(snapshot: &Snapshot, features: Vec<(String, FeatureRef)>) -> Result<Self, ApiError> {
        let asked = features.into_iter().map(|(name, feature)| Asked::plain(name, feature));
        Ok(Self::compile(snapshot, asked, "/features", None)?.with_metadata())
    }

    /// The plan of a view's revision.
    ///
    /// # Errors
    /// 422 when the view reads what is no longer there, which an old revision may.
    pub fn of_view(snapshot: &Snapshot, view: &View) -> Result<Self, ApiError> {
        let mut plan = Self::compile(snapshot, view.asked(), "/view", Some(view.revision))?;
        plan.add_expressions(view.definition())?;
        Ok(plan.with_metadata())
    }

    fn compile<'a>(
        snapshot: &Snapshot,
        asked: impl Iterator<Item = Asked<'a>>,
        pointer: &str,
        view_revision: Option<u64>,
    ) -> Result<Self, ApiError> {
        let mut plan = Self {
            view_revision,
            keys: Vec::new(),
            groups: Vec::new(),
            features: Vec::new(),
            request: Vec::new(),
            expressions: Vec::new(),
            metadata: Vec::new(),
        };
        let mut columns = KeyColumns::default();
        let mut errors = Vec::new();
        // The groups read so far, by what tells them apart.
        let mut known: HashMap<(GroupName, Vec<usize>), usize> = HashMap::new();
        for (index, asked) in asked.enumerate() {
            let mut add = || {
                let (group, slot) = find(snapshot, &asked.feature)?;
                let keys = columns.add(group, asked.keys);
                let keys = keys.map_err(|error| (Code::MixedKeys, error.to_string()))?;
                let identity = (group.name.clone(), keys.clone());
                let read = *known.entry(identity).or_insert_with(|| {
                    let layouts = Layouts::new(Arc::clone(&group.schema));
                    plan.groups.push(PlanGroup {
                        measures: GroupMeasures::new(&group.name),
                        group: Arc::clone(group),
                        keys,
                        layouts,
                    });
                    plan.groups.len() - 1
                });
                let data_type = group.schema.slots[slot].data_type.clone();
                plan.features.push(PlanFeature {
                    writers: [Int64As::Number, Int64As::String].map(|int64| SlotWriter::new(slot, &data_type, int64)),
                    data_type,
                    name: asked.name.clone(),
                    feature: asked.feature.clone(),
                    group: read,
                    slot,
                });
                Ok(())
            };
            if let Err((code, detail)) = add() {
                errors.push(ProblemError::at(format!("{pointer}/{index}"), code, detail));
            }
        }
        let keys = columns.into_iter().map(|(name, key_type)| PlanKey { name, key_type });
        plan.keys = keys.collect();
        if errors.is_empty() {
            Ok(plan)
        } else {
            Err(Problem::of(errors).into())
        }
    }

    fn add_expressions(&mut self, view: &FeatureView) -> Result<(), ApiError> {
        let request = view.request.iter().map(|request| PlanRequest {
            name: request.name.clone(),
            data_type: request.data_type.clone(),
            reader: ColumnReader::new(&request.data_type),
        });
        self.request = request.collect();
        let types = self.features.iter().map(|feature| &feature.data_type);
        let expressions = ViewExpression::compile_all(view, types).map_err(|(name, error)| {
            let detail = format!("expression `{name}`: {error}");
            refuse(Code::InvalidSql, "/view", detail)
        })?;
        self.expressions = expressions;
        Ok(())
    }

    fn with_metadata(mut self) -> Self {
        let (feature_names, types) = self.columns().unzip();
        let metadata = OnlineMetadata {
            feature_names,
            types,
            view_revision: self.view_revision,
        };
        // Strings and numbers only: writing them cannot fail.
        self.metadata = serde_json::to_vec(&metadata).unwrap_or_default();
        self
    }

    /// The names of the answer's columns with their types, in order.
    fn columns(&self) -> impl Iterator<Item = (String, DataType)> {
        let keys = self
            .keys
            .iter()
            .map(|key| (key.name.to_string(), key.key_type.data_type()));
        let features = self
            .features
            .iter()
            .map(|feature| (feature.name.clone(), feature.data_type.clone()));
        let request = self.request.iter().map(|r| (r.name.to_string(), r.data_type.clone()));
        let expressions = self
            .expressions
            .iter()
            .map(|e| (e.name.to_string(), e.data_type.clone()));
        keys.chain(features).chain(request).chain(expressions)
    }
}

/// A feature that is served: its group and slot.
fn find<'a>(snapshot: &'a Snapshot, feature: &FeatureRef) -> Result<(&'a Arc<Group>, usize), (Code, String)> {
    let (group, found) = snapshot
        .feature(feature)
        .map_err(|error| (Code::UnknownFeature, error.to_string()))?;
    if !group.is_online() {
        let detail = format!(
            "{feature}: the group {} is not stored online; its stores are [offline]",
            group.name
        );
        return Err((Code::NotOnline, detail));
    }
    Ok((group, found.slot))
}
