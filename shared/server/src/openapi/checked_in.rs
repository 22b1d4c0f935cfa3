//! The documents under openapi/ are those of the code.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// Set to 1 by `cargo xtask openapi`: the documents are written instead of compared.
const RENEW: &str = "FOREBAY_RENEW_OPENAPI";

/// For a service's test: panics unless `openapi/{name}.json` of the repository is this document.
///
/// # Panics
/// When the file is missing, is not JSON, or says something else; the message names the command that renews it.
pub fn assert_checked_in(name: &str, document: &Value) {
    let folder = documents();
    let file = folder.join(format!("{name}.json"));
    if std::env::var_os(RENEW).is_some_and(|value| value == "1") {
        let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, format!("{document:#}\n")));
        return written.unwrap_or_else(|error| panic!("openapi/{name}.json cannot be written: {error}"));
    }
    let text = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("openapi/{name}.json cannot be read ({error}); run `cargo xtask openapi`"));
    let checked_in: Value = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("openapi/{name}.json is not JSON ({error}); run `cargo xtask openapi`"));
    if let Some(place) = difference(&checked_in, document, "") {
        panic!("openapi/{name}.json is stale at {place:?}; run `cargo xtask openapi` and commit what it writes");
    }
}

/// Their folder in the checkout that the test runs in, which cargo names at run time: another one may have built the test.
fn documents() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).join("../../openapi")
}

/// The JSON pointer of the first difference.
fn difference(left: &Value, right: &Value, place: &str) -> Option<String> {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            let one_sided = left
                .keys()
                .find(|key| !right.contains_key(*key))
                .or(right.keys().find(|key| !left.contains_key(*key)));
            if let Some(key) = one_sided {
                return Some(format!("{place}/{}", escaped(key)));
            }
            left.iter()
                .find_map(|(key, value)| difference(value, &right[key], &format!("{place}/{}", escaped(key))))
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            let pairs = left.iter().zip(right).enumerate();
            pairs
                .into_iter()
                .find_map(|(n, (left, right))| difference(left, right, &format!("{place}/{n}")))
        }
        _ => (left != right).then(|| place.to_owned()),
    }
}

fn escaped(key: &str) -> String {
    let mut pointer = String::new();
    forebay_api::push_pointer(&mut pointer, key);
    pointer.split_off(1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_the_first_difference() {
        let one = json!({"paths": {"/v1/a": {"get": [1, 2]}}});
        assert_eq!(difference(&one, &one, ""), None);
        let other = json!({"paths": {"/v1/a": {"get": [1, 3]}}});
        assert_eq!(difference(&one, &other, "").as_deref(), Some("/paths/~1v1~1a/get/1"));
        let more = json!({"paths": {"/v1/a": {"get": [1, 2]}, "/v1/b": {}}});
        assert_eq!(difference(&one, &more, "").as_deref(), Some("/paths/~1v1~1b"));
    }
}
