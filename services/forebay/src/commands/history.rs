//! `history`: features as they were.

use std::path::Path;

use bytes::Bytes;
use forebay_api::historical_features::{HistoricalFeaturesRequest, HistoricalFeaturesResponse, Period, Spine};
use futures::StreamExt;
use tokio::io::AsyncWriteExt;

use super::Session;
use super::online::max_age;
use super::run::time;
use crate::cli::{FeaturesArgs, HistoryArgs};
use crate::exit::Failure;
use crate::progress;
use crate::table::{table_of, text};
use crate::values::{columns, shown};

pub async fn history(session: &Session, args: HistoryArgs) -> Result<(), Failure> {
    let to = args.to.clone();
    let limit = args.limit;
    let request = request(session, args).await?;
    match to {
        Some(file) => write(session, &request, &file).await,
        None => {
            let answer = session.client.historical_features(&request).await?;
            Ok(session.output.write(&answer, |answer| rendered(answer, limit))?)
        }
    }
}

async fn request(session: &Session, args: HistoryArgs) -> Result<HistoricalFeaturesRequest, Failure> {
    let max_age = max_age(&args.which)?;
    let FeaturesArgs {
        features,
        view,
        revision,
        ..
    } = args.which;
    let optional = |argument, text: &Option<String>| text.as_deref().map(|text| time(argument, text)).transpose();
    let start = optional("--start", &args.start)?;
    let end = optional("--end", &args.end)?;
    Ok(HistoricalFeaturesRequest {
        features: view.is_none().then_some(features),
        view,
        revision,
        spine: match args.spine {
            Some(name) => Some(spine(session, name, args.event_time).await?),
            None => None,
        },
        period: (start.is_some() || end.is_some()).then_some(Period { start, end }),
        at: optional("--at", &args.at)?,
        entities: (!args.entities.is_empty())
            .then(|| columns(&args.entities))
            .transpose()?,
        known_at: optional("--known-at", &args.known_at)?,
        max_age,
        ..HistoricalFeaturesRequest::default()
    })
}

/// A local file is sent; everything else is a name that the installation knows.
async fn spine(session: &Session, name: String, event_time: Option<String>) -> Result<Spine, Failure> {
    let path = Path::new(&name);
    let Some(media_type) = media_type(path).filter(|_| path.is_file()) else {
        return Ok(Spine {
            uri: Some(name),
            event_time,
            ..Spine::default()
        });
    };
    let content = std::fs::read(path).map_err(|source| Failure::File { file: name, source })?;
    let upload = session.client.upload_spine(media_type, Bytes::from(content)).await?;
    Ok(Spine {
        id: Some(upload.id),
        event_time,
        ..Spine::default()
    })
}

fn media_type(file: &Path) -> Option<&'static str> {
    match file.extension()?.to_str()? {
        "parquet" => Some("application/vnd.apache.parquet"),
        "arrow" | "arrows" | "ipc" => Some("application/vnd.apache.arrow.stream"),
        "csv" => Some("text/csv"),
        "json" => Some("application/json"),
        _ => None,
    }
}

/// Streams the answer into a file of the kind that its name says.
async fn write(session: &Session, request: &HistoricalFeaturesRequest, file: &Path) -> Result<(), Failure> {
    let name = file.display().to_string();
    let media_type =
        media_type(file).ok_or_else(|| Failure::Usage(format!("{name}: write .parquet, .arrow, .csv or .json")))?;
    let failed = |source| Failure::File {
        file: name.clone(),
        source,
    };
    let mut answer = session.client.historical_features_as(request, media_type).await?;
    let bar = progress::bytes(session.output, None);
    bar.set_message(name.clone());
    let mut out = tokio::io::BufWriter::new(tokio::fs::File::create(file).await.map_err(failed)?);
    let mut written = 0_u64;
    while let Some(bytes) = answer.next().await {
        let bytes = bytes?;
        out.write_all(&bytes).await.map_err(failed)?;
        let length = u64::try_from(bytes.len()).unwrap_or_default();
        written += length;
        bar.inc(length);
    }
    out.shutdown().await.map_err(failed)?;
    bar.finish_and_clear();
    let summary = serde_json::json!({"file": name, "bytes": written});
    Ok(session.output.write(&summary, |_| format!("{name}: {written} bytes"))?)
}

fn rendered(answer: &HistoricalFeaturesResponse, limit: usize) -> String {
    let mut table = table_of(answer.columns.iter().map(|column| column.name.clone()).collect());
    let rows = answer
        .columns
        .iter()
        .map(|column| column.values.len())
        .max()
        .unwrap_or(0);
    for row in 0..rows.min(limit) {
        table.add_row(answer.columns.iter().map(|column| match column.values.get(row) {
            None | Some(serde_json::Value::Null) => "null".to_owned(),
            Some(value) => shown(value),
        }));
    }
    match rows > limit {
        true => format!(
            "{}\n{limit} of {rows} rows; --limit shows more, --to writes all to a file",
            text(&table)
        ),
        false => format!("{}\n{rows} rows", text(&table)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rows_are_a_table() {
        let answer: HistoricalFeaturesResponse = serde_json::from_value(serde_json::json!({
            "columns": [
                {"name": "product_id", "type": "int64", "values": [1, 2, 3]},
                {"name": "event_time", "type": "timestamp", "values": ["2026-02-01T00:00:00Z", "2026-02-02T00:00:00Z", "x"]},
                {"name": "product.value.sale_price", "type": "float64", "values": [450000.5, null, 1]},
            ],
            "metadata": {"registry_revision": 7, "rows": 3},
        }))
        .expect("an answer");
        insta::assert_snapshot!(rendered(&answer, 2));
        assert!(rendered(&answer, 3).ends_with("3 rows"));
    }
}
