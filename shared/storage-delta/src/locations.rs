//! Where tables may lie: nothing outside the lake's root and the allowed places is ever opened.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use datafusion::execution::object_store::ObjectStoreUrl;
use forebay_model::GroupSchema;
use forebay_query::ObjectStores;
use object_store::{ObjectStore, local::LocalFileSystem};
use url::Url;

use crate::{LakeConfig, Location, S3Config, location::bucket_of, s3};

/// Forebay's own files under the root, which no caller may name.
const OWN: &str = "_forebay";

/// The lake's root, and further places that sources may be read from.
#[derive(Debug, Clone)]
pub struct LakeLocations {
    root: Location,
    allowed: Vec<Location>,
    stores: Stores,
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

#[derive(Debug, Clone)]
struct Stores {
    local: Arc<dyn ObjectStore>,
    buckets: BTreeMap<String, Arc<dyn ObjectStore>>,
}

impl LakeLocations {
    /// The places of the settings; without a root there, `default_root`. In an environment that has a name, the root is the folder of that name in it.
    /// Makes a local root if it is not there yet; further folders must exist. Of S3 nothing is asked.
    ///
    /// # Errors
    /// [`LocationError::BadRoot`].
    pub fn open(config: &LakeConfig, default_root: &Path, environment: Option<&str>) -> Result<Self, LocationError> {
        let mut stores = Stores {
            local: Arc::new(LocalFileSystem::new()),
            buckets: BTreeMap::new(),
        };
        let root = match config.root.as_deref().map(|root| (root, Url::parse(root))) {
            Some((root, Ok(url))) if url.scheme() == "s3" => {
                let root = stores.in_bucket(root, &url, &config.s3)?;
                environment.map_or(root.clone(), |environment| root.join(environment))
            }
            named => {
                let mut folder = match named {
                    Some((root, _)) => folder_of(root)?,
                    None => default_root.to_owned(),
                };
                folder.extend(environment);
                std::fs::create_dir_all(&folder).map_err(|failure| bad_root(folder.display(), failure))?;
                stores.folder(&folder)?
            }
        };
        let mut allowed = Vec::new();
        for place in &config.allowed {
            allowed.push(match Url::parse(place) {
                Ok(url) if url.scheme() == "s3" => stores.in_bucket(place, &url, &config.s3)?,
                _ => stores.folder(&folder_of(place)?)?,
            });
        }
        Ok(Self { root, allowed, stores })
    }

    /// Places on the local disk. Makes the lake's root if it is not there yet. Further roots must exist.
    ///
    /// # Errors
    /// [`LocationError::BadRoot`].
    pub fn new(lake: &Path, allowed: &[PathBuf]) -> Result<Self, LocationError> {
        let config = LakeConfig {
            allowed: allowed.iter().map(|root| root.display().to_string()).collect(),
            ..LakeConfig::default()
        };
        Self::open(&config, lake, None)
    }

    /// The lake's root.
    #[must_use]
    pub fn root(&self) -> &Location {
        &self.root
    }

    /// The folder of a group's table: `<lake>/<domain>/<group>`, later generations with a suffix.
    #[must_use]
    pub fn of_group(&self, schema: &GroupSchema) -> Location {
        let (domain, group) = (schema.name.domain(), schema.name.group());
        self.root.join(&match schema.generation.0 {
            0 => format!("{domain}/{group}"),
            // No name has two underscores in a row, so no other group's folder is called like this.
            generation => format!("{domain}/{group}__g{generation}"),
        })
    }

    /// The folder or file that a URI of a definition or request means: a path under the lake's root, or `file://` or `s3://` under an allowed place. Links
    /// of the file system are followed before it is judged.
    ///
    /// # Errors
    /// [`LocationError::NotAllowed`]; [`LocationError::NotFound`] for what is not on the local disk.
    pub fn of_uri(&self, uri: &str) -> Result<Location, LocationError> {
        let location = self.judge(uri).ok_or_else(|| self.not_allowed(uri))?;
        let Some(path) = location.local() else {
            return Ok(location);
        };
        let not_found = |_| LocationError::NotFound { uri: uri.to_owned() };
        let path = path.canonicalize().map_err(not_found)?;
        Location::folder(self.stores.local.clone(), &path)
            .filter(|location| self.is_allowed(location))
            .ok_or_else(|| self.not_allowed(uri))
    }

