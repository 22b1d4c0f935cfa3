//! Values on the command line: `product_id=1,2`, and values of answers as text.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::exit::Failure;

/// Columns written as `name=value,value`. A value that is JSON (a number, true, null, "text in quotes") is that;
/// everything else is text.
pub fn columns(arguments: &[String]) -> Result<BTreeMap<String, Vec<Value>>, Failure> {
    let mut columns = BTreeMap::new();
    for argument in arguments {
        let (name, values) = argument.split_once('=').ok_or_else(|| {
            Failure::Usage(format!(
                "{argument:?} is not a column and its values; write product_id=1,2"
            ))
        })?;
        let values = split(values).into_iter().map(value).collect();
        if columns.insert(name.to_owned(), values).is_some() {
            return Err(Failure::Usage(format!(
                "the column {name} is given twice; write all its values in one"
            )));
        }
    }
    Ok(columns)
}

/// Splits at commas outside of quotes.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut begin, mut quoted, mut escaped) = (0, false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => {
                parts.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    parts
}

fn value(text: &str) -> Value {
    match serde_json::from_str::<Value>(text) {
        Ok(value) if !value.is_object() && !value.is_array() => value,
        _ => Value::String(text.to_owned()),
    }
}

/// A value of an answer for people: text without quotes, nothing for null.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_columns() {
        let arguments = [
            "product_id=1,-2",
            "city=Recife,São Paulo",
            "code=\"42\",\"a,b\",007",
            "x=true,null,1.5,",
        ];
        let read = columns(&arguments.map(str::to_owned)).expect("columns");
        assert_eq!(
            serde_json::to_value(read).expect("JSON"),
            json!({
                "product_id": [1, -2], "city": ["Recife", "São Paulo"], "code": ["42", "a,b", "007"],
                "x": [true, null, 1.5, ""],
            })
        );
        assert!(columns(&["product_id".to_owned()]).is_err());
        assert!(columns(&["a=1".to_owned(), "a=2".to_owned()]).is_err());
    }
}
