//! A service's document: what utoipa gathers from its routes, and what is the same for all of them.

use std::collections::HashSet;

use http::Method;
use serde_json::{Value, json};
use utoipa::PartialSchema;
use utoipa::openapi::OpenApi;

use super::problems;

/// The complete OpenAPI 3.1 document of a service, from the routes' own part of it.
///
/// Every operation gets the problems that any request can meet, and `application/problem+json` as the content of those
/// it declares itself; so a handler declares only what is particular to it: `(status = 409, description = "...")`.
pub fn document(name: &str, about: &str, routes: OpenApi) -> Value {
    // A document of utoipa's has string keys only, so that it is always JSON.
    let mut document = serde_json::to_value(routes).unwrap_or_default();
    document["openapi"] = json!("3.1.0");
    document["info"] = json!({
        "title": format!("Forebay {name}"),
        "description": about,
        "version": env!("CARGO_PKG_VERSION"),
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    });
    document["servers"] = json!([{"url": "/", "description": "The process that serves this document"}]);
    document["tags"] = json!([{"name": name, "description": about}]);
    document["security"] = json!([{}, {"bearer": []}, {"api_key": []}]);
    let components = &mut document["components"];
    components["securitySchemes"] = json!({
        "bearer": {"type": "http", "scheme": "bearer", "description": "An OIDC token of the installation's issuer"},
        "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A key of this installation"},
    });
    components["schemas"]["Problem"] = schema::<forebay_api::Problem>();
    components["schemas"]["ProblemError"] = schema::<forebay_api::ProblemError>();
    components["responses"] = problems::components();
    each_operation(&mut document, |path, method, operation| {
        operation["tags"] = json!([name]);
        problems::complete(path, method, operation);
    });
    drop_unused_responses(&mut document);
    document
}

/// Leaves only those of the shared responses that an operation refers to.
fn drop_unused_responses(document: &mut Value) {
    let paths = document["paths"].to_string();
    if let Some(responses) = document["components"]["responses"].as_object_mut() {
        responses.retain(|name, _| paths.contains(&format!("\"#/components/responses/{name}\"")));
    }
}

/// The operations that have no query parameters.
pub(crate) fn without_parameters(document: &Value) -> HashSet<(Method, String)> {
    let mut document = document.clone();
    let mut found = HashSet::new();
    each_operation(&mut document, |path, method, operation| {
        let parameters = operation["parameters"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let has_query = parameters.iter().any(|parameter| parameter["in"] == "query");
        if let (false, Ok(method)) = (has_query, method.to_ascii_uppercase().parse()) {
            found.insert((method, path.to_owned()));
        }
    });
    found
}

fn schema<T: PartialSchema>() -> Value {
    serde_json::to_value(T::schema()).unwrap_or_default()
}

/// Calls `visit` with the path, the method in lower case and the operation.
fn each_operation(document: &mut Value, mut visit: impl FnMut(&str, &str, &mut Value)) {
    let Some(paths) = document["paths"].as_object_mut() else {
        return;
    };
    for (path, item) in paths {
        let Some(item) = item.as_object_mut() else { continue };
        for (method, operation) in item {
            if matches!(
                method.as_str(),
                "get" | "put" | "post" | "delete" | "patch" | "head" | "options"
            ) {
                visit(path, method, operation);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use utoipa_axum::router::OpenApiRouter;
    use utoipa_axum::routes;

    use super::*;

    #[utoipa::path(post, path = "/v1/things/{name}", operation_id = "makeThing", params(("name" = String, Path)),
        request_body = String, responses((status = 200, body = String), (status = 409, description = "`conflict`: it exists")))]
    async fn make() {}

    #[utoipa::path(get, path = "/v1/things", operation_id = "listThings", params(("q" = Option<String>, Query)),
        responses((status = 200, body = String)))]
    async fn list() {}

    #[test]
    fn every_operation_has_its_problems() {
        let routes: OpenApiRouter = OpenApiRouter::new().routes(routes!(make)).routes(routes!(list));
        let document = document("things", "Things.", routes.into_openapi());
        insta::assert_json_snapshot!(document);
        let without = without_parameters(&document);
        assert_eq!(without, HashSet::from([(Method::POST, "/v1/things/{name}".to_owned())]));
    }
}
