use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::{Bytes, BytesMut};
use forebay_rows::json::{RowOptions, RowReader};
use forebay_server::{ApiError, Body};
use futures::{Stream, StreamExt};
use xxhash_rust::xxh3::Xxh3;

use super::{Decoded, Refusal, arrow_stream::ArrowStream, json_body, lines::Lines, parquet_file};

/// Bodies up to this size are parsed on the spot; larger ones where blocking is allowed.
const PARSED_INLINE: usize = 128 << 10;

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    Lines,
    ArrowStream,
    Parquet,
}

impl Format {
    /// # Errors
    /// [`Refusal::MediaType`].
    pub fn of(media_type: Option<&str>) -> Result<Self, Refusal> {
        Ok(match media_type {
            None | Some("application/json") => Self::Json,
            Some("application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/x-jsonlines") => {
                Self::Lines
            }
            Some("application/vnd.apache.arrow.stream") => Self::ArrowStream,
            Some("application/vnd.apache.parquet" | "application/x-parquet") => Self::Parquet,
            Some(other) => return Err(Refusal::MediaType(other.chars().take(100).collect())),
        })
    }
}

/// Decodes a body as it arrives and tells its hash, which begins with `salt`.
///
/// # Errors
/// When the body cannot be read as what it says it is, or is too much.
pub async fn decode(
    format: Format,
    body: Body,
    mut decoded: Decoded,
    options: RowOptions,
    salt: &[u8],
) -> Result<(Decoded, u128), Refusal> {
    let mut hash = Xxh3::new();
    hash.update(salt);
    let mut chunks = body.into_stream();
    match format {
        Format::Lines => {
            let mut lines = Lines::new(RowReader::new(decoded.layouts.clone(), options));
            while let Some(chunk) = next(&mut chunks, &mut hash).await? {
                lines.push(&chunk, &mut decoded)?;
            }
            lines.finish(&mut decoded)?;
        }
        Format::ArrowStream => {
            let mut stream = ArrowStream::new(options);
            while let Some(chunk) = next(&mut chunks, &mut hash).await? {
                let pushed = caught("an Arrow IPC stream", || stream.push(chunk, &mut decoded));
                pushed??;
            }
            stream.finish()?;
        }
        Format::Json | Format::Parquet => {
            let body = collect(&mut chunks, &mut hash, &mut decoded).await?;
            let is_little = format == Format::Json && body.len() <= PARSED_INLINE;
            let parse = move || -> Result<Decoded, Refusal> {
                if format == Format::Json {
                    let reader = RowReader::new(decoded.layouts.clone(), options);
                    json_body::read(&body, reader, &mut decoded)?;
                } else {
                    caught("Parquet", || parquet_file::read(body, options, &mut decoded))??;
                }
                Ok(decoded)
            };
            decoded = if is_little {
                parse()?
            } else {
                tokio::task::spawn_blocking(parse)
                    .await
                    .map_err(|_| Refusal::Interrupted)??
            };
        }
    }
    Ok((decoded, hash.digest128()))
}

/// Decodes a body of JSON that is here as a whole.
///
/// # Errors
/// As [`decode`].
pub fn decode_json(body: &Bytes, decoded: &mut Decoded, options: RowOptions) -> Result<(), Refusal> {
    decoded.reservation.grow(body.len())?;
    let reader = RowReader::new(decoded.layouts.clone(), options);
    json_body::read(body, reader, decoded)
}

async fn next(
    chunks: &mut (impl Stream<Item = Result<Bytes, ApiError>> + Unpin),
    hash: &mut Xxh3,
) -> Result<Option<Bytes>, Refusal> {
    let chunk = chunks.next().await.transpose().map_err(Refusal::Body)?;
    if let Some(chunk) = &chunk {
        hash.update(chunk);
    }
    Ok(chunk)
}

async fn collect(
    chunks: &mut (impl Stream<Item = Result<Bytes, ApiError>> + Unpin),
    hash: &mut Xxh3,
    decoded: &mut Decoded,
) -> Result<Bytes, Refusal> {
    let Some(first) = next(chunks, hash).await? else {
        return Ok(Bytes::new());
    };
    decoded.reservation.grow(first.len())?;
    let Some(second) = next(chunks, hash).await? else {
        return Ok(first);
    };
    let mut body = BytesMut::from(first);
    let mut chunk = Some(second);
    while let Some(bytes) = chunk {
        decoded.reservation.grow(bytes.len())?;
        body.extend_from_slice(&bytes);
        chunk = next(chunks, hash).await?;
    }
    Ok(body.freeze())
}

/// The readers of binary formats panic on some bytes that nobody should send: to the caller those are bytes that cannot be read.
fn caught<T>(format: &'static str, read: impl FnOnce() -> T) -> Result<T, Refusal> {
    catch_unwind(AssertUnwindSafe(read)).map_err(|_| Refusal::Malformed {
        format,
        detail: "its parts contradict each other".to_owned(),
    })
}
