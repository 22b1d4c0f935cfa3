//! What commits have noted.

use std::{collections::BTreeMap, sync::Arc};

use forebay_model::{Clock, Duration, GroupSchema, SystemClock};
use forebay_storage::{Advance, Append, CommitIdentity, CommitNotes, OfflineStore, Provision, conformance::schemas};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStoreExt;
use serde_json::json;

use super::{Lake, everywhere};

everywhere! {
    a_commit_by_a_slow_clock_hides_none_before_it,
}

async fn commit(lake: &Lake, schema: &Arc<GroupSchema>, from: u64, to: u64) {
    let append = Append {
        identity: CommitIdentity::Positions(vec![Advance { partition: 0, from, to }]),
        rows: stream::empty().boxed(),
        notes: BTreeMap::from([("batches".to_owned(), json!(to))]),
    };
    lake.store.append(schema, append).await.expect("appended");
}

async fn a_commit_by_a_slow_clock_hides_none_before_it(lake: Lake) {
    let schema = schemas::prices(0);
    lake.store.ensure(&schema).await.expect("made");
    commit(&lake, &schema, 0, 3).await;
    let version = lake.store.version(&schema).await.expect("a version") + 1;
    let app = format!("forebay/{}.{}/0", schema.id.0, schema.generation.0);
    let entry = format!(
        "{}\n{}\n",
        json!({ "commitInfo": { "timestamp": 5, "operation": "WRITE", "forebay.batches": 7 } }),
        json!({ "txn": { "appId": app, "version": 7 } }),
    );
    let location = lake.store.locations().of_group(&schema);
    let log = location.path().clone().join("_delta_log");
    let path = log.join(format!("{version:020}.json"));
    location.store().put(&path, entry.into()).await.expect("put");
    commit(&lake, &schema, 7, 9).await;

    let since = SystemClock.now().saturating_sub(Duration::from_micros(3_600_000_000));
    let notes = lake.store.notes(&schema, since).await.expect("notes");
    let notes: Vec<CommitNotes> = notes.try_collect().await.expect("notes");
    let told: Vec<_> = notes.iter().filter_map(|commit| commit.positions.get(&0)).collect();
    assert_eq!(told, [&9, &7, &3]);
}
