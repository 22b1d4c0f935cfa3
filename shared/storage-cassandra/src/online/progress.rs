//! How far consumers have come.
//!
//! Each time a group is cleared its consumer begins a new epoch. Somebody who works on with an old one, not knowing that it was cleared, writes into the old
//! epoch, which nobody reads: otherwise the rebuild could be taken as done.

use std::collections::HashMap;

use forebay_storage::{Progress, Result};
use parking_lot::Mutex;

use super::WHAT;
use crate::cluster::{Cluster, Statement};

const NEWEST: Statement = Statement::read(
    WHAT,
    "SELECT epoch, position FROM {}.progress WHERE consumer = ? ORDER BY epoch DESC LIMIT 1",
);
const PUT: Statement = Statement::write(
    WHAT,
    "UPDATE {}.progress SET position = ? WHERE consumer = ? AND epoch = ?",
);
const BEGIN: Statement = Statement::transaction(
    WHAT,
    "INSERT INTO {}.progress (consumer, epoch) VALUES (?, ?) IF NOT EXISTS",
);

/// The epochs that this process works in.
#[derive(Default)]
pub(super) struct Epochs {
    known: Mutex<HashMap<String, i64>>,
}

impl Epochs {
    /// The position of the newest epoch, which this process works in from here on.
    pub(super) async fn progress(&self, cluster: &Cluster, consumer: &str) -> Result<Option<i64>> {
        let newest: Option<(i64, Option<i64>)> = cluster.row(&NEWEST, (consumer,)).await?;
        let (epoch, position) = newest.unwrap_or_default();
        self.known.lock().insert(consumer.to_owned(), epoch);
        Ok(position)
    }

    pub(super) async fn put(&self, cluster: &Cluster, progress: Progress) -> Result<()> {
        let known = self.known.lock().get(&progress.consumer).copied();
        let epoch = match known {
            Some(epoch) => epoch,
            None => {
                let newest: Option<(i64, Option<i64>)> = cluster.row(&NEWEST, (&progress.consumer,)).await?;
                let epoch = newest.unwrap_or_default().0;
                self.known.lock().insert(progress.consumer.clone(), epoch);
                epoch
            }
        };
        cluster
            .run(&PUT, (progress.position, &progress.consumer, epoch))
            .await?;
        Ok(())
    }

    /// Begins an epoch without a position. Two who do so at once begin two.
    pub(super) async fn begin(&self, cluster: &Cluster, consumer: &str) -> Result<()> {
        loop {
            let newest: Option<(i64, Option<i64>)> = cluster.row(&NEWEST, (consumer,)).await?;
            let epoch = newest.unwrap_or_default().0 + 1;
            if cluster.transact(&BEGIN, (consumer, epoch)).await? {
                self.known.lock().insert(consumer.to_owned(), epoch);
                return Ok(());
            }
        }
    }
}
