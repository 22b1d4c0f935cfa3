//! What a request reads, resolved against one registry revision.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use forebay_api::{Code, Problem, ProblemError};
use forebay_catalog::{Asked, Group, KeyColumns, LookupError, Snapshot, View};
use forebay_model::{DataType, FeatureRef, GroupName, KeyType, Name, NameError, definitions::FeatureView};
use forebay_server::{ApiError, ApiResult};
use forebay_sql::ViewExpression;

use crate::request::{Request, refuse};

/// The columns of an answer behind the spine's, and where each comes from.
#[derive(Debug)]
pub struct Plan {
    pub registry_revision: u64,
    /// The revision of the view; none for a list of features.
    pub view_revision: Option<u64>,
    /// Each group once per mapping of its keys.
    pub groups: Vec<PlanGroup>,
    pub features: Vec<PlanFeature>,
    /// Columns that the spine must have for the expressions.
    pub request: Vec<(Name, DataType)>,
    pub expressions: Vec<ViewExpression>,
}

#[derive(Debug)]
pub struct PlanGroup {
    pub group: Arc<Group>,
    /// The spine's column for each of the group's keys.
    pub keys: Vec<Name>,
}

#[derive(Debug)]
pub struct PlanFeature {
    /// Its name in the answer.
    pub name: String,
    /// Its own name in its group.
    pub feature: Name,
    /// Which of [`Plan::groups`] holds it.
    pub group: usize,
    pub data_type: DataType,
}

/// What the features so far have brought into a plan.
#[derive(Default)]
struct Known {
    keys: KeyColumns,
    /// The groups, by what tells them apart.
    groups: HashMap<(GroupName, Vec<usize>), usize>,
}

type Fault = (Code, String);

impl Plan {
    /// The plan of a request's `features` or `view`.
    ///
    /// # Errors
    /// 422 naming what is unknown or cannot be asked for, 503 while a group is not ready.
    pub fn of(snapshot: &Snapshot, request: &Request<'_>, most_features: usize) -> ApiResult<Self> {
        let within = |count: usize| {
            if count <= most_features {
                return Ok(());
            }
            let detail = format!("{count} features are asked for; at most {most_features} in one request");
            Err(refuse(Code::OverLimit, "/features", detail))
        };
        match (&request.features, &request.view) {
            (Some(_), Some(_)) => Err(refuse(
                Code::InvalidCombination,
                "/view",
                "give either `features` or `view`, not both",
            )),
            (None, None) => Err(refuse(Code::MissingField, "/features", "give `features` or `view`")),
            (Some(_), None) if request.revision.is_some() => Err(refuse(
                Code::InvalidCombination,
                "/revision",
                "a revision goes with `view`, not with `features`",
            )),
            (Some(features), None) => {
                if features.is_empty() {
                    let detail = "the list is empty; name at least one feature";
                    return Err(refuse(Code::InvalidValue, "/features", detail));
                }
                within(features.len())?;
                Self::of_features(snapshot, features)
            }
            (None, Some(view)) => {
                let name: Name = view
                    .parse()
                    .map_err(|error: NameError| refuse(Code::UnknownView, "/view", error.to_string()))?;
                let view = snapshot.view(&name, request.revision).map_err(|error| {
                    let pointer = match error {
                        LookupError::UnknownRevision { .. } => "/revision",
                        _ => "/view",
                    };
                    refuse(Code::UnknownView, pointer, error.to_string())
                })?;
                within(view.definition().features.len())?;
                Self::of_view(snapshot, view)
            }
        }
    }

    fn of_features(snapshot: &Snapshot, features: &[String]) -> ApiResult<Self> {
        let asked = features
            .iter()
            .enumerate()
            .map(|(index, name)| match name.parse::<FeatureRef>() {
                Ok(feature) => Ok(Asked::plain(name.clone(), feature)),
                Err(error) => Err(refuse(
                    Code::UnknownFeature,
                    format!("/features/{index}"),
                    error.to_string(),
                )),
            })
            .collect::<ApiResult<Vec<_>>>()?;
        Self::compile(snapshot, asked, |index| format!("/features/{index}"), None)
    }

