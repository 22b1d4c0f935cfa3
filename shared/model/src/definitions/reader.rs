//! Reads JSON values field by field and collects what is wrong instead of stopping at it.

use std::{cell::RefCell, collections::BTreeMap, fmt::Display, str::FromStr};

use serde_json::{Map, Value};

use super::{Problem, limits::TEXT_LENGTH, nearest};
use crate::{Name, NameError};

/// The problems of one document, shared by all nodes within it.
#[derive(Debug, Default)]
pub(super) struct Problems(RefCell<Vec<Problem>>);

impl Problems {
    pub fn into_inner(self) -> Vec<Problem> {
        self.0.into_inner()
    }

    fn push(&self, pointer: String, code: &'static str, detail: String, nearest: Vec<String>) {
        self.0.borrow_mut().push(Problem {
            document: None,
            object: None,
            pointer,
            code,
            detail,
            nearest,
        });
    }
}

/// A value and its place. Every reading method answers none only after it has reported why.
#[derive(Debug, Clone)]
pub(super) struct Node<'a> {
    pub value: &'a Value,
    pub pointer: String,
    problems: &'a Problems,
}

impl<'a> Node<'a> {
    pub fn root(value: &'a Value, problems: &'a Problems) -> Self {
        Self {
            value,
            pointer: String::new(),
            problems,
        }
    }

    fn child(&self, step: impl Display, value: &'a Value) -> Self {
        let step = step.to_string().replace('~', "~0").replace('/', "~1");
        let step: String = step.chars().take(TEXT_LENGTH).collect();
        Self {
            value,
            pointer: format!("{}/{step}", self.pointer),
            problems: self.problems,
        }
    }

    pub fn problem(&self, code: &'static str, detail: impl Into<String>) {
        self.problems
            .push(self.pointer.clone(), code, detail.into(), Vec::new());
    }

    fn wrong_type(&self, expected: &str) {
        let found = match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        self.problem("wrong_type", format!("expected {expected}, found {found}"));
    }

