//! Every file of values in ci/: linted, rendered, and valid to the API.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Tools, chart};
use crate::shell::{self, Error};
use crate::yaml;

/// What the chart makes of a file of values.
pub struct Rendered {
    /// The file's name.
    pub name: String,
    pub objects: Vec<Value>,
}

impl Rendered {
    /// Objects of a kind.
    pub fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        let kind = kind.to_owned();
        self.objects.iter().filter(move |object| object["kind"] == *kind)
    }
}

/// The files of values, by name.
pub fn values_files() -> Result<Vec<PathBuf>, Error> {
    let folder = chart().join("ci");
    let entries = std::fs::read_dir(&folder).map_err(Error::file(&folder))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.to_string_lossy().ends_with("-values.yaml"))
        .collect();
    files.sort();
    match files.is_empty() {
        false => Ok(files),
        true => Err(Error::Other(format!("{} has no *-values.yaml", folder.display()))),
    }
}

/// Renders with a file of values.
///
/// # Errors
/// What helm's linter, the templates or the API's schemas say.
pub fn checked(tools: &Tools, values: &Path) -> Result<Rendered, Error> {
    shell::output(&mut tools.helm(&["lint", "--strict", "--quiet"], values))?;
    let text = shell::output(&mut tools.helm(&["template", "forebay"], values))?;
    let mut file = tempfile::Builder::new()
        .suffix(".yaml")
        .tempfile()
        .map_err(Error::file(values))?;
    file.write_all(text.as_bytes()).map_err(Error::file(file.path()))?;
    tools.validate(file.path())?;
    Ok(Rendered {
        name: values
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default(),
        objects: yaml::documents(&text)?,
    })
}
