//! Documents to definitions.

use std::collections::HashMap;

use serde_json::Value;

use super::{
    Definition, Domain, Entity, FeatureGroup, FeatureView, Kind, ObjectId, Problem, Source,
    reader::{Node, Problems},
};

/// What `apiVersion` may say, and what it means when it is left out.
pub const API_VERSION: &str = "forebay.dev/v1";

/// A definition and the document it stood in.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// Counting from 0.
    pub document: usize,
    pub definition: Definition,
}

/// Reads a bundle. Documents that are null (empty ones, in YAML) are left out; each of the others holds one object.
///
/// # Errors
/// Every problem of every document, in their order.
pub fn parse(documents: &[Value]) -> Result<Vec<Parsed>, Vec<Problem>> {
    let mut parsed: Vec<Parsed> = Vec::new();
    let mut problems = Vec::new();
    let mut first: HashMap<ObjectId, usize> = HashMap::new();
    for (document, value) in documents.iter().enumerate().filter(|(_, value)| !value.is_null()) {
        match parse_one(value) {
            Err(found) => problems.extend(found.into_iter().map(|problem| Problem {
                document: Some(document),
                ..problem
            })),
            Ok(definition) => {
                let id = definition.id();
                if let Some(earlier) = first.insert(id.clone(), document) {
                    problems.push(Problem {
                        document: Some(document),
                        ..Problem::of(
                            id.clone(),
                            "/name",
                            "duplicate",
                            format!("{id} stands in document {earlier} too"),
                        )
                    });
                }
                parsed.push(Parsed { document, definition });
            }
        }
    }
    if problems.is_empty() { Ok(parsed) } else { Err(problems) }
}

/// Reads one object.
///
/// # Errors
/// Every problem of the document; their `document` is none.
pub fn parse_one(value: &Value) -> Result<Definition, Vec<Problem>> {
    let problems = Problems::default();
    let definition = read(&Node::root(value, &problems));
    let mut problems = problems.into_inner();
    match definition {
        Some(definition) if problems.is_empty() => Ok(definition),
        _ => {
            let object = identify(value);
            for problem in &mut problems {
                problem.object.clone_from(&object);
            }
            Err(problems)
        }
    }
}

fn read(node: &Node<'_>) -> Option<Definition> {
    let mut fields = node.fields()?;
    fields.optional("apiVersion", |node| {
        let text = node.text()?;
        if text != API_VERSION {
            node.problem(
                "invalid_value",
                format!("expected `{API_VERSION}`, or no apiVersion at all"),
            );
        }
        Some(())
    });
    let kind = fields.required("kind", |node| node.word(&Kind::ALL.map(|kind| (kind.as_str(), kind))))?;
    let definition = match kind {
        Kind::Domain => Domain::read(&mut fields).map(Definition::Domain),
        Kind::Entity => Entity::read(&mut fields).map(Definition::Entity),
        Kind::Source => Source::read(&mut fields).map(Definition::Source),
        Kind::FeatureGroup => FeatureGroup::read(&mut fields).map(Definition::FeatureGroup),
        Kind::FeatureView => FeatureView::read(&mut fields).map(Definition::FeatureView),
    };
    fields.finish();
    definition
}

fn identify(value: &Value) -> Option<ObjectId> {
    let kind = value.get("kind")?.as_str()?.parse().ok()?;
    let name: String = value.get("name")?.as_str()?.chars().take(255).collect();
    Some(ObjectId::new(kind, name))
}
