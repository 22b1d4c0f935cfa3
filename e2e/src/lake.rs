//! The lake as an outsider sees it: a folder, or a prefix of a bucket.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use forebay_testbed::S3Address;
use futures::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

/// The root under which an installation keeps its tables.
#[derive(Clone, Debug)]
pub struct Lake {
    store: Arc<dyn ObjectStore>,
    /// The root within the store.
    prefix: ObjectPath,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Folder(PathBuf),
    S3 { url: String, endpoint: String },
}

impl Lake {
    /// A folder, which is made.
    pub fn folder(root: PathBuf) -> Self {
        std::fs::create_dir_all(&root).expect("a folder for the lake");
        Lake {
            store: Arc::new(LocalFileSystem::new_with_prefix(&root).expect("a folder")),
            prefix: ObjectPath::default(),
            place: Place::Folder(root),
        }
    }

    /// A prefix of the test bed's bucket.
    pub fn s3(server: &S3Address, prefix: &str) -> Self {
        let store = AmazonS3Builder::new()
            .with_endpoint(&server.endpoint)
            .with_allow_http(true)
            .with_bucket_name(S3Address::BUCKET)
            .with_access_key_id(S3Address::ACCESS_KEY)
            .with_secret_access_key(S3Address::SECRET_KEY)
            .with_region(S3Address::REGION)
            .build()
            .expect("an S3 client");
        Lake {
            store: Arc::new(store),
            prefix: ObjectPath::from(prefix),
            place: Place::S3 {
                url: format!("s3://{}/{prefix}", S3Address::BUCKET),
                endpoint: server.endpoint.clone(),
            },
        }
    }

    /// What other programs call a place under the root: a folder's path or an `s3://` URL.
    pub fn location(&self, path: &str) -> String {
        match &self.place {
            Place::Folder(root) => root.join(path).display().to_string(),
            Place::S3 { url, .. } => format!("{url}/{path}"),
        }
    }

    /// The variables by which other programs reach the place.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        match &self.place {
            Place::Folder(_) => Vec::new(),
            Place::S3 { endpoint, .. } => vec![
                ("AWS_ENDPOINT_URL", endpoint.clone()),
                ("AWS_ALLOW_HTTP", "true".into()),
                ("AWS_ACCESS_KEY_ID", S3Address::ACCESS_KEY.into()),
                ("AWS_SECRET_ACCESS_KEY", S3Address::SECRET_KEY.into()),
                ("AWS_REGION", S3Address::REGION.into()),
                ("AWS_CONDITIONAL_PUT", "etag".into()),
            ],
        }
    }

    /// The folder of a lake that is one.
    ///
    /// # Panics
    /// When it is a bucket.
    pub fn as_folder(&self) -> &Path {
        match &self.place {
            Place::Folder(root) => root,
            Place::S3 { url, .. } => panic!("{url} is no folder"),
        }
    }

    fn object(&self, path: &str) -> ObjectPath {
        let parts = self.prefix.parts();
        path.split('/')
            .fold(parts.collect(), |path: ObjectPath, part| path.join(part))
    }

    /// Writes an object.
    pub async fn put(&self, path: &str, bytes: Vec<u8>) {
        let object = self.object(path);
        self.store
            .put(&object, PutPayload::from(bytes))
            .await
            .expect("the lake takes it");
    }

    /// Puts all files of a folder under a path: a table's, whose names are relative to it.
    pub async fn put_folder(&self, path: &str, folder: &Path) {
        let mut folders = vec![(path.to_owned(), folder.to_owned())];
        while let Some((path, folder)) = folders.pop() {
            for entry in folder.read_dir().expect("a folder") {
                let entry = entry.expect("a file").path();
                let name = entry.file_name().and_then(|name| name.to_str()).expect("a plain name");
                let path = format!("{path}/{name}");
                if entry.is_dir() {
                    folders.push((path, entry));
                } else {
                    self.put(&path, std::fs::read(&entry).expect("a file")).await;
                }
            }
        }
    }

    /// How many objects it holds.
    pub async fn count(&self) -> usize {
        let listed: Vec<_> = self
            .store
            .list(Some(&self.prefix))
            .try_collect()
            .await
            .expect("the lake answers");
        listed.len()
    }

    /// The JSON files of a table's log, in order.
    pub async fn commits(&self, table: &str) -> Vec<String> {
        let log = self.object(&format!("{table}/_delta_log"));
        let mut found: Vec<_> = self
            .store
            .list(Some(&log))
            .map_ok(|object| object.location)
            .try_collect()
            .await
            .expect("the lake answers");
        // Beside checkpoints; each commit is named after its version.
        found.retain(|path| path.extension() == Some("json"));
        found.sort();
        let mut texts = Vec::new();
        for path in found {
            let bytes = self.store.get(&path).await.expect("a commit").bytes().await;
            texts.push(String::from_utf8(bytes.expect("a commit").to_vec()).expect("JSON"));
        }
        texts
    }
}
