//! /openapi/{service}.json and Swagger UI at /docs.

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::header;
use serde_json::Value;
use utoipa_swagger_ui::{Config, SwaggerUi, Url};

/// The routes of the documents, by the services' names, and of the page that shows all of them.
pub(crate) fn routes(documents: &[(&'static str, &Value)]) -> Router {
    let mut router = Router::new();
    let mut urls = Vec::new();
    for (name, document) in documents {
        let path = format!("/openapi/{name}.json");
        let body = Bytes::from(serde_json::to_vec(document).unwrap_or_default());
        let answer = move || {
            let body = body.clone();
            async move { ([(header::CONTENT_TYPE, "application/json")], body) }
        };
        router = router.route(&path, get(answer));
        // The page keeps its URLs for the life of the process, and takes no owned ones.
        urls.push(Url::new(name, path.leak()));
    }
    let page = SwaggerUi::new("/docs").config(Config::new(urls));
    router.merge(Router::from(page))
}
