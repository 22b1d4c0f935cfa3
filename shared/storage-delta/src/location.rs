//! Where tables lie, and where they may lie: nothing outside the lake's root and the allowed roots is ever opened.

use std::path::{Component, Path, PathBuf};

use forebay_model::GroupSchema;
use url::Url;

/// The lake's root, and further roots that sources may be read from.
#[derive(Debug, Clone)]
pub struct LakeLocations {
    lake: PathBuf,
    allowed: Vec<PathBuf>,
}

/// Why a location is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    #[error("`{uri}` lies outside the places that may be read; allowed are: {allowed}")]
    NotAllowed { uri: String, allowed: String },
    #[error("`{uri}` does not exist")]
    NotFound { uri: String },
    #[error("`{path}` cannot be a root of tables: {reason}")]
    BadRoot { path: String, reason: String },
}

impl LakeLocations {
    /// Makes the lake's root if it is not there yet. Further roots must exist.
    ///
    /// # Errors
    /// [`LocationError::BadRoot`].
    pub fn new(lake: &Path, allowed: &[PathBuf]) -> Result<Self, LocationError> {
        let bad = |path: &Path, error: std::io::Error| LocationError::BadRoot {
            path: path.display().to_string(),
            reason: error.to_string(),
        };
        std::fs::create_dir_all(lake).map_err(|error| bad(lake, error))?;
        let canonical = |path: &Path| path.canonicalize().map_err(|error| bad(path, error));
        Ok(Self {
            lake: canonical(lake)?,
            allowed: allowed.iter().map(|root| canonical(root)).collect::<Result<_, _>>()?,
        })
    }

    #[must_use]
    pub fn lake(&self) -> &Path {
        &self.lake
    }

    /// The folder of a group's table: `<lake>/<domain>/<group>`, later generations with a suffix.
    #[must_use]
    pub fn of_group(&self, schema: &GroupSchema) -> PathBuf {
        let group = schema.name.group().as_str();
        let folder = match schema.generation.0 {
            0 => group.to_owned(),
            // No name has two underscores in a row, so no other group's folder is called like this.
            generation => format!("{group}__g{generation}"),
        };
        self.lake.join(schema.name.domain().as_str()).join(folder)
    }

    /// The folder or file that a URI of a definition or request means: a path under the lake's root, or `file://` under an allowed root. Links are followed
    /// before it is judged.
    ///
    /// # Errors
    /// [`LocationError::NotAllowed`], [`LocationError::NotFound`].
    pub fn of_uri(&self, uri: &str) -> Result<PathBuf, LocationError> {
        let not_allowed = || LocationError::NotAllowed {
            uri: uri.to_owned(),
            allowed: self.describe(),
        };
        let path = self.judge(uri).ok_or_else(not_allowed)?;
        let canonical = path
            .canonicalize()
            .map_err(|_| LocationError::NotFound { uri: uri.to_owned() })?;
        if self.is_allowed(&canonical) {
            Ok(canonical)
        } else {
            Err(not_allowed())
        }
    }

    /// The URL of what a URI means, whether or not it exists.
    ///
    /// # Errors
    /// [`LocationError::NotAllowed`].
    pub fn url_of(&self, uri: &str) -> Result<String, LocationError> {
        let path = match self.of_uri(uri) {
            Err(LocationError::NotFound { .. }) => self.judge(uri),
            found => Some(found?),
        };
        path.and_then(|path| Url::from_file_path(path).ok())
            .map(String::from)
            .ok_or_else(|| LocationError::NotAllowed {
                uri: uri.to_owned(),
                allowed: self.describe(),
            })
    }

    /// Whether a URI may be named in a definition, whether or not it exists yet.
    ///
    /// # Errors
    /// [`LocationError::NotAllowed`].
    pub fn check(&self, uri: &str) -> Result<(), LocationError> {
        match self.of_uri(uri) {
            Err(LocationError::NotFound { .. }) | Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn judge(&self, uri: &str) -> Option<PathBuf> {
        let path = match Url::parse(uri) {
            Ok(url) if url.scheme() == "file" => url.to_file_path().ok()?,
            Ok(_) => return None,
            Err(_) => {
                let relative = Path::new(uri);
                if uri.is_empty() || relative.is_absolute() || uri.contains('\0') {
                    return None;
                }
                self.lake.join(relative)
            }
        };
        let plain = path.components().all(|part| !matches!(part, Component::ParentDir));
        (plain && self.is_allowed(&path)).then_some(path)
    }

    fn is_allowed(&self, path: &Path) -> bool {
        std::iter::once(&self.lake)
            .chain(&self.allowed)
            .any(|root| path.starts_with(root))
    }

    fn describe(&self) -> String {
        let further = self.allowed.iter().map(|root| format!("file://{}", root.display()));
        std::iter::once("paths under the lake's root".to_owned())
            .chain(further)
            .collect::<Vec<_>>()
            .join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_under_a_root_is_opened() {
        let dir = tempfile::tempdir().expect("a folder");
        let (lake, other, outside) = (
            dir.path().join("lake"),
            dir.path().join("other"),
            dir.path().join("outside"),
        );
        for folder in [&lake.join("listings"), &other.join("labels"), &outside] {
            std::fs::create_dir_all(folder).expect("made");
        }
        std::os::unix::fs::symlink(&outside, lake.join("link")).expect("linked");
        let locations = LakeLocations::new(&lake, std::slice::from_ref(&other)).expect("roots");
        let canonical = |path: &Path| path.canonicalize().expect("exists");

        assert_eq!(locations.of_uri("listings"), Ok(canonical(&lake.join("listings"))));
        let labels = canonical(&other.join("labels"));
        assert_eq!(locations.of_uri(&format!("file://{}", labels.display())), Ok(labels));
        assert_eq!(
            locations.of_uri("nothing"),
            Err(LocationError::NotFound { uri: "nothing".into() })
        );
        let outside = format!("file://{}", outside.display());
        for refused in [
            "",
            "/etc",
            "../outside",
            "listings/../../outside",
            "link",
            "s3://bucket/x",
            &outside,
        ] {
            assert!(
                matches!(locations.of_uri(refused), Err(LocationError::NotAllowed { .. })),
                "{refused}"
            );
            assert!(locations.check(refused).is_err(), "{refused}");
        }
        assert_eq!(locations.check("nothing"), Ok(()));
    }
}
