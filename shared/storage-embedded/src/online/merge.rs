//! The thread that merges the overlay into the table.

use std::{
    collections::HashMap,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use forebay_storage::{Result, StorageError};
use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use super::{
    OnlineOptions, WHAT,
    overlay::{Overlay, Rows},
    table::{Table, wins},
};
use crate::lmdb;

/// What the readers, the writers and the merging thread share.
pub(super) struct Shared {
    pub(super) table: Table,
    pub(super) overlay: Overlay,
    pub(super) options: OnlineOptions,
    /// Progress whose rows are in the overlay or the table; durable with the next merge.
    pub(super) progress: Mutex<HashMap<String, i64>>,
    /// Held while rows are on their way from the overlay to the table.
    pub(super) merging: Mutex<()>,
    orders: Mutex<Orders>,
    ordered: Condvar,
    /// What became of the last merge.
    merged: watch::Sender<Merged>,
}

#[derive(Default)]
struct Orders {
    /// Merges begun.
    begun: u64,
    /// The merge that must have begun without delay.
    urgent: u64,
    /// Since when something waits to be merged.
    waiting_since: Option<Instant>,
    closing: bool,
}

#[derive(Clone, Default)]
struct Merged {
    /// Merges that have ended.
    ended: u64,
    /// Why the last one failed.
    failure: Option<StorageError>,
}

impl Shared {
    pub(super) fn new(table: Table, options: OnlineOptions) -> Arc<Self> {
        Arc::new(Self {
            table,
            overlay: Overlay::new(),
            options,
            progress: Mutex::default(),
            merging: Mutex::default(),
            orders: Mutex::default(),
            ordered: Condvar::new(),
            merged: watch::Sender::new(Merged::default()),
        })
    }

    /// Tells that there is something to merge.
    pub(super) fn changed(&self) {
        let mut orders = self.orders.lock();
        if orders.waiting_since.is_none() {
            orders.waiting_since = Some(Instant::now());
            self.ordered.notify_one();
        }
        if self.overlay.bytes() >= self.options.merge_bytes {
            orders.urgent = orders.begun + 1;
            self.ordered.notify_one();
        }
    }

    /// Merges what is there now, and waits for it.
    pub(super) async fn flush(&self) -> Result<()> {
        let number = {
            let mut orders = self.orders.lock();
            orders.urgent = orders.begun + 1;
            self.ordered.notify_one();
            orders.urgent
        };
        self.ended(number).await
    }

    /// Waits until the overlay has room.
    pub(super) async fn room(&self) -> Result<()> {
        while self.overlay.bytes() >= self.options.overlay_bytes {
            self.flush().await?;
        }
        Ok(())
    }

    async fn ended(&self, number: u64) -> Result<()> {
        let mut merged = self.merged.subscribe();
        let merged = merged
            .wait_for(|merged| merged.ended >= number)
            .await
            .map_err(|_| StorageError::Closed { what: WHAT })?;
        match &merged.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(()),
        }
    }

    /// Waits for an order; `None` when the store closes.
    fn next(&self) -> Option<u64> {
        let mut orders = self.orders.lock();
        loop {
            let due = orders.waiting_since.map(|since| since + self.options.merge_interval);
            if orders.urgent > orders.begun || due.is_some_and(|due| due <= Instant::now()) {
                orders.begun += 1;
                orders.waiting_since = None;
                return Some(orders.begun);
            }
            if orders.closing {
                return None;
            }
            match due {
                Some(due) => drop(self.ordered.wait_until(&mut orders, due)),
                None => self.ordered.wait(&mut orders),
            }
        }
    }

    /// Ends the merging thread after one more merge.
    pub(super) fn close(&self) {
        let mut orders = self.orders.lock();
        orders.closing = true;
        if orders.waiting_since.is_some() {
            orders.urgent = orders.begun + 1;
        }
        self.ordered.notify_one();
    }

    fn merge(&self) -> Result<()> {
        let _merging = self.merging.lock();
        // Before the rows: all rows below this progress are in the overlay by now.
        let progress = std::mem::take(&mut *self.progress.lock());
        let layers = self.overlay.freeze();
        let merged = self.write(&layers, &progress);
        match &merged {
            Ok(()) => self.overlay.forget_merged(),
            Err(_) => {
                let schemas = self.table.schemas();
                // Rows that cannot be compared stay as they are; the next merge says again what is wrong with them.
                self.overlay
                    .thaw(|key, new, current| wins(&schemas, key, new, current).unwrap_or(false));
                let mut waiting = self.progress.lock();
                for (consumer, position) in progress {
                    waiting.entry(consumer).or_insert(position);
                }
            }
        }
        merged
    }

    /// Writes rows, ascending by key, in transactions of bounded size: a transaction holds in memory every page it touches. The progress is in the last one.
    fn write(&self, layers: &[Arc<Rows>], progress: &HashMap<String, i64>) -> Result<()> {
        let failed = |error| lmdb::failed(WHAT, error);
        let schemas = self.table.schemas();
        let mut rows: Vec<(&[u8], &[u8])> = Vec::with_capacity(layers.iter().map(|layer| layer.len()).sum());
        rows.extend(
            layers
                .iter()
                .flat_map(|layer| layer.iter())
                .map(|(key, row)| (&**key, &**row)),
        );
        rows.sort_unstable_by_key(|(key, _)| *key);
        let mut parts = rows.chunks(self.options.transaction_rows).peekable();
        loop {
            let part = parts.next().unwrap_or_default();
            let mut write = self.table.write()?;
            for (key, row) in part {
                let stored = self.table.rows.get(&write, key).map_err(failed)?;
                let wins = match stored {
                    Some(stored) => wins(&schemas, key, row, stored)?,
                    None => true,
                };
                if wins {
                    self.table.rows.put(&mut write, key, row).map_err(failed)?;
                }
            }
            let is_last = parts.peek().is_none();
            if is_last {
                for (consumer, position) in progress {
                    self.table
                        .progress
                        .put(&mut write, consumer, position)
                        .map_err(failed)?;
                }
            }
            write
                .commit()
                .map_err(|error| lmdb::commit_failed(WHAT, &self.table.env, error))?;
            if is_last {
                return Ok(());
            }
        }
    }
}

/// Starts the thread that merges until the store closes.
pub(super) fn start(shared: Arc<Shared>) -> std::io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name("online-merge".to_owned()).spawn(move || {
        while let Some(number) = shared.next() {
            let failure = shared.merge().err();
            let failed = failure.is_some();
            if let Some(error) = &failure {
                tracing::error!(%error, "the online store cannot merge its overlay; rows stay in memory and in the row log, and it is tried again");
            }
            shared.merged.send_replace(Merged { ended: number, failure });
            if failed {
                shared.retry_later();
            }
        }
    })
}

impl Shared {
    /// Makes the next merge due again, a while after one failed.
    fn retry_later(&self) {
        let mut orders = self.orders.lock();
        if orders.waiting_since.is_none() {
            orders.waiting_since = Some(Instant::now() + RETRY_DELAY);
        }
    }
}

/// Waiting time after a failed merge, beside the usual interval.
const RETRY_DELAY: Duration = Duration::from_secs(1);
