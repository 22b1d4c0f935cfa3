//! The endpoints, in the order of Confluent's documentation.

use std::sync::Arc;

use axum::{
    extract::{Query, State},
    response::{IntoResponse, Response},
};
use forebay_api::schema_registry::{
    Compatibility, Mode, SchemaId, SchemaLookup, SchemaOfId, SchemaRegistryError, SubjectSchema, SubjectVersion,
};
use forebay_server::{ApiResult, Path, RawBody};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Fault, SchemaJson, subjects::Subjects};
use crate::registry::Registry;

/// Schemas only get features whose default is null: every version reads what every other wrote.
const COMPATIBILITY: &str = "FULL_TRANSITIVE";
const READ_ONLY: &str = "READONLY";

type Answer<T> = Result<SchemaJson<T>, Fault>;

pub fn routes() -> OpenApiRouter<Arc<Registry>> {
    OpenApiRouter::new()
        .routes(routes!(list_schemas))
        .routes(routes!(schema_types))
        .routes(routes!(schema_of_id))
        .routes(routes!(text_of_id))
        .routes(routes!(subjects_of_id))
        .routes(routes!(versions_of_id))
        .routes(routes!(list_subjects))
        .routes(routes!(lookup))
        .routes(routes!(list_versions, register))
        .routes(routes!(version))
        .routes(routes!(text_of_version))
        .routes(routes!(compatibility))
        .routes(routes!(compatibility_of_subject))
        .routes(routes!(mode))
        .routes(routes!(mode_of_subject))
}

/// What clients add to requests. What has no meaning here, such as `deleted` or `normalize`, is not looked at.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// Only subjects that begin so.
    #[serde(rename = "subjectPrefix")]
    subject_prefix: String,
    /// `true`: only the newest version of each subject.
    #[serde(rename = "latestOnly")]
    latest_only: String,
    /// `true`: also the greatest id.
    #[serde(rename = "fetchMaxId")]
    fetch_max_id: String,
}

/// Answers from memory; what is not there may have come through another registry just now, so the head is read before that is said.
async fn find<T>(registry: &Registry, find: impl Fn(&Subjects) -> Result<T, Fault>) -> Result<T, Fault> {
    let environment = registry.deps().topic_environment.as_deref();
    match find(&Subjects::of(registry.catalog().current(), environment)) {
        Ok(found) => Ok(found),
        Err(_) => find(&Subjects::of(registry.newest().await, environment)),
    }
}

fn is_true(text: &str) -> bool {
    text.eq_ignore_ascii_case("true")
}

/// The schemas of all row topics.
#[utoipa::path(get, path = "/schemas", operation_id = "listSchemas", params(Asked), responses((status = 200, body = [SubjectSchema])))]
async fn list_schemas(State(registry): State<Arc<Registry>>, Query(asked): Query<Asked>) -> Answer<Vec<SubjectSchema>> {
    let latest = is_true(&asked.latest_only);
    find(
        &registry,
        |subjects| Ok(subjects.schemas(&asked.subject_prefix, latest)),
    )
    .await
    .map(SchemaJson)
}

/// The kinds of schemas: Avro.
#[utoipa::path(get, path = "/schemas/types", operation_id = "listSchemaTypes", params(Asked), responses((status = 200, body = [String])))]
async fn schema_types() -> SchemaJson<[&'static str; 1]> {
    SchemaJson(["AVRO"])
}

/// The schema of the id that stands in a record.
#[utoipa::path(
    get, path = "/schemas/ids/{id}", operation_id = "getSchema", params(("id" = String, Path, description = "The schema's id"), Asked),
    responses((status = 200, body = SchemaOfId), (status = 404, description = "40403: no schema has this id", body = SchemaRegistryError))
)]
async fn schema_of_id(
    State(registry): State<Arc<Registry>>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Answer<SchemaOfId> {
    let wants_max = is_true(&asked.fetch_max_id);
    let answer = |subjects: &Subjects| {
        Ok(SchemaOfId {
            schema: subjects.schema(&id)?.to_string(),
            max_id: subjects.greatest_id().filter(|_| wants_max),
        })
    };
    find(&registry, answer).await.map(SchemaJson)
}

/// The schema of an id, alone.
#[utoipa::path(
    get, path = "/schemas/ids/{id}/schema", operation_id = "getSchemaText", params(("id" = String, Path, description = "The schema's id"), Asked),
    responses((status = 200, body = Object, description = "The Avro schema"), (status = 404, description = "40403: no schema has this id", body = SchemaRegistryError))
)]
async fn text_of_id(State(registry): State<Arc<Registry>>, Path(id): Path<String>) -> Answer<serde_json::Value> {
    find(&registry, |subjects| subjects.schema(&id)).await.map(SchemaJson)
}

