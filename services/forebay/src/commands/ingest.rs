//! `ingest`: sends a file to a group, in requests of bounded size.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use forebay_api::rows::{RejectedRow, RowsQuery, RowsResponse};
use forebay_client::ClientError;
use indicatif::ProgressBar;
use serde::Serialize;

use super::Session;
use crate::cli::{IngestArgs, Store};
use crate::exit::Failure;
use crate::progress;
use crate::table::{align_right, table, text};

/// Most lines and bytes of NDJSON in one request.
const REQUEST_LINES: u64 = 5000;
const REQUEST_BYTES: usize = 4 << 20;

/// Rejected rows that are listed; the rest is counted.
const LISTED: usize = 100;

/// How long the last request waits for the stores at most; after that its receipt tells.
const LAST_REQUEST: Duration = Duration::from_secs(15);

/// Between two looks at a receipt.
const POLL: Duration = Duration::from_millis(100);

/// What became of the file.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Summary {
    group: String,
    accepted: u64,
    rejected_count: u64,
    /// The first 100; the index counts the lines of the file from 0.
    rejected: Vec<RejectedRow>,
    requests: u64,
    /// The last request's.
    receipt: String,
}

pub async fn ingest(session: &Session, args: IngestArgs) -> Result<(), Failure> {
    let query = RowsQuery {
        wait: Vec::new(),
        timeout: None,
        missing: args.missing_null.then(|| "null".to_owned()),
        event_time: args.event_time_now.then(|| "now".to_owned()),
        on_invalid: args.skip_invalid.then(|| "skip".to_owned()),
    };
    let patience: forebay_model::Duration = serde_json::from_value(serde_json::Value::String(args.timeout.clone()))
        .map_err(|error| Failure::Usage(format!("--timeout {}: {error}", args.timeout)))?;
    let patience = Duration::from_micros(u64::try_from(patience.micros()).unwrap_or_default());
    let mut sending = Sending {
        session,
        group: &args.group,
        query,
        waiting: RowsQuery {
            wait: args.wait.iter().map(|store| store.as_str().to_owned()).collect(),
            timeout: Some(format!("{}ms", patience.min(LAST_REQUEST).as_millis())),
            ..RowsQuery::default()
        },
        summary: Summary::default(),
        receipts: Vec::new(),
    };
    sending.summary.group.clone_from(&args.group);
    sending.file(&args.file).await?;
    if !args.wait.is_empty() {
        sending.wait(&args.wait, patience).await?;
    }
    Ok(session.output.write(&sending.summary, rendered)?)
}

struct Sending<'a> {
    session: &'a Session,
    group: &'a str,
    query: RowsQuery,
    /// What the last request says beside that, so that the sinks write early.
    waiting: RowsQuery,
    summary: Summary,
    receipts: Vec<String>,
}