    /// The URL of what a URI means, whether or not it exists.
    ///
    /// # Errors
    /// [`LocationError::NotAllowed`].
    pub fn url_of(&self, uri: &str) -> Result<String, LocationError> {
        let location = match self.of_uri(uri) {
            Err(LocationError::NotFound { .. }) => self.judge(uri).ok_or_else(|| self.not_allowed(uri))?,
            found => found?,
        };
        Ok(location.url().to_string())
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

    /// The buckets that places lie in, with the URLs that the engine finds them by.
    #[must_use]
    pub fn buckets(&self) -> ObjectStores {
        let buckets = self.stores.buckets.iter();
        buckets
            .filter_map(|(name, store)| Some((ObjectStoreUrl::parse(format!("s3://{name}/")).ok()?, store.clone())))
            .collect()
    }

    /// What a URI means, if it is allowed as it is written.
    fn judge(&self, uri: &str) -> Option<Location> {
        let location = match Url::parse(uri) {
            Ok(url) if url.scheme() == "file" => {
                let path = url.to_file_path().ok()?;
                let up = path.components().any(|part| matches!(part, Component::ParentDir));
                Location::folder(self.stores.local.clone(), &path).filter(|_| !up)?
            }
            Ok(url) => Location::in_bucket(self.stores.buckets.get(bucket_of(&url)?)?.clone(), &url)?,
            Err(_) => {
                let inner = Path::new(uri)
                    .components()
                    .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
                if uri.is_empty() || uri.contains('\0') || !inner {
                    return None;
                }
                self.root.join(uri)
            }
        };
        self.is_allowed(&location).then_some(location)
    }

    fn is_allowed(&self, location: &Location) -> bool {
        let mut roots = std::iter::once(&self.root).chain(&self.allowed);
        roots.any(|root| root.holds(location)) && !self.root.join(OWN).holds(location)
    }

    fn not_allowed(&self, uri: &str) -> LocationError {
        let further = self.allowed.iter().map(Location::to_string);
        let allowed = std::iter::once("paths under the lake's root".to_owned()).chain(further);
        LocationError::NotAllowed {
            uri: uri.to_owned(),
            allowed: allowed.collect::<Vec<_>>().join(", "),
        }
    }
}

impl Stores {
    fn folder(&self, folder: &Path) -> Result<Location, LocationError> {
        let canonical = folder
            .canonicalize()
            .map_err(|failure| bad_root(folder.display(), failure))?;
        Location::folder(self.local.clone(), &canonical)
            .ok_or_else(|| bad_root(folder.display(), "its path is not UTF-8"))
    }

