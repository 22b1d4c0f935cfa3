//! What every online store must do.

mod durability;
mod housekeeping;
mod keys;
mod reading;
mod winning;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use forebay_model::GroupSchema;

use super::{Installation, rows::PlainRow};
use crate::{OnlineAnswer, OnlineRead, OnlineStore};

/// Runs the whole suite; `fresh` gives a place for an empty store each time.
pub async fn online_store<I: Installation<dyn OnlineStore> + 'static>(fresh: impl AsyncFn() -> I) {
    winning::late_rows_never_win(&fresh().await).await;
    winning::equal_event_times_go_by_sequence(&fresh().await).await;
    winning::equal_versions_go_by_hash(&fresh().await).await;
    winning::deletes_are_rows(&fresh().await).await;
    winning::nulls_are_not_merged(&fresh().await).await;
    winning::random_rows_agree_with_the_oracle(&fresh().await).await;
    winning::concurrent_writers_lose_nothing(&fresh().await).await;
    winning::rows_of_several_layouts_live_together(&fresh().await).await;
    keys::every_type_of_key_is_found(&fresh().await).await;
    keys::neighbouring_keys_and_groups_are_apart(&fresh().await).await;
    reading::many_groups_in_one_request(&fresh().await).await;
    reading::a_group_fails_alone(&fresh().await).await;
    reading::readers_see_what_was_upserted_while_it_is_merged(&fresh().await).await;
    durability::what_was_flushed_is_there_again(&fresh().await).await;
    durability::progress_never_runs_ahead_of_its_rows(&fresh().await).await;
    housekeeping::sweeping_removes_old_rows_only(&fresh().await).await;
    housekeeping::clearing_forgets_rows_and_progress(&fresh().await).await;
    housekeeping::purging_removes_the_group(&fresh().await).await;
}

/// A deadline that no test reaches.
fn later() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

async fn upsert(store: &dyn OnlineStore, schema: &Arc<GroupSchema>, rows: &[PlainRow]) {
    let rows = rows.iter().map(|row| row.packed(schema)).collect();
    store.upsert(schema, rows, None).await.expect("upserted");
}

/// The packed rows of keys of one group.
async fn read(store: &dyn OnlineStore, schema: &Arc<GroupSchema>, keys: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
    let mut read = OnlineRead::new(schema.clone());
    keys.iter().for_each(|key| read.push(key));
    let mut answer = OnlineAnswer::default();
    store.read(&[read], later(), &mut answer).await;
    (0..keys.len())
        .map(|key| answer.row(0, key).expect("the group is read").map(<[u8]>::to_vec))
        .collect()
}

/// Asserts that exactly this row is stored under its key.
async fn assert_stored(store: &dyn OnlineStore, schema: &Arc<GroupSchema>, row: &PlainRow, why: &str) {
    let row = row.packed(schema);
    assert_eq!(
        read(store, schema, &[&row.key]).await,
        [Some(row.row.to_vec())],
        "{why}"
    );
}