/// The subjects that have the schema of an id.
#[utoipa::path(
    get, path = "/schemas/ids/{id}/subjects", operation_id = "listSubjectsOfSchema", params(("id" = String, Path, description = "The schema's id"), Asked),
    responses((status = 200, body = [String]), (status = 404, description = "40403: no schema has this id", body = SchemaRegistryError))
)]
async fn subjects_of_id(State(registry): State<Arc<Registry>>, Path(id): Path<String>) -> Answer<Vec<String>> {
    let versions = find(&registry, |subjects| subjects.versions_of(&id)).await?;
    Ok(SchemaJson(
        versions.into_iter().map(|version| version.subject).collect(),
    ))
}

/// The subjects and versions that have the schema of an id.
#[utoipa::path(
    get, path = "/schemas/ids/{id}/versions", operation_id = "listVersionsOfSchema", params(("id" = String, Path, description = "The schema's id"), Asked),
    responses((status = 200, body = [SubjectVersion]), (status = 404, description = "40403: no schema has this id", body = SchemaRegistryError))
)]
async fn versions_of_id(State(registry): State<Arc<Registry>>, Path(id): Path<String>) -> Answer<Vec<SubjectVersion>> {
    find(&registry, |subjects| subjects.versions_of(&id))
        .await
        .map(SchemaJson)
}

/// The subjects of all row topics.
#[utoipa::path(get, path = "/subjects", operation_id = "listSubjects", params(Asked), responses((status = 200, body = [String])))]
async fn list_subjects(State(registry): State<Arc<Registry>>, Query(asked): Query<Asked>) -> Answer<Vec<String>> {
    find(&registry, |subjects| Ok(subjects.list(&asked.subject_prefix)))
        .await
        .map(SchemaJson)
}

/// Whether a schema is one of the subject's, and which. This is what a serializer asks that does not register schemas by itself.
#[utoipa::path(
    post, path = "/subjects/{subject}", operation_id = "lookupSchema", params(("subject" = String, Path, description = "The topic's name with `-value` behind it"), Asked),
    request_body(content((SchemaLookup = "application/vnd.schemaregistry.v1+json"), (SchemaLookup = "application/json"))),
    responses(
        (status = 200, body = SubjectSchema),
        (status = 404, description = "40401: no topic has this subject; 40403: the subject has another schema", body = SchemaRegistryError),
        (status = 422, description = "42201: it is not a schema", body = SchemaRegistryError),
    )
)]
async fn lookup(
    State(registry): State<Arc<Registry>>,
    Path(subject): Path<String>,
    body: RawBody,
) -> Answer<SubjectSchema> {
    let asked = read(&body.bytes)?;
    find(&registry, |subjects| subjects.lookup(&subject, &asked.schema))
        .await
        .map(SchemaJson)
}

/// The versions of a subject.
#[utoipa::path(
    get, path = "/subjects/{subject}/versions", operation_id = "listVersions", params(("subject" = String, Path, description = "The topic's name with `-value` behind it"), Asked),
    responses((status = 200, body = [u32]), (status = 404, description = "40401: no topic has this subject", body = SchemaRegistryError))
)]
async fn list_versions(State(registry): State<Arc<Registry>>, Path(subject): Path<String>) -> Answer<Vec<u32>> {
    find(&registry, |subjects| subjects.versions(&subject))
        .await
        .map(SchemaJson)
}

/// The id of a schema that the subject has. A schema that it does not have is refused: schemas follow the definitions, which `POST /v1/apply` registers.
#[utoipa::path(
    post, path = "/subjects/{subject}/versions", operation_id = "registerSchema", params(("subject" = String, Path, description = "The topic's name with `-value` behind it"), Asked),
    request_body(content((SchemaLookup = "application/vnd.schemaregistry.v1+json"), (SchemaLookup = "application/json"))),
    responses(
        (status = 200, body = SchemaId),
        (status = 422, description = "42201: it is not a schema; 42205: the subject does not have it, and nothing is registered here", body = SchemaRegistryError),
    )
)]
async fn register(
    State(registry): State<Arc<Registry>>,
    Path(subject): Path<String>,
    body: RawBody,
) -> Answer<SchemaId> {
    let asked = read(&body.bytes)?;
    match find(&registry, |subjects| subjects.lookup(&subject, &asked.schema)).await {
        Ok(found) => Ok(SchemaJson(SchemaId { id: found.id })),
        Err(Fault::UnknownSchema | Fault::UnknownSubject(_)) => Err(Fault::ReadOnly(subject)),
        Err(fault) => Err(fault),
    }
}