    pub fn text(&self) -> Option<&'a str> {
        let text = self.value.as_str();
        if text.is_none() {
            self.wrong_type("a string");
        }
        text
    }

    /// A text of at least one and at most `limit` characters.
    pub fn short_text(&self, limit: usize) -> Option<String> {
        let text = self.text()?;
        if text.is_empty() {
            self.problem("invalid_value", "expected a text, found an empty one");
            return None;
        }
        let length = text.chars().count();
        if length > limit {
            self.problem(
                "over_limit",
                format!("{length} characters; at most {limit} are allowed"),
            );
            return None;
        }
        Some(text.to_owned())
    }

    pub fn parsed<T: FromStr<Err: Display>>(&self, code: &'static str) -> Option<T> {
        let text = self.text()?;
        text.parse()
            .map_err(|error: T::Err| self.problem(code, error.to_string()))
            .ok()
    }

    pub fn name(&self) -> Option<Name> {
        self.named(Name::new)
    }

    /// A name that callers give to a column.
    pub fn column(&self) -> Option<Name> {
        self.named(Name::column)
    }

    pub fn named<T>(&self, read: impl FnOnce(&str) -> Result<T, NameError>) -> Option<T> {
        let text = self.text()?;
        read(text)
            .map_err(|error| self.problem(name_code(&error), error.to_string()))
            .ok()
    }

    pub fn boolean(&self) -> Option<bool> {
        let value = self.value.as_bool();
        if value.is_none() {
            self.wrong_type("true or false");
        }
        value
    }

    pub fn number(&self) -> Option<serde_json::Number> {
        match self.value {
            Value::Number(number) => Some(number.clone()),
            _ => {
                self.wrong_type("a number");
                None
            }
        }
    }

    /// One of a fixed set of words.
    pub fn word<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let all: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            self.problems.push(
                self.pointer.clone(),
                "invalid_value",
                format!("expected one of {}", all.join(", ")),
                nearest(text, words.iter().map(|(word, _)| *word)),
            );
        }
        found.map(|(_, value)| *value)
    }

    /// Every element that could be read; what could not has been reported.
    pub fn list<T>(&self, limit: usize, mut read: impl FnMut(Node<'a>) -> Option<T>) -> Option<Vec<T>> {
        let Value::Array(items) = self.value else {
            self.wrong_type("a list");
            return None;
        };
        if items.len() > limit {
            self.problem(
                "over_limit",
                format!("{} elements; at most {limit} are allowed", items.len()),
            );
            return None;
        }
        Some(
            items
                .iter()
                .enumerate()
                .filter_map(|(index, item)| read(self.child(index, item)))
                .collect(),
        )
    }

    /// An object whose keys are the caller's names.
    pub fn map<K: Ord, V>(
        &self,
        limit: usize,
        mut key: impl FnMut(&Node<'a>, &str) -> Option<K>,
        mut value: impl FnMut(Node<'a>) -> Option<V>,
    ) -> Option<BTreeMap<K, V>> {
        let object = self.object()?;
        if object.len() > limit {
            self.problem(
                "over_limit",
                format!("{} entries; at most {limit} are allowed", object.len()),
            );
            return None;
        }
        Some(
            object
                .iter()
                .filter_map(|(name, item)| {
                    let child = self.child(name, item);
                    let key = key(&child, name);
                    let value = value(child);
                    Some((key?, value?))
                })
                .collect(),
        )
    }

    fn object(&self) -> Option<&'a Map<String, Value>> {
        let object = self.value.as_object();
        if object.is_none() {
            self.wrong_type("an object");
        }
        object
    }

    /// The object's fields; call [`Fields::finish`] when all known ones were read.
    pub fn fields(&self) -> Option<Fields<'a>> {
        Some(Fields {
            object: self.object()?,
            node: self.clone(),
            known: Vec::new(),
        })
    }
}

pub(super) fn name_code(error: &NameError) -> &'static str {
    match error {
        NameError::Reserved(_) => "reserved_name",
        _ => "invalid_name",
    }
}

/// An object whose fields are fixed.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    pub node: Node<'a>,
    object: &'a Map<String, Value>,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// The field, if it is there and not null.
    pub fn get(&mut self, field: &'static str) -> Option<Node<'a>> {
        self.known.push(field);
        let value = self.object.get(field).filter(|value| !value.is_null())?;
        Some(self.node.child(field, value))
    }

    pub fn optional<T>(&mut self, field: &'static str, read: impl FnOnce(Node<'a>) -> Option<T>) -> Option<T> {
        self.get(field).and_then(read)
    }

    pub fn required<T>(&mut self, field: &'static str, read: impl FnOnce(Node<'a>) -> Option<T>) -> Option<T> {
        match self.get(field) {
            Some(node) => read(node),
            None => {
                self.node.problem("missing_field", format!("`{field}` is missing"));
                None
            }
        }
    }

    /// A list that may be left out; none only if something in its place is wrong as a whole.
    pub fn list<T>(
        &mut self,
        field: &'static str,
        limit: usize,
        read: impl FnMut(Node<'a>) -> Option<T>,
    ) -> Option<Vec<T>> {
        match self.get(field) {
            Some(node) => node.list(limit, read),
            None => Some(Vec::new()),
        }
    }

    /// Reports every field that no reader asked for.
    pub fn finish(self) {
        for field in self.object.keys().filter(|key| !self.known.contains(&key.as_str())) {
            let shown: String = field.chars().take(64).collect();
            let near = nearest(field, self.known.iter());
            let hint = near
                .first()
                .map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
            let pointer = self.node.child(field, &Value::Null).pointer;
            self.node.problems.push(
                pointer,
                "unknown_field",
                format!("`{shown}` is not a field here{hint}"),
                near,
            );
        }
    }
}