    fn of_view(snapshot: &Snapshot, view: &View) -> ApiResult<Self> {
        let asked = view.asked().collect();
        let mut plan = Self::compile(snapshot, asked, |_| "/view".to_owned(), Some(view.revision))?;
        plan.add_expressions(view.definition())?;
        Ok(plan)
    }

    fn compile(
        snapshot: &Snapshot,
        asked: Vec<Asked<'_>>,
        pointer: impl Fn(usize) -> String,
        view_revision: Option<u64>,
    ) -> ApiResult<Self> {
        let mut plan = Self {
            registry_revision: snapshot.revision(),
            view_revision,
            groups: Vec::new(),
            features: Vec::with_capacity(asked.len()),
            request: Vec::new(),
            expressions: Vec::new(),
        };
        let mut errors = Vec::new();
        let mut known = Known::default();
        let mut names = HashSet::new();
        for (index, asked) in asked.into_iter().enumerate() {
            match plan.add(snapshot, &mut known, &asked) {
                Ok(()) if names.insert(asked.name.clone()) => {}
                Ok(()) => errors.push(ProblemError::at(
                    pointer(index),
                    Code::Duplicate,
                    format!("{} is asked for twice", asked.name),
                )),
                Err((Code::NotReady, detail)) => return Err(ApiError::new(Code::NotReady, detail)),
                Err((code, detail)) => errors.push(ProblemError::at(pointer(index), code, detail)),
            }
        }
        if errors.is_empty() {
            Ok(plan)
        } else {
            Err(Problem::of(errors).into())
        }
    }

    fn add(&mut self, snapshot: &Snapshot, known: &mut Known, asked: &Asked<'_>) -> Result<(), Fault> {
        let (group, found) = snapshot
            .feature(&asked.feature)
            .map_err(|error| (Code::UnknownFeature, error.to_string()))?;
        if !group.has_history() {
            let detail = format!(
                "{}: the group {} keeps no history; its stores are [online]",
                asked.feature, group.name
            );
            return Err((Code::NoHistory, detail));
        }
        snapshot
            .ready_group(&group.name)
            .map_err(|error| (Code::NotReady, error.to_string()))?;
        let keys = known.keys.add(group, asked.keys);
        let keys = keys.map_err(|error| (Code::MixedKeys, error.to_string()))?;
        let names = keys.iter().map(|key| known.keys.name(*key).clone()).collect();
        let index = *known.groups.entry((group.name.clone(), keys)).or_insert_with(|| {
            self.groups.push(PlanGroup {
                group: Arc::clone(group),
                keys: names,
            });
            self.groups.len() - 1
        });
        self.features.push(PlanFeature {
            name: asked.name.clone(),
            feature: asked.feature.feature().clone(),
            group: index,
            data_type: group.schema.slots[found.slot].data_type.clone(),
        });
        Ok(())
    }

    /// The spine's key columns, as often as groups use them.
    pub fn keys(&self) -> impl Iterator<Item = (&Name, KeyType)> {
        self.groups.iter().flat_map(|group| {
            let types = group.group.keys().iter().map(|key| key.key_type);
            group.keys.iter().zip(types)
        })
    }

    fn add_expressions(&mut self, view: &FeatureView) -> ApiResult<()> {
        self.request = view
            .request
            .iter()
            .map(|request| (request.name.clone(), request.data_type.clone()))
            .collect();
        let types = self.features.iter().map(|feature| &feature.data_type);
        self.expressions = ViewExpression::compile_all(view, types).map_err(|(name, error)| {
            let detail = format!("expression `{name}`: {error}");
            refuse(Code::InvalidSql, "/view", detail)
        })?;
        Ok(())
    }
}
