//! `/schemas`, `/subjects`, `/config`, `/mode`: the read side of Confluent's schema registry API, for the Avro schemas of row topics.

use serde::{Deserialize, Serialize};

/// The schema of an id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({"schema": "{\"type\": \"record\", \"name\": \"value\", \"fields\": []}"})))]
pub struct SchemaOfId {
    /// The Avro schema as JSON.
    pub schema: String,
    /// The greatest id there is, if it was asked for.
    #[serde(default, rename = "maxId", skip_serializing_if = "Option::is_none")]
    pub max_id: Option<u32>,
}

/// A version of a subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({"subject": "forebay-rows-product-value-value", "version": 1})))]
pub struct SubjectVersion {
    pub subject: String,
    /// Counts from 1.
    pub version: u32,
}

/// A version of a subject with its schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SubjectSchema {
    /// The topic's name with `-value` behind it.
    pub subject: String,
    /// Counts from 1.
    pub version: u32,
    /// The id that stands in every record of this schema.
    pub id: u32,
    /// The Avro schema as JSON.
    pub schema: String,
}

/// A schema to look up; what else clients send is not looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({"schema": "{\"type\": \"record\", \"name\": \"value\", \"fields\": []}", "schemaType": "AVRO"})))]
pub struct SchemaLookup {
    /// The schema as JSON.
    pub schema: String,
    /// `AVRO`, which it also is without.
    #[serde(default, rename = "schemaType", skip_serializing_if = "Option::is_none")]
    pub schema_type: Option<String>,
}

/// The id of a schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SchemaId {
    pub id: u32,
}

/// How versions of a subject relate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({"compatibilityLevel": "FULL_TRANSITIVE"})))]
pub struct Compatibility {
    #[serde(rename = "compatibilityLevel")]
    pub compatibility_level: String,
}

/// Whether schemas can be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({"mode": "READONLY"})))]
pub struct Mode {
    pub mode: String,
}

/// An error in the form that clients of schema registries read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({"error_code": 40401, "message": "Subject 'x-value' not found."})))]
pub struct SchemaRegistryError {
    /// The status and two more digits.
    pub error_code: u32,
    pub message: String,
}
