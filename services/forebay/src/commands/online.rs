//! `online`: features as they are now.

use forebay_api::online_features::{OnlineColumn, OnlineFeaturesRequest, OnlineFeaturesResponse};
use forebay_model::Status;

use super::Session;
use crate::cli::{FeaturesArgs, OnlineArgs};
use crate::exit::Failure;
use crate::table::{table_of, text};
use crate::values::{columns, shown};

pub async fn online(session: &Session, args: OnlineArgs) -> Result<(), Failure> {
    let max_age = max_age(&args.which)?;
    let FeaturesArgs {
        features,
        view,
        revision,
        ..
    } = args.which;
    let request = OnlineFeaturesRequest {
        features: view.is_none().then_some(features),
        view,
        revision,
        entities: columns(&args.entities)?,
        request: columns(&args.request)?,
        max_age,
        strict: args.strict,
        ..OnlineFeaturesRequest::default()
    };
    let answer = session.client.online_features(&request).await?;
    Ok(session.output.write(&answer, rendered)?)
}

/// `--max-age` as a duration.
pub(super) fn max_age(which: &FeaturesArgs) -> Result<Option<forebay_model::Duration>, Failure> {
    let Some(text) = &which.max_age else { return Ok(None) };
    let quoted = serde_json::Value::String(text.clone());
    serde_json::from_value(quoted)
        .map(Some)
        .map_err(|error| Failure::Usage(format!("--max-age {text}: {error}")))
}

/// One line per entity; a value that is not there is shown as its status.
fn rendered(answer: &OnlineFeaturesResponse) -> String {
    let mut table = table_of(answer.metadata.feature_names.clone());
    let rows = answer
        .results
        .iter()
        .filter_map(|column| column.values.as_ref().map(Vec::len))
        .max()
        .unwrap_or(0);
    for row in 0..rows {
        table.add_row(answer.results.iter().map(|column| cell(column, row)));
    }
    text(&table)
}

fn cell(column: &OnlineColumn, row: usize) -> String {
    let status = column.statuses.as_ref().and_then(|statuses| statuses.get(row));
    let value = column
        .values
        .as_ref()
        .and_then(|values| values.get(row))
        .map(shown)
        .unwrap_or_default();
    match status {
        None | Some(Status::Present) => value,
        Some(Status::NullValue) => "null".to_owned(),
        Some(other) => other.as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entity_is_a_line() {
        let answer: OnlineFeaturesResponse = serde_json::from_value(serde_json::json!({
            "metadata": {
                "feature_names": ["product_id", "product.value.sale_price", "visitor.profile.city"],
                "types": ["int64", "float64", "string"], "view_revision": null,
            },
            "results": [
                {"values": [1, 2], "statuses": ["PRESENT", "PRESENT"], "event_timestamps": [null, null]},
                {"values": [450000.0, null], "statuses": ["PRESENT", "NOT_FOUND"],
                 "event_timestamps": ["2026-01-02T03:04:05.000006Z", null]},
                {"values": ["Recife", null], "statuses": ["PRESENT", "NULL_VALUE"],
                 "event_timestamps": ["2026-01-02T03:04:05.000006Z", "2026-01-02T03:04:05.000006Z"]},
            ],
        }))
        .expect("an answer");
        insta::assert_snapshot!(rendered(&answer));
    }
}