    fn in_bucket(&mut self, text: &str, url: &Url, config: &S3Config) -> Result<Location, LocationError> {
        let wrong = || bad_root(text, "expected s3://bucket or s3://bucket/prefix, and nothing else");
        let name = bucket_of(url).ok_or_else(wrong)?;
        let store = match self.buckets.get(name) {
            Some(known) => known.clone(),
            None => s3::bucket(name, config)?,
        };
        self.buckets.insert(name.to_owned(), store.clone());
        Location::in_bucket(store, url).ok_or_else(wrong)
    }
}

/// The folder that the settings name.
fn folder_of(text: &str) -> Result<PathBuf, LocationError> {
    match Url::parse(text) {
        Ok(url) if url.scheme() == "file" => url
            .to_file_path()
            .map_err(|()| bad_root(text, "expected file:/// and an absolute path")),
        Ok(url) => Err(bad_root(
            text,
            format!("`{}://` is not supported: expected a folder or s3://", url.scheme()),
        )),
        Err(_) if text.is_empty() => Err(bad_root(text, "expected a folder or s3://bucket/prefix")),
        Err(_) => Ok(PathBuf::from(text)),
    }
}

fn bad_root(path: impl fmt::Display, reason: impl fmt::Display) -> LocationError {
    LocationError::BadRoot {
        path: path.to_string(),
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuses(locations: &LakeLocations, uris: &[&str]) {
        for refused in uris {
            assert!(
                matches!(locations.of_uri(refused), Err(LocationError::NotAllowed { .. })),
                "{refused}: {:?}",
                locations.of_uri(refused)
            );
            assert!(locations.check(refused).is_err(), "{refused}");
            assert!(locations.url_of(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn only_what_lies_under_a_root_is_opened() {
        let dir = tempfile::tempdir().expect("a folder");
        let (lake, other, outside) = (
            dir.path().join("lake"),
            dir.path().join("other"),
            dir.path().join("outside"),
        );
        for folder in [
            &lake.join("listings"),
            &other.join("labels"),
            &outside,
            &lake.join("_forebay/spines"),
        ] {
            std::fs::create_dir_all(folder).expect("made");
        }
        std::os::unix::fs::symlink(&outside, lake.join("link")).expect("linked");
        std::os::unix::fs::symlink(lake.join("_forebay"), lake.join("own")).expect("linked");
        let locations = LakeLocations::new(&lake, std::slice::from_ref(&other)).expect("roots");
        let canonical = |path: &Path| path.canonicalize().expect("exists");
        let found = |uri: &str| {
            locations
                .of_uri(uri)
                .map(|location| location.local().map(Path::to_owned))
        };

        assert_eq!(found("listings"), Ok(Some(canonical(&lake.join("listings")))));
        let labels = canonical(&other.join("labels"));
        assert_eq!(found(&format!("file://{}", labels.display())), Ok(Some(labels)));
        assert_eq!(found("nothing"), Err(LocationError::NotFound { uri: "nothing".into() }));
        assert_eq!(locations.check("nothing"), Ok(()));
        let outside = format!("file://{}", outside.display());
        refuses(
            &locations,
            &[
                "",
                "/etc",
                "../outside",
                "listings/../../outside",
                "link",
                "own/spines",
                "_forebay/spines",
                "./_forebay/spines",
                "s3://bucket/x",
                "http://host/x",
                &outside,
            ],
        );
    }

    #[test]
    fn places_in_buckets_are_judged_as_well() {
        let dir = tempfile::tempdir().expect("a folder");
        let config = LakeConfig {
            root: Some("s3://lake/team".to_owned()),
            allowed: vec![
                "s3://others/labels".to_owned(),
                "s3://whole".to_owned(),
                dir.path().display().to_string(),
            ],
            s3: S3Config {
                access_key_id: "key".to_owned(),
                ..S3Config::default()
            },
        };
        let locations = LakeLocations::open(&config, Path::new("unused"), Some("staging")).expect("places");
        let url = |uri: &str| locations.url_of(uri).expect("allowed");
        assert_eq!(locations.root().url().as_str(), "s3://lake/team/staging");
        assert_eq!(url("listings"), "s3://lake/team/staging/listings");
        assert_eq!(url("a b/c.parquet"), "s3://lake/team/staging/a%20b/c.parquet");
        assert_eq!(url("s3://lake/team/staging/a%20b"), "s3://lake/team/staging/a%20b");
        assert_eq!(url("s3://others/labels/2026"), "s3://others/labels/2026");
        assert_eq!(url("s3://whole/of/it"), "s3://whole/of/it");
        let local = format!("file://{}", dir.path().canonicalize().expect("there").display());
        assert_eq!(url(&local), local);
        refuses(
            &locations,
            &[
                "s3://lake/team",
                "s3://lake/team/production/listings",
                "s3://lake/team/staging2",
                "s3://lake/team/staging/../production",
                "s3://lake/team/staging/%2e%2e/production",
                "s3://lake/team/staging/a%2F..%2Fb",
                "s3://lake/team/staging/_forebay/spines/x",
                "_forebay/spines/x",
                "../production",
                "s3://others/labelsx",
                "s3://others",
                "s3://nobody/labels",
                "s3://key:secret@whole/x",
                "s3://whole:9000/x",
                "s3://whole/x?versionId=1",
                "S3://",
                "s3:///x",
                "file:///etc",
            ],
        );
        let buckets: Vec<_> = locations
            .buckets()
            .into_iter()
            .map(|(url, _)| url.to_string())
            .collect();
        assert_eq!(buckets, ["s3://lake/", "s3://others/", "s3://whole/"]);
    }

    #[test]
    fn wrong_settings_are_named() {
        for (root, said) in [
            ("gs://bucket/x", "gs://"),
            ("s3://bucket/x?y", "nothing else"),
            ("", "expected a folder"),
        ] {
            let config = LakeConfig {
                root: Some(root.to_owned()),
                ..LakeConfig::default()
            };
            let error = LakeLocations::open(&config, Path::new("unused"), None).expect_err("refused");
            assert!(error.to_string().contains(said), "{root}: {error}");
        }
    }
}
