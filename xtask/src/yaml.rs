//! YAML that other programs wrote or this project keeps, as JSON.

use serde_json::Value;

use crate::shell::Error;

/// All documents of a text; those without content are left out.
pub fn documents(text: &str) -> Result<Vec<Value>, Error> {
    // Bounds are for strangers' documents; some schemas are larger.
    let options = serde_saphyr::options! { budget: None };
    let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(text, options)
        .map_err(|error| Error::Other(format!("not YAML: {error}")))?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}
