//! The expressions of a view, compiled together over the view's features and request features.

use forebay_model::{DataType, Name, definitions::FeatureView};

use crate::{Expression, SqlError};

/// One expression of a view.
#[derive(Debug, Clone)]
pub struct ViewExpression {
    pub name: Name,
    pub data_type: DataType,
    pub compiled: Expression,
    /// What the expression reads, in the order of [`Expression::references`].
    pub inputs: Vec<ViewInput>,
}

/// An input of a view's expression: the index of one of its features or request features.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViewInput {
    Feature(usize),
    Request(usize),
}

impl ViewExpression {
    /// Compiles all expressions of a view. `features` are the types of its features, in its order.
    ///
    /// # Errors
    /// The first expression that does not fit these types, by its name: an old revision of a view may read what has changed since.
    pub fn compile_all<'a>(
        view: &FeatureView,
        features: impl IntoIterator<Item = &'a DataType>,
    ) -> Result<Vec<Self>, (Name, SqlError)> {
        let names = view.features.iter().map(|feature| feature.expression_name());
        let features = names
            .zip(features)
            .enumerate()
            .map(|(index, (name, of))| (ViewInput::Feature(index), name, of));
        let request = view.request.iter().enumerate();
        let request = request.map(|(index, request)| (ViewInput::Request(index), &request.name, &request.data_type));
        let (inputs, columns): (Vec<ViewInput>, Vec<(&str, DataType)>) = features
            .chain(request)
            .map(|(input, name, of)| (input, (name.as_str(), of.clone())))
            .unzip();
        let expressions = view.expressions.iter().map(|expression| {
            let compiled = Expression::compile(&expression.sql, &columns, &expression.data_type)
                .map_err(|error| (expression.name.clone(), error))?;
            Ok(Self {
                name: expression.name.clone(),
                data_type: expression.data_type.clone(),
                inputs: compiled.references().iter().map(|index| inputs[*index]).collect(),
                compiled,
            })
        });
        expressions.collect()
    }
}