/// A version of a subject.
#[utoipa::path(
    get, path = "/subjects/{subject}/versions/{version}", operation_id = "getVersion",
    params(("subject" = String, Path, description = "The topic's name with `-value` behind it"), ("version" = String, Path, description = "A number from 1, or `latest`"), Asked),
    responses(
        (status = 200, body = SubjectSchema),
        (status = 404, description = "40401: no topic has this subject; 40402: it has no such version", body = SchemaRegistryError),
        (status = 422, description = "42202: it is not a version", body = SchemaRegistryError),
    )
)]
async fn version(
    State(registry): State<Arc<Registry>>,
    Path((subject, version)): Path<(String, String)>,
) -> Answer<SubjectSchema> {
    find(&registry, |subjects| subjects.version(&subject, &version))
        .await
        .map(SchemaJson)
}

/// The schema of a version, alone.
#[utoipa::path(
    get, path = "/subjects/{subject}/versions/{version}/schema", operation_id = "getVersionText",
    params(("subject" = String, Path, description = "The topic's name with `-value` behind it"), ("version" = String, Path, description = "A number from 1, or `latest`"), Asked),
    responses(
        (status = 200, body = Object, description = "The Avro schema"),
        (status = 404, description = "40401: no topic has this subject; 40402: it has no such version", body = SchemaRegistryError),
        (status = 422, description = "42202: it is not a version", body = SchemaRegistryError),
    )
)]
async fn text_of_version(
    State(registry): State<Arc<Registry>>,
    Path((subject, version)): Path<(String, String)>,
) -> ApiResult<Response> {
    let found = match find(&registry, |subjects| subjects.version(&subject, &version)).await {
        Ok(found) => found,
        Err(fault) => return Ok(fault.into_response()),
    };
    let schema: serde_json::Value = serde_json::from_str(&found.schema).map_err(forebay_server::ApiError::internal)?;
    Ok(SchemaJson(schema).into_response())
}

/// How the versions of every subject relate.
#[utoipa::path(get, path = "/config", operation_id = "getCompatibility", params(Asked), responses((status = 200, body = Compatibility)))]
async fn compatibility() -> SchemaJson<Compatibility> {
    SchemaJson(Compatibility {
        compatibility_level: COMPATIBILITY.to_owned(),
    })
}

/// How the versions of a subject relate.
#[utoipa::path(
    get, path = "/config/{subject}", operation_id = "getSubjectCompatibility", params(("subject" = String, Path, description = "The topic's name with `-value` behind it"), Asked),
    responses((status = 200, body = Compatibility), (status = 404, description = "40401: no topic has this subject", body = SchemaRegistryError))
)]
async fn compatibility_of_subject(
    State(registry): State<Arc<Registry>>,
    Path(subject): Path<String>,
) -> Answer<Compatibility> {
    find(&registry, |subjects| subjects.versions(&subject)).await?;
    Ok(compatibility().await)
}

/// That schemas are only read here.
#[utoipa::path(get, path = "/mode", operation_id = "getMode", params(Asked), responses((status = 200, body = Mode)))]
async fn mode() -> SchemaJson<Mode> {
    SchemaJson(Mode {
        mode: READ_ONLY.to_owned(),
    })
}

/// That a subject's schemas are only read here.
#[utoipa::path(
    get, path = "/mode/{subject}", operation_id = "getSubjectMode", params(("subject" = String, Path, description = "The topic's name with `-value` behind it"), Asked),
    responses((status = 200, body = Mode), (status = 404, description = "40401: no topic has this subject", body = SchemaRegistryError))
)]
async fn mode_of_subject(State(registry): State<Arc<Registry>>, Path(subject): Path<String>) -> Answer<Mode> {
    find(&registry, |subjects| subjects.versions(&subject)).await?;
    Ok(mode().await)
}

/// A schema that a client sent; only Avro is known.
fn read(body: &[u8]) -> Result<SchemaLookup, Fault> {
    let asked: SchemaLookup =
        serde_json::from_slice(body).map_err(|error| Fault::InvalidSchema(format!("the body is not one: {error}")))?;
    match asked.schema_type.as_deref() {
        None | Some("AVRO") => Ok(asked),
        Some(other) => Err(Fault::InvalidSchema(format!("only AVRO is known, not {other}"))),
    }
}
