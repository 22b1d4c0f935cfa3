//! Which field of a JSON body does not fit, and how: from serde's message and the path to it.

use forebay_api::{Code, Problem, push_pointer};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_path_to_error::Segment;

use super::objects_only::ObjectsOnly;

/// The problem of a text that did not parse as `T`; `error` is what the plain parse said.
pub fn explain<'de, T: Deserialize<'de>>(text: &'de str, error: &serde_json::Error) -> Problem {
    if !error.is_data() {
        return not_json(error);
    }
    // The parse stopped at the value; what follows may not even be JSON.
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        return not_json(&error);
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    match serde_path_to_error::deserialize::<_, T>(ObjectsOnly(&mut deserializer)) {
        Ok(_) => Problem::new(Code::NotParseable, without_position(error)),
        Err(error) => {
            let message = without_position(error.inner());
            let pointer = pointer(error.path(), &message);
            Problem::at(code(&message), pointer, message)
        }
    }
}

fn not_json(error: &serde_json::Error) -> Problem {
    Problem::new(Code::NotParseable, format!("the body is not JSON: {error}"))
}

/// serde's messages are what tells the kinds of faults apart; these beginnings are part of its public API in all but name.
fn code(message: &str) -> Code {
    match message {
        _ if message.starts_with("unknown field") => Code::UnknownField,
        _ if message.starts_with("missing field") => Code::MissingField,
        _ if message.starts_with("invalid type") => Code::WrongType,
        _ if message.starts_with("duplicate field") => Code::DuplicateKey,
        _ => Code::InvalidValue,
    }
}

fn pointer(path: &serde_path_to_error::Path, message: &str) -> String {
    let mut pointer = String::new();
    let mut last = None;
    for segment in path.iter() {
        match segment {
            Segment::Seq { index } => push_pointer(&mut pointer, &index.to_string()),
            Segment::Map { key } => push_pointer(&mut pointer, key),
            Segment::Enum { variant } => push_pointer(&mut pointer, variant),
            Segment::Unknown => {}
        }
        last = Some(segment);
    }
    let named = ["unknown field `", "missing field `", "duplicate field `"]
        .iter()
        .find_map(|start| message.strip_prefix(start))
        .and_then(|rest| rest.split_once('`'))
        .map(|(field, _)| field);
    if let Some(field) = named
        && !matches!(last, Some(Segment::Map { key }) if key == field)
    {
        push_pointer(&mut pointer, field);
    }
    pointer
}

/// serde_json appends ` at line 1 column 2`; the pointer says it better.
fn without_position(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rfind(" at line ") {
        Some(end) => message[..end].to_owned(),
        None => message,
    }
}
