//! `get`: an object as it is registered, or the list of a kind.

use std::fmt::Write;

use forebay_client::Collection;
use serde_json::{Map, Value};

use super::Session;
use crate::cli::{GetArgs, ObjectKind};
use crate::exit::Failure;
use crate::table::{align_right, table, text};
use crate::values::shown;

pub async fn get(session: &Session, args: GetArgs) -> Result<(), Failure> {
    let collection = collection(args.kind);
    match args.name {
        Some(name) => {
            let object: Value = session.client.get(collection, &name, args.revision).await?;
            Ok(session.output.write(&object, outline)?)
        }
        None if args.revision.is_some() => Err(Failure::Usage("--revision needs the name of an object".to_owned())),
        None => {
            let objects = session.client.list(collection).await?;
            Ok(session.output.write(&objects, |objects| listed(objects))?)
        }
    }
}

fn collection(kind: ObjectKind) -> Collection {
    match kind {
        ObjectKind::Domains => Collection::Domains,
        ObjectKind::Entities => Collection::Entities,
        ObjectKind::Sources => Collection::Sources,
        ObjectKind::Groups => Collection::Groups,
        ObjectKind::Features => Collection::Features,
        ObjectKind::Views => Collection::Views,
    }
}

fn listed(objects: &[Value]) -> String {
    let mut table = table(["name", "revision", "owners", "description"]);
    align_right(&mut table, 1);
    for object in objects {
        let owners = object["owners"].as_array().map(Vec::as_slice).unwrap_or_default();
        let owners: Vec<String> = owners.iter().map(shown).collect();
        table.add_row([
            shown(&object["name"]),
            shown(&object["revision"]),
            owners.join(", "),
            shown(&object["description"]),
        ]);
    }
    text(&table)
}

/// The object as an outline: one line per field, nested ones below and indented, short lists of short things on one line.
fn outline(object: &Value) -> String {
    let mut text = String::new();
    write_fields(&mut text, object, 0);
    text
}

fn write_fields(text: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    let entries: Vec<(String, &Value)> = match value {
        Value::Object(fields) => in_order(fields)
            .into_iter()
            .map(|(name, value)| (format!("{name}:"), value))
            .collect(),
        Value::Array(items) => items.iter().map(|item| ("-".to_owned(), item)).collect(),
        other => {
            let _ = writeln!(text, "{indent}{}", shown(other));
            return;
        }
    };
    for (label, value) in entries {
        match inline(value) {
            Some(short) if short.contains('\n') => {
                let _ = writeln!(text, "{indent}{label}");
                for line in short.lines() {
                    let _ = writeln!(text, "{indent}  {line}");
                }
            }
            Some(short) => {
                let _ = writeln!(text, "{indent}{label} {short}");
            }
            None => {
                let _ = writeln!(text, "{indent}{label}");
                write_fields(text, value, depth + 1);
            }
        }
    }
}

/// What tells which object it is comes first, the rest by name.
fn in_order(fields: &Map<String, Value>) -> Vec<(&String, &Value)> {
    const FIRST: [&str; 7] = ["kind", "name", "revision", "domain", "type", "description", "owners"];
    let mut fields: Vec<_> = fields.iter().collect();
    fields.sort_by_key(|(name, _)| FIRST.iter().position(|first| first == name).unwrap_or(FIRST.len()));
    fields
}

/// A scalar, a list of scalars or an object of scalars as one line, if it is short enough for one.
fn inline(value: &Value) -> Option<String> {
    const WIDTH: usize = 100;
    let scalar = |value: &Value| (!value.is_array() && !value.is_object()).then(|| shown(value));
    let line = match value {
        Value::Array(items) => format!("[{}]", items.iter().map(scalar).collect::<Option<Vec<_>>>()?.join(", ")),
        Value::Object(fields) => {
            let fields = in_order(fields)
                .into_iter()
                .map(|(name, value)| Some(format!("{name}: {}", scalar(value)?)));
            format!("{{{}}}", fields.collect::<Option<Vec<_>>>()?.join(", "))
        }
        other => return scalar(other),
    };
    (line.len() <= WIDTH).then_some(line)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_is_an_outline() {
        let group = json!({
            "kind": "FeatureGroup", "name": "product.value", "revision": 3, "owners": ["pricing"], "ttl": null,
            "features": [{"name": "sale_price", "type": "float64"}, {"name": "rent_price", "checks": {"min": 0}}],
            "batch": {"sql": "SELECT product_id\nFROM listings", "trigger": {"on_change": true}},
        });
        insta::assert_snapshot!(outline(&group));
    }

    #[test]
    fn a_list_is_a_table() {
        let one = json!({"name": "product", "revision": 1, "owners": ["a", "b"], "description": "Listings"});
        insta::assert_snapshot!(listed(&[one, json!({"name": "visitor", "revision": 12})]));
    }
}
