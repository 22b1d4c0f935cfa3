//! Leases of several processes that can be lost, as those of a server can.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use forebay_storage::{Lease, Leases};
use parking_lot::Mutex;

/// Who holds what: process and number of the lease, by name.
#[derive(Default)]
pub struct LeaseTable {
    held: Mutex<HashMap<String, (u32, u64)>>,
    next: AtomicU64,
}

impl LeaseTable {
    /// The leases of a process have run out, whether it notices or not.
    pub fn expire(&self, process: u32) {
        self.held.lock().retain(|_, (holder, _)| *holder != process);
    }

    pub fn holder(&self, name: &str) -> Option<u32> {
        self.held.lock().get(name).map(|(process, _)| *process)
    }
}

/// The leases as one process sees them.
pub struct ProcessView {
    pub table: Arc<LeaseTable>,
    pub process: u32,
    /// It believes that it holds what it once acquired, as one that was paused does.
    pub blind: Arc<AtomicBool>,
    /// It acquires nothing more.
    pub dead: Arc<AtomicBool>,
}

struct Held {
    table: Arc<LeaseTable>,
    name: String,
    of: (u32, u64),
    blind: Arc<AtomicBool>,
}

impl ProcessView {
    pub fn new(table: &Arc<LeaseTable>, process: u32) -> Arc<Self> {
        Arc::new(Self {
            table: Arc::clone(table),
            process,
            blind: Arc::default(),
            dead: Arc::default(),
        })
    }
}

impl Lease for Held {
    fn is_held(&self) -> bool {
        self.blind.load(Ordering::SeqCst) || self.table.held.lock().get(&self.name) == Some(&self.of)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.table.held.lock();
        if held.get(&self.name) == Some(&self.of) {
            held.remove(&self.name);
        }
    }
}

#[async_trait]
impl Leases for ProcessView {
    async fn acquire(&self, name: &str) -> forebay_storage::Result<Box<dyn Lease>> {
        let of = (self.process, self.table.next.fetch_add(1, Ordering::SeqCst));
        loop {
            if !self.dead.load(Ordering::SeqCst) {
                let mut held = self.table.held.lock();
                if !held.contains_key(name) {
                    held.insert(name.to_owned(), of);
                    return Ok(Box::new(Held {
                        table: Arc::clone(&self.table),
                        name: name.to_owned(),
                        of,
                        blind: Arc::clone(&self.blind),
                    }));
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
