//! A folder or file, on the local disk or in a bucket.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use datafusion::execution::{object_store::ObjectStoreUrl, runtime_env::RuntimeEnv};
use object_store::{ObjectStore, path::Path as ObjectPath};
use url::Url;

/// A folder or file. It may not exist.
#[derive(Clone)]
pub struct Location {
    store: Arc<dyn ObjectStore>,
    path: ObjectPath,
    url: Url,
    local: Option<PathBuf>,
}

impl Location {
    /// A place on the local disk, by its absolute path; `None` for one that no URL can name.
    pub(crate) fn folder(store: Arc<dyn ObjectStore>, folder: &Path) -> Option<Self> {
        Some(Self {
            store,
            path: ObjectPath::from_absolute_path(folder).ok()?,
            url: Url::from_file_path(folder).ok()?,
            local: Some(folder.to_owned()),
        })
    }

    /// A place in a bucket, by `s3://bucket` or `s3://bucket/prefix`; `None` when it says anything else.
    pub(crate) fn in_bucket(store: Arc<dyn ObjectStore>, url: &Url) -> Option<Self> {
        let bucket = bucket_of(url)?;
        let path = ObjectPath::from_url_path(url.path()).ok()?;
        let mut url = Url::parse(&format!("s3://{bucket}/")).ok()?;
        let segments = path.parts().map(|part| part.as_ref().to_owned());
        url.path_segments_mut().ok()?.clear().extend(segments);
        Some(Self {
            store,
            path,
            url,
            local: None,
        })
    }

    /// The root of the file system or bucket.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// Where in the store it lies.
    #[must_use]
    pub fn path(&self) -> &ObjectPath {
        &self.path
    }

    /// Its full URL, `file://` or `s3://`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Its path on the local disk, if that is where it lies.
    #[must_use]
    pub fn local(&self) -> Option<&Path> {
        self.local.as_deref()
    }

    /// What lies in it under a path with `/` between its parts.
    #[must_use]
    pub fn join(&self, relative: &str) -> Self {
        let more = ObjectPath::from(relative);
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments
                .pop_if_empty()
                .extend(more.parts().map(|part| part.as_ref().to_owned()));
        }
        Self {
            store: self.store.clone(),
            path: self.path.parts().chain(more.parts()).collect(),
            url,
            local: self.local.as_ref().map(|folder| folder.join(relative)),
        }
    }

    /// Its URL as a folder's.
    pub(crate) fn folder_url(&self) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("");
        }
        url
    }

    /// The root of the store, as the engine finds it.
    pub(crate) fn store_url(&self) -> ObjectStoreUrl {
        match self.url.host_str().filter(|_| self.local.is_none()) {
            Some(bucket) => ObjectStoreUrl::parse(format!("s3://{bucket}/")),
            None => Ok(ObjectStoreUrl::local_filesystem()),
        }
        .unwrap_or_else(|_| ObjectStoreUrl::local_filesystem())
    }

    /// Lets queries of this runtime read from the store.
    pub(crate) fn register(&self, runtime: &RuntimeEnv) {
        runtime.register_object_store(self.store_url().as_ref(), self.store.clone());
    }

    /// The object of that path relative to it; `None` when the path leads out of it.
    pub(crate) fn object(&self, relative: &str) -> Option<ObjectPath> {
        if relative.is_empty() || relative.starts_with('/') || relative.contains("://") {
            return None;
        }
        let relative = ObjectPath::parse(relative).ok()?;
        Some(self.path.parts().chain(relative.parts()).collect())
    }

    /// Whether the other is this place, or in it.
    pub(crate) fn holds(&self, other: &Self) -> bool {
        match (&self.local, &other.local) {
            (Some(folder), Some(path)) => path.starts_with(folder),
            (None, None) => self.url.host_str() == other.url.host_str() && other.path.prefix_matches(&self.path),
            _ => false,
        }
    }
}

/// The bucket of a URL that names a place in one and says nothing else.
pub(crate) fn bucket_of(url: &Url) -> Option<&str> {
    let more = url.query().is_some() || url.fragment().is_some() || url.port().is_some();
    let user = !url.username().is_empty() || url.password().is_some();
    url.host_str()
        .filter(|host| !host.is_empty() && url.scheme() == "s3" && !more && !user)
}

impl PartialEq for Location {
    fn eq(&self, other: &Self) -> bool {
        self.url == other.url
    }
}

impl Eq for Location {}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.url, f)
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.url, f)
    }
}
