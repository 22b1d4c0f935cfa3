//! Log entries that were read lately, so that each is fetched once although deltalake, the identities of commits and the follower all read them.

use std::{collections::VecDeque, fmt, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream, stream::BoxStream};
use object_store::{
    Attributes, CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, path::Path,
};
use parking_lot::Mutex;

/// Entries that are kept at most; a table is checkpointed more often than that.
const ENTRIES: usize = 256;
/// Bytes of an entry that is kept at most.
const ENTRY_BYTES: u64 = 64 << 10;

/// An object store that remembers the entries of a table's log. They never change while the table lives; [`LogCache::clear`] forgets those of a table that
/// was made anew.
pub(crate) struct LogCache {
    inner: Arc<dyn ObjectStore>,
    kept: Mutex<VecDeque<(ObjectMeta, Bytes)>>,
}

impl LogCache {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self {
            inner,
            kept: Mutex::default(),
        }
    }

    pub(crate) fn clear(&self) {
        self.kept.lock().clear();
    }

    fn find(&self, location: &Path) -> Option<GetResult> {
        let kept = self.kept.lock();
        let (meta, bytes) = kept.iter().find(|(meta, _)| meta.location == *location)?;
        Some(result(meta.clone(), bytes.clone()))
    }

    fn keep(&self, meta: &ObjectMeta, bytes: &Bytes) {
        let mut kept = self.kept.lock();
        if kept.iter().all(|(other, _)| other.location != meta.location) {
            kept.push_back((meta.clone(), bytes.clone()));
        }
        while kept.len() > ENTRIES {
            kept.pop_front();
        }
    }
}

fn result(meta: ObjectMeta, bytes: Bytes) -> GetResult {
    GetResult {
        range: 0..meta.size,
        payload: GetResultPayload::Stream(stream::iter([Ok(bytes)]).boxed()),
        meta,
        attributes: Attributes::default(),
    }
}

fn is_entry(location: &Path) -> bool {
    let name = location.filename().unwrap_or_default();
    name.strip_suffix(".json")
        .is_some_and(|version| version.len() == 20 && version.bytes().all(|digit| digit.is_ascii_digit()))
}

/// Whether all of it is asked for, whatever it is like.
fn is_plain(options: &GetOptions) -> bool {
    options.range.is_none()
        && options.version.is_none()
        && !options.head
        && options.if_match.is_none()
        && options.if_none_match.is_none()
        && options.if_modified_since.is_none()
        && options.if_unmodified_since.is_none()
}

impl fmt::Debug for LogCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.inner, f)
    }
}

impl fmt::Display for LogCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.inner, f)
    }
}

#[async_trait]
impl ObjectStore for LogCache {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if !is_entry(location) || !is_plain(&options) {
            return self.inner.get_opts(location, options).await;
        }
        if let Some(kept) = self.find(location) {
            return Ok(kept);
        }
        let found = self.inner.get_opts(location, options).await?;
        if found.meta.size > ENTRY_BYTES {
            return Ok(found);
        }
        let meta = found.meta.clone();
        let bytes = found.bytes().await?;
        self.keep(&meta, &bytes);
        Ok(result(meta, bytes))
    }

    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use object_store::{ObjectStoreExt, memory::InMemory};

    use super::*;

    #[tokio::test]
    async fn entries_are_fetched_once_and_nothing_else_is_kept() {
        let inner = Arc::new(InMemory::new());
        let cache = LogCache::new(inner.clone());
        let entry = Path::from("t/_delta_log/00000000000000000007.json");
        let hint = Path::from("t/_delta_log/_last_checkpoint");
        for path in [&entry, &hint] {
            inner.put(path, "one".into()).await.expect("put");
            cache.get(path).await.expect("there").bytes().await.expect("read");
            inner.put(path, "two".into()).await.expect("put");
        }
        let read = async |path| cache.get(path).await.expect("there").bytes().await.expect("read");
        assert_eq!((read(&entry).await, read(&hint).await), ("one".into(), "two".into()));
        cache.clear();
        assert_eq!(read(&entry).await, "two");
        assert_eq!(cache.get_range(&entry, 1..2).await.expect("there"), "w");
    }
}
