//! Uploaded spines: files that expire.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arrow::{error::ArrowError, ipc::reader::StreamReader};
use bytes::Bytes;
use datafusion::datasource::TableProvider;
use forebay_api::{Code, Problem, spines::SpineUpload};
use forebay_model::{Clock, DataType, Timestamp};
use forebay_query::{Engine, FileKind};
use forebay_server::{ApiError, ApiResult};
use futures::{Stream, TryStreamExt};
use parquet::{
    arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder},
    errors::ParquetError,
};
use tokio::{fs, io::AsyncWriteExt};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    query_error,
    request::refuse,
    state::{Deps, Limits},
};

/// The folder of uploads. An id holds the second of its expiry, so that a file alone tells when it goes.
pub struct Uploads {
    folder: PathBuf,
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
}

#[derive(Debug, thiserror::Error)]
enum UploadError {
    #[error("the spine cannot be kept: {0}")]
    Io(#[from] std::io::Error),
    #[error("the body is no such Parquet file: {0}")]
    Parquet(#[from] ParquetError),
    #[error("the body cannot be read: {0}")]
    Arrow(#[from] ArrowError),
    #[error("the spine has more than {0} rows; upload it in parts")]
    TooManyRows(u64),
}

impl From<UploadError> for ApiError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Io(source) => ApiError::unavailable("the folder of uploaded spines cannot be written", source),
            UploadError::Parquet(_) | UploadError::Arrow(_) => ApiError::new(Code::NotParseable, error.to_string()),
            UploadError::TooManyRows(_) => Problem::new(Code::OverLimit, error.to_string()).into(),
        }
    }
}

/// How often expired files are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

impl Uploads {
    pub fn new(deps: &Deps) -> Self {
        Self {
            folder: deps.spine_dir.clone(),
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
        fs::create_dir_all(&self.folder).await.map_err(UploadError::Io)?;
        let partial = Partial(self.folder.join(format!("{id}.part")));
        write(&partial.0, body).await?;
        let (from, to) = (partial.0.clone(), self.folder.join(&id));
        let most_rows = self.limits.upload_rows;
        let rows = tokio::task::spawn_blocking(move || settle(format, &from, &to, most_rows))
            .await
            .map_err(ApiError::internal)??;
        Ok(SpineUpload {
            id,
            rows,
            expires_at: Timestamp::from_micros(expires.saturating_mul(1_000_000)),
        })
    }

    /// The table of an upload.
    ///
    /// # Errors
    /// 422 when there is no such upload, or it has expired.
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
        for (ending, kind) in [("parquet", FileKind::Parquet), ("csv", FileKind::Csv)] {
            let path = self.folder.join(format!("{id}.{ending}"));
            if fs::try_exists(&path).await.unwrap_or(false) {
                let path = fs::canonicalize(&path).await.map_err(UploadError::Io)?;
                let url = format!("file://{}", path.display());
                let table = engine.file_table(&url, kind, known).await;
                return table.map_err(|error| query_error::problem(error, "/spine/id"));
            }
        }
        Err(gone())
    }

    /// Removes expired files until it is stopped.
    pub async fn sweep(&self, stop: CancellationToken) {
        loop {
            if let Err(error) = self.remove_expired().await {
                tracing::warn!(%error, "expired spines are not removed");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(SWEEP_EVERY) => {}
            }
        }
    }

    async fn remove_expired(&self) -> std::io::Result<()> {
        let mut files = match fs::read_dir(&self.folder).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            files => files?,
        };
        while let Some(file) = files.next_entry().await? {
            let name = file.file_name();
            let id = name
                .to_str()
                .and_then(|name| name.split('.').next())
                .unwrap_or_default();
            if expiry(id).is_some_and(|expires| expires <= self.clock.now()) {
                fs::remove_file(file.path()).await?;
            }
        }
        Ok(())
    }
}

/// When an id expires; none for what is no id.
fn expiry(id: &str) -> Option<Timestamp> {
    let (seconds, unique) = id.split_once('-')?;
    Uuid::try_parse(unique).ok().filter(|_| unique.len() == 32)?;
    let seconds = i64::from_str_radix(seconds, 16).ok()?;
    Some(Timestamp::from_micros(seconds.checked_mul(1_000_000)?))
}

/// A file that goes with this value.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        // What stays behind is removed when it has expired.
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn write(path: &Path, mut body: impl Stream<Item = ApiResult<Bytes>> + Unpin) -> ApiResult<()> {
    let mut file = fs::File::create(path).await.map_err(UploadError::Io)?;
    while let Some(chunk) = body.try_next().await? {
        file.write_all(&chunk).await.map_err(UploadError::Io)?;
    }
    file.flush().await.map_err(UploadError::Io)?;
    Ok(())
}

/// Reads a body through and puts it in its place: Parquet and CSV as they are, an Arrow stream as Parquet.
fn settle(format: Format, from: &Path, to: &Path, most_rows: u64) -> Result<u64, UploadError> {
    let within = |rows: u64| match rows <= most_rows {
        true => Ok(rows),
        false => Err(UploadError::TooManyRows(most_rows)),
    };
    match format {
        Format::Parquet => {
            let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(from)?)?;
            let rows = within(u64::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or(0))?;
            std::fs::rename(from, to.with_extension("parquet"))?;
            Ok(rows)
        }
        Format::ArrowStream => {
            let reader = StreamReader::try_new_buffered(File::open(from)?, None)?;
            let converted = Partial(to.with_extension("converted"));
            let mut writer = ArrowWriter::try_new(File::create(&converted.0)?, reader.schema(), None)?;
            let mut rows = 0;
            for batch in reader {
                let batch = batch?;
                rows = within(rows + batch.num_rows() as u64)?;
                writer.write(&batch)?;
            }
            writer.close()?;
            std::fs::rename(&converted.0, to.with_extension("parquet"))?;
            Ok(rows)
        }
        Format::Csv => {
            let format = arrow::csv::reader::Format::default().with_header(true);
            let (schema, _) = format.infer_schema(File::open(from)?, Some(1))?;
            // Read as text here: types come from what the columns are asked for.
            let text: Vec<_> = schema
                .fields()
                .iter()
                .map(|field| field.as_ref().clone().with_data_type(arrow::datatypes::DataType::Utf8))
                .collect();
            let schema = Arc::new(arrow::datatypes::Schema::new(text));
            let reader = arrow::csv::ReaderBuilder::new(schema)
                .with_header(true)
                .build(File::open(from)?)?;
            let mut rows = 0;
            for batch in reader {
                rows = within(rows + batch?.num_rows() as u64)?;
            }
            std::fs::rename(from, to.with_extension("csv"))?;
            Ok(rows)
        }
    }
}
