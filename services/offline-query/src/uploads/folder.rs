//! The folder of uploads: on S3 or on a disk, shared by all copies of the service.

use std::{path::Path as LocalPath, sync::Arc};

use bytes::BytesMut;
use futures::TryStreamExt;
use object_store::{Error, ObjectStore, ObjectStoreExt, Result, WriteMultipart, path::Path};
use tokio::io::AsyncReadExt;
use url::Url;

/// Bytes of one part; S3 takes none below 5 MiB but the last.
const PART: usize = 8 << 20;
/// Parts of one upload that are sent at once.
const AT_ONCE: usize = 4;

/// A folder in an object store that the engine can read from.
#[derive(Clone)]
pub struct SpineFolder {
    /// The whole bucket or file system.
    pub store: Arc<dyn ObjectStore>,
    /// The folder in it.
    pub path: Path,
    /// The folder's full URL, `s3://` or `file://`.
    pub url: Url,
}

/// As which an upload is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    Parquet,
    Csv,
}

impl Stored {
    fn ending(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
        }
    }
}

impl SpineFolder {
    /// Copies a file into the folder. Nobody finds it before all of it is there.
    pub(super) async fn put(&self, id: &str, stored: Stored, file: &LocalPath) -> Result<()> {
        let path = self.path_of(id, stored);
        let local = |error: std::io::Error| Error::Generic {
            store: "uploads",
            source: Box::new(error),
        };
        let mut file = tokio::fs::File::open(file).await.map_err(local)?;
        let upload = self.store.put_multipart(&path).await?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART);
        loop {
            let mut part = BytesMut::with_capacity(1 << 20);
            match file.read_buf(&mut part).await {
                Ok(0) => break,
                Ok(_) => {
                    upload.wait_for_capacity(AT_ONCE).await?;
                    upload.put(part.freeze());
                }
                Err(error) => {
                    upload.abort().await?;
                    return Err(local(error));
                }
            }
        }
        upload.finish().await?;
        Ok(())
    }

    /// The full URL of an upload, if it is there.
    pub(super) async fn find(&self, id: &str, stored: Stored) -> Result<Option<Url>> {
        match self.store.head(&self.path_of(id, stored)).await {
            Ok(_) => {}
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        }
        let mut url = self.url.clone();
        let name = name(id, stored);
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(&name);
        }
        Ok(Some(url))
    }

    /// Removes the uploads whose id is no longer good.
    pub(super) async fn remove(&self, is_expired: impl Fn(&str) -> bool) -> Result<()> {
        let mut listed = self.store.list(Some(&self.path));
        while let Some(found) = listed.try_next().await? {
            let id = found.location.filename().and_then(|name| name.split('.').next());
            if !id.is_some_and(&is_expired) {
                continue;
            }
            match self.store.delete(&found.location).await {
                // Another copy of the service was first.
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn path_of(&self, id: &str, stored: Stored) -> Path {
        self.path.clone().join(name(id, stored))
    }
}

fn name(id: &str, stored: Stored) -> String {
    format!("{id}.{}", stored.ending())
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn another_copy_finds_an_upload_of_many_parts_until_it_is_removed() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let folder = || SpineFolder {
            store: Arc::clone(&store),
            path: Path::from("lake/_forebay/spines"),
            url: Url::parse("s3://features/lake/_forebay/spines").expect("a URL"),
        };
        let bytes: Vec<u8> = (0..20_000_000_u32).map(|byte| byte.to_le_bytes()[1]).collect();
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), &bytes).expect("written");
        folder().put("a-1", Stored::Parquet, file.path()).await.expect("kept");
        folder().put("b-2", Stored::Csv, file.path()).await.expect("kept");

        let url = folder().find("a-1", Stored::Parquet).await.expect("an answer");
        assert_eq!(
            url.expect("found").as_str(),
            "s3://features/lake/_forebay/spines/a-1.parquet"
        );
        let path = Path::from("lake/_forebay/spines/a-1.parquet");
        let kept = store.get(&path).await.expect("there").bytes().await.expect("bytes");
        assert!(kept == bytes, "it is what was sent");

        folder().remove(|id| id == "a-1").await.expect("removed");
        folder()
            .remove(|id| id == "a-1")
            .await
            .expect("nothing is left to remove");
        assert_eq!(folder().find("a-1", Stored::Parquet).await.expect("an answer"), None);
        assert_eq!(folder().find("b-2", Stored::Parquet).await.expect("an answer"), None);
        assert!(folder().find("b-2", Stored::Csv).await.expect("an answer").is_some());
    }
}
