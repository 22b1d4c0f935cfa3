//! The expressions of views, compiled against what they read.

use std::collections::BTreeSet;

use forebay_model::{
    DataType,
    definitions::{DefinitionSet, FeatureView, Kind, ObjectId, Problem},
};
use forebay_sql::Expression;

/// What is wrong with the expressions of views that change.
pub fn check(after: &DefinitionSet, changed: &BTreeSet<ObjectId>, broken: &BTreeSet<ObjectId>) -> Vec<Problem> {
    after
        .views()
        .filter(|view| {
            let id = id(view);
            changed.contains(&id) && !broken.contains(&id)
        })
        .flat_map(|view| check_view(after, view))
        .collect()
}

fn id(view: &FeatureView) -> ObjectId {
    ObjectId::new(Kind::FeatureView, view.name.to_string())
}

fn check_view(after: &DefinitionSet, view: &FeatureView) -> Vec<Problem> {
    let features = view.features.iter().filter_map(|used| {
        let group = after.group(used.feature.group())?;
        let feature = group.feature(used.feature.feature().as_str())?;
        Some((used.expression_name().as_str(), feature.data_type.clone()))
    });
    let request = view
        .request
        .iter()
        .map(|feature| (feature.name.as_str(), feature.data_type.clone()));
    let inputs: Vec<(&str, DataType)> = features.chain(request).collect();
    let expressions = view.expressions.iter().enumerate();
    expressions
        .filter_map(|(index, expression)| {
            let error = Expression::compile(&expression.sql, &inputs, &expression.data_type).err()?;
            let pointer = format!("/expressions/{index}/sql");
            let problem = Problem::of(id(view), pointer, error.kind.code(), error.to_string());
            Some(Problem {
                nearest: error.nearest,
                ..problem
            })
        })
        .collect()
}
