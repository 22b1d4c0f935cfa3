//! How long workers work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

/// Workers that work side by side until they are told to stop.
#[derive(Debug, Default)]
pub struct Shift {
    over: Over,
    workers: Vec<JoinHandle<()>>,
}

/// Whether it is time to stop.
#[derive(Clone, Debug, Default)]
pub struct Over(Arc<AtomicBool>);

impl Over {
    pub fn is_it(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Shift {
    /// Does one piece of work after the other until the shift is over. A piece that had no success is followed by a short pause.
    pub fn work<F: Future<Output = bool> + Send>(&mut self, piece: impl Fn(Over) -> F + Send + 'static) {
        self.work_every(Duration::ZERO, piece);
    }

    /// The same with this pause after each piece.
    pub fn work_every<F: Future<Output = bool> + Send>(
        &mut self,
        pause: Duration,
        piece: impl Fn(Over) -> F + Send + 'static,
    ) {
        let over = self.over.clone();
        self.workers.push(tokio::spawn(async move {
            while !over.is_it() {
                let least = match piece(over.clone()).await {
                    true => Duration::ZERO,
                    false => Duration::from_millis(20),
                };
                tokio::time::sleep(pause.max(least)).await;
            }
        }));
    }

    /// Tells the workers to stop and waits until they have.
    ///
    /// # Panics
    /// When one of them saw what must not be.
    pub async fn end(self) {
        self.over.0.store(true, Ordering::Relaxed);
        for worker in self.workers {
            worker.await.expect("a worker saw nothing wrong");
        }
    }
}
