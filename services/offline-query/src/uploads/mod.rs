//! Uploaded spines: files that expire, where every copy of the service finds them.

mod check;
mod folder;

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use check::{CheckError, check};
use datafusion::datasource::TableProvider;
use folder::Stored;
use forebay_api::{Code, Problem, spines::SpineUpload};
use forebay_model::{Clock, DataType, Timestamp};
use forebay_query::{Engine, FileKind};
use forebay_server::{ApiError, ApiResult};
use futures::{Stream, TryStreamExt};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    query_error,
    request::refuse,
    state::{Deps, Limits},
};

pub use folder::SpineFolder;

/// Uploads and where they are kept. An id holds the second of its expiry, so that a file's name alone tells when it goes.
pub struct Uploads {
    kept: SpineFolder,
    /// On this machine, for what is not read through yet.
    scratch: PathBuf,
    clock: Arc<dyn Clock>,
    limits: Limits,
}

/// What a body may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Parquet,
    ArrowStream,
    Csv,
}

impl Format {
    /// By the media type of the body.
    pub fn of(media_type: Option<&str>) -> Option<Self> {
        match media_type? {
            "application/vnd.apache.parquet" | "application/parquet" => Some(Self::Parquet),
            "application/vnd.apache.arrow.stream" => Some(Self::ArrowStream),
            "text/csv" => Some(Self::Csv),
            _ => None,
        }
    }

    /// As which it is kept.
    fn stored(self) -> Stored {
        match self {
            Self::Parquet | Self::ArrowStream => Stored::Parquet,
            Self::Csv => Stored::Csv,
        }
    }
}

impl Stored {
    fn kind(self) -> FileKind {
        match self {
            Self::Parquet => FileKind::Parquet,
            Self::Csv => FileKind::Csv,
        }
    }
}

impl From<CheckError> for ApiError {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Io(source) => ApiError::unavailable("the folder for uploads cannot be written", source),
            CheckError::Parquet(_) | CheckError::Arrow(_) => ApiError::new(Code::NotParseable, error.to_string()),
            CheckError::TooManyRows(_) => Problem::new(Code::OverLimit, error.to_string()).into(),
        }
    }
}

/// How often expired files are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

impl Uploads {
    pub fn new(deps: &Deps) -> Self {
        Self {
            kept: deps.spines.clone(),
            scratch: deps.scratch.clone(),
            clock: Arc::clone(&deps.clock),
            limits: deps.limits,
        }
    }

    /// Keeps a body until it expires, once it was read through.
    ///
    /// # Errors
    /// 400 for what is not of the format, 413 and 422 over the limits, 503 when it cannot be written.
    pub async fn keep(
        &self,
        format: Format,
        body: impl Stream<Item = ApiResult<Bytes>> + Unpin,
    ) -> ApiResult<SpineUpload> {
        let now = self.clock.now();
        let lifetime = i64::try_from(self.limits.upload_seconds).unwrap_or(i64::MAX / 2_000_000);
        let expires = now.micros().div_euclid(1_000_000).saturating_add(lifetime);
        let id = format!("{expires:x}-{}", Uuid::new_v4().simple());
        let received = self.receive(body).await?;
        let most_rows = self.limits.upload_rows;
        let checked = tokio::task::spawn_blocking(move || {
            let rows = check(format, received.path(), most_rows)?;
            Ok::<_, CheckError>((received, rows))
        });
        let (received, rows) = checked.await.map_err(ApiError::internal)??;
        self.kept
            .put(&id, format.stored(), received.path())
            .await
            .map_err(|error| ApiError::unavailable("the folder of uploaded spines cannot be written", error))?;
        Ok(SpineUpload {
            id,
            rows,
            expires_at: Timestamp::from_micros(expires.saturating_mul(1_000_000)),
        })
    }

    /// A body in a file that goes with the value.
    async fn receive(&self, mut body: impl Stream<Item = ApiResult<Bytes>> + Unpin) -> ApiResult<NamedTempFile> {
        tokio::fs::create_dir_all(&self.scratch).await.map_err(CheckError::Io)?;
        let received = NamedTempFile::new_in(&self.scratch).map_err(CheckError::Io)?;
        let mut file = tokio::fs::File::from_std(received.reopen().map_err(CheckError::Io)?);
        while let Some(chunk) = body.try_next().await? {
            file.write_all(&chunk).await.map_err(CheckError::Io)?;
        }
        file.flush().await.map_err(CheckError::Io)?;
        Ok(received)
    }

    /// The table of an upload.
    ///
    /// # Errors
    /// 422 when there is no such upload, or it has expired; 503 when the folder does not answer.
    pub async fn open(
        &self,
        engine: &Engine,
        id: &str,
        known: &[(String, DataType)],
    ) -> ApiResult<Arc<dyn TableProvider>> {
        let gone = || {
            let detail = "there is no such upload, or it has expired: upload the spine again";
            refuse(Code::InvalidValue, "/spine/id", detail)
        };
        if expiry(id).is_none_or(|expires| expires <= self.clock.now()) {
            return Err(gone());
        }
        for stored in [Stored::Parquet, Stored::Csv] {
            let found = self.kept.find(id, stored).await;
            let found = found.map_err(|error| ApiError::unavailable("the uploaded spines cannot be read", error))?;
            if let Some(url) = found {
                let table = engine.file_table(url.as_str(), stored.kind(), known).await;
                return table.map_err(|error| query_error::problem(error, "/spine/id"));
            }
        }
        Err(gone())
    }

    /// Removes expired files until it is stopped.
    pub async fn sweep(&self, stop: CancellationToken) {
        loop {
            let now = self.clock.now();
            let is_expired = |id: &str| expiry(id).is_some_and(|expires| expires <= now);
            if let Err(error) = self.kept.remove(is_expired).await {
                tracing::warn!(%error, "expired spines are not removed");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(SWEEP_EVERY) => {}
            }
        }
    }
}

/// When an id expires; none for what is no id.
fn expiry(id: &str) -> Option<Timestamp> {
    let (seconds, unique) = id.split_once('-')?;
    Uuid::try_parse(unique).ok().filter(|_| unique.len() == 32)?;
    let seconds = i64::from_str_radix(seconds, 16).ok()?;
    Some(Timestamp::from_micros(seconds.checked_mul(1_000_000)?))
}
