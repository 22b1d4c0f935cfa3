//! The responses for errors, shared by all operations.

use serde_json::{Map, Value, json};

/// Status, name among the components, description.
const SHARED: [(u16, &str, &str); 10] = [
    (
        400,
        "NotParseable",
        "The request cannot be parsed: `not_parseable`, `duplicate_key`, `invalid_utf8`, `too_deep`",
    ),
    (404, "NotFound", "The path names nothing: `not_found`"),
    (412, "StaleRevision", "The object has changed since: `stale_revision`"),
    (413, "BodyTooLarge", "The body is too large: `body_too_large`"),
    (
        415,
        "UnsupportedMediaType",
        "The content type is not taken: `unsupported_media_type`",
    ),
    (
        422,
        "Invalid",
        "Understood but wrong; `errors` names the fields or parameters",
    ),
    (
        429,
        "Full",
        "Too many requests of this kind are under way; repeat after Retry-After: `full`",
    ),
    (500, "Internal", "A fault of Forebay's own: `internal`"),
    (
        503,
        "Unavailable",
        "A backend is down or the server is busy; repeat after Retry-After: `unavailable`, `not_ready`, `overloaded`",
    ),
    (
        504,
        "DeadlineExceeded",
        "Not done within the deadline: `deadline_exceeded`",
    ),
];

/// `components.responses` of every document.
pub(super) fn components() -> Value {
    let responses = SHARED.iter().map(|(status, name, description)| {
        let mut response = json!({"description": description, "content": content()});
        if matches!(status, 429 | 503) {
            response["headers"] = json!({"Retry-After": retry_after()});
        }
        ((*name).to_owned(), response)
    });
    Value::Object(responses.collect::<Map<_, _>>())
}

/// Gives an operation the problems that its requests can meet, and those it declares their content.
pub(super) fn complete(path: &str, method: &str, operation: &mut Value) {
    let has_body = operation.get("requestBody").is_some();
    let has_name = path.contains('{');
    let has_if_match = method == "delete"
        || operation["parameters"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one["name"] == "If-Match"));
    let Some(responses) = operation["responses"].as_object_mut() else {
        return;
    };
    for (status, response) in responses.iter_mut() {
        // OpenAPI requires one; utoipa leaves it out where an answer is plain success.
        if response.get("$ref").is_none() && response["description"].as_str().is_none_or(str::is_empty) {
            response["description"] = json!("Done");
        }
        if status.starts_with(['4', '5']) && response.get("content").is_none() && response.get("$ref").is_none() {
            response["content"] = content();
        }
    }
    for (status, name, _) in SHARED {
        let applies = match status {
            404 => has_name,
            412 => has_if_match,
            413 | 415 => has_body,
            _ => true,
        };
        if applies {
            let reference = json!({"$ref": format!("#/components/responses/{name}")});
            responses.entry(status.to_string()).or_insert(reference);
        }
    }
}

fn content() -> Value {
    json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}})
}

fn retry_after() -> Value {
    json!({"description": "Seconds to wait before a repeat", "schema": {"type": "integer", "minimum": 0}})
}
