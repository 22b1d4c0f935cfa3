use std::sync::Arc;

use forebay_model::{GroupSchema, Sequence};
use forebay_rows::{
    Layouts, RowsWriter,
    json::{RowOptions, RowReader, Scanner},
};
use forebay_storage::OnlineRow;
use serde_json::Value;

/// Rows as they are on their way to the online store: taken in at their event time, the sequence counting up from `first`. `rows` is a JSON array of
/// rows as callers send them; features that they leave out are null.
pub fn packed_rows(schema: &Arc<GroupSchema>, rows: &Value, first: i64) -> Vec<OnlineRow> {
    let layouts = Layouts::new(Arc::clone(schema));
    let options = RowOptions {
        missing_as_null: true,
        event_time: None,
    };
    let mut reader = RowReader::new(Arc::clone(&layouts), options);
    let mut writer = RowsWriter::new(Arc::clone(&layouts));
    for (row, sequence) in rows.as_array().expect("an array of rows").iter().zip(first..) {
        let text = row.to_string();
        let draft = reader
            .read(&mut Scanner::new(&text), &mut writer)
            .expect("JSON")
            .expect("a row of the group");
        let sequence = Sequence::from_raw(sequence).expect("not negative");
        writer
            .finish_with(draft.event_time, draft.event_time, sequence, draft.deleted)
            .expect("not too large");
    }
    writer
        .into_batch()
        .freeze()
        .iter()
        .map(|(key, row)| OnlineRow { key, row })
        .collect()
}