impl Sending<'_> {
    async fn file(&mut self, file: &Path) -> Result<(), Failure> {
        let failed = |source| Failure::File {
            file: file.display().to_string(),
            source,
        };
        if file == Path::new("-") {
            let bar = progress::bytes(self.session.output, None);
            return self.lines(BufReader::new(std::io::stdin()), &bar, failed).await;
        }
        let mut opened = File::open(file).map_err(failed)?;
        let length = opened.metadata().map_err(failed)?.len();
        let bar = progress::bytes(self.session.output, Some(length));
        let media_type = match file.extension().and_then(|extension| extension.to_str()) {
            Some("ndjson" | "jsonl") => return self.lines(BufReader::new(opened), &bar, failed).await,
            Some("json") => "application/json",
            Some("arrow" | "arrows" | "ipc") => "application/vnd.apache.arrow.stream",
            Some("parquet") => "application/vnd.apache.parquet",
            _ => {
                let file = file.display();
                return Err(Failure::Usage(format!(
                    "{file}: send .ndjson, .json, .arrow or .parquet"
                )));
            }
        };
        let mut content = Vec::new();
        opened.read_to_end(&mut content).map_err(failed)?;
        let response = self.request(media_type, Bytes::from(content), 0, true).await?;
        self.take(response, 0);
        bar.finish_and_clear();
        Ok(())
    }

    /// Sends one request after the other: of two rows of a key at one event time, the later one in the file wins.
    async fn lines(
        &mut self,
        mut lines: impl BufRead,
        bar: &ProgressBar,
        failed: impl Fn(std::io::Error) -> Failure,
    ) -> Result<(), Failure> {
        bar.set_message(self.group.to_owned());
        let mut first = 0;
        loop {
            let mut part = Vec::with_capacity(REQUEST_BYTES);
            let mut count = 0;
            while count < REQUEST_LINES && part.len() < REQUEST_BYTES {
                if lines.read_until(b'\n', &mut part).map_err(&failed)? == 0 {
                    break;
                }
                count += 1;
            }
            if count == 0 {
                break;
            }
            let bytes = u64::try_from(part.len()).unwrap_or_default();
            let last = lines.fill_buf().map_err(&failed)?.is_empty();
            let response = self
                .request("application/x-ndjson", Bytes::from(part), first, last)
                .await?;
            self.take(response, first);
            bar.inc(bytes);
            first += count;
        }
        bar.finish_and_clear();
        Ok(())
    }

    async fn request(&self, media_type: &str, rows: Bytes, first: u64, last: bool) -> Result<RowsResponse, Failure> {
        let mut query = self.query.clone();
        if last && !self.waiting.wait.is_empty() {
            query.wait.clone_from(&self.waiting.wait);
            query.timeout.clone_from(&self.waiting.timeout);
        }
        let sent = self.session.client.ingest(self.group, media_type, rows, &query).await;
        sent.map_err(|error| match rejected(&error, first) {
            Some(rows) => Failure::Failed(format!(
                "rows do not fit `{}`; --skip-invalid takes the others\n{}\n{} rows before line {} are accepted",
                self.group,
                listed(&rows),
                self.summary.accepted,
                first + 1
            )),
            None => error.into(),
        })
    }

    fn take(&mut self, response: RowsResponse, first: u64) {
        self.summary.accepted += response.accepted;
        self.summary.rejected_count += response.rejected_count;
        self.summary.requests += 1;
        self.summary.receipt.clone_from(&response.receipt);
        self.receipts.push(response.receipt);
        let room = LISTED.saturating_sub(self.summary.rejected.len());
        let rows = response.rejected.into_iter().map(|row| RejectedRow {
            index: row.index + first,
            ..row
        });
        self.summary.rejected.extend(rows.take(room));
    }

    /// Waits until the stores hold the rows of all requests. A store that the group does not have holds nothing to wait for.
    async fn wait(&self, stores: &[Store], patience: Duration) -> Result<(), Failure> {
        let bar = progress::count(
            self.session.output,
            u64::try_from(self.receipts.len()).unwrap_or_default(),
        );
        bar.set_message("stores");
        let deadline = Instant::now() + patience;
        for id in &self.receipts {
            loop {
                let receipt = self.session.client.receipt(id).await?;
                let held = stores.iter().all(|store| match store {
                    Store::Online => receipt.online != Some(false),
                    Store::Offline => receipt.offline != Some(false),
                });
                if held {
                    break;
                }
                if Instant::now() >= deadline {
                    return Err(Failure::Failed(format!(
                        "the rows are accepted and durable, but not yet in the stores; GET /v1/receipts/{id} still tells"
                    )));
                }
                tokio::time::sleep(POLL).await;
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(())
    }
}

/// The rows that a problem lists, counted from the beginning of the file.
fn rejected(error: &ClientError, first: u64) -> Option<Vec<RejectedRow>> {
    let rows = error.problem()?.extensions.get("rejected")?.clone();
    let rows: Vec<RejectedRow> = serde_json::from_value(rows).ok()?;
    Some(
        rows.into_iter()
            .map(|row| RejectedRow {
                index: row.index + first,
                ..row
            })
            .collect(),
    )
}

fn rendered(summary: &Summary) -> String {
    let Summary {
        group,
        accepted,
        rejected_count,
        rejected,
        ..
    } = summary;
    match rejected_count {
        0 => format!("{group}: {accepted} rows accepted"),
        _ => format!(
            "{}\n{group}: {accepted} rows accepted, {rejected_count} rejected",
            listed(rejected)
        ),
    }
}

fn listed(rows: &[RejectedRow]) -> String {
    let mut table = table(["line", "field", "code", "detail"]);
    align_right(&mut table, 0);
    for row in rows {
        let field = row.field.clone().unwrap_or_default();
        table.add_row([(row.index + 1).to_string(), field, row.code.clone(), row.detail.clone()]);
    }
    text(&table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejected_rows_are_listed_by_line() {
        let row = RejectedRow {
            index: 3,
            field: Some("city".to_owned()),
            code: "wrong_type".to_owned(),
            detail: "12 is not a string".to_owned(),
        };
        let summary = Summary {
            group: "visitor.profile".to_owned(),
            accepted: 9,
            rejected_count: 1,
            rejected: vec![row],
            ..Summary::default()
        };
        insta::assert_snapshot!(rendered(&summary));
        let good = Summary {
            rejected_count: 0,
            rejected: Vec::new(),
            ..summary
        };
        assert_eq!(rendered(&good), "visitor.profile: 9 rows accepted");
    }
}
