//! Answers and errors as clients of schema registries read them.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use forebay_api::schema_registry::SchemaRegistryError;
use forebay_server::ApiError;
use serde::Serialize;

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.schemaregistry.v1+json");

/// An answer of this API.
#[derive(Debug)]
pub struct SchemaJson<T>(pub T);

/// Why there is none; the numbers are Confluent's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("Subject '{0}' not found.")]
    UnknownSubject(String),
    #[error("Version {0} not found.")]
    UnknownVersion(u32),
    #[error("Schema {0} not found")]
    UnknownId(String),
    #[error("Schema not found")]
    UnknownSchema,
    #[error("Invalid schema: {0}")]
    InvalidSchema(String),
    #[error(
        "The specified version '{0}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""
    )]
    InvalidVersion(String),
    #[error(
        "Subject {0} is in read-only mode: its schemas follow the feature group's definition; change that with POST /v1/apply"
    )]
    ReadOnly(String),
}

impl Fault {
    const fn error_code(&self) -> u32 {
        match self {
            Self::UnknownSubject(_) => 40401,
            Self::UnknownVersion(_) => 40402,
            Self::UnknownId(_) | Self::UnknownSchema => 40403,
            Self::InvalidSchema(_) => 42201,
            Self::InvalidVersion(_) => 42202,
            Self::ReadOnly(_) => 42205,
        }
    }
}

impl<T: Serialize> IntoResponse for SchemaJson<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response(),
            Err(error) => ApiError::internal(error).into_response(),
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let error_code = self.error_code();
        let status = match error_code / 100 {
            404 => StatusCode::NOT_FOUND,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let error = SchemaRegistryError {
            error_code,
            message: self.to_string(),
        };
        (status, SchemaJson(error)).into_response()
    }
}
