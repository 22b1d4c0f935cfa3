//! Many callers, one commit: what is submitted while a commit runs is committed together by the next one.

use std::sync::Arc;

use forebay_storage::{Result, StorageError};
use parking_lot::Mutex;

/// A bounded queue of jobs and at most one leader that commits all of them at once, on a thread for blocking work.
///
/// There is a thread only while there is work. A leader that began runs to its end, also when the runtime shuts down.
pub(crate) struct GroupCommit<J> {
    what: &'static str,
    /// Weight of the jobs that may wait; a job that finds an empty queue is always taken.
    capacity: usize,
    queue: Mutex<Queue<J>>,
}

struct Queue<J> {
    jobs: Vec<J>,
    weight: usize,
    has_leader: bool,
}

impl<J: Send + 'static> GroupCommit<J> {
    pub(crate) fn new(what: &'static str, capacity: usize) -> Self {
        Self {
            what,
            capacity,
            queue: Mutex::new(Queue {
                jobs: Vec::new(),
                weight: 0,
                has_leader: false,
            }),
        }
    }

    /// Queues a job and makes sure that somebody commits it. `commit` gets all waiting jobs, in the order of their submission, and answers each of them.
    ///
    /// # Errors
    /// [`StorageError::Full`] when too much is waiting. Must be called within a runtime.
    pub(crate) fn submit(
        self: &Arc<Self>,
        job: J,
        weight: usize,
        commit: impl Fn(Vec<J>) + Send + 'static,
    ) -> Result<()> {
        let mut queue = self.queue.lock();
        if queue.weight > 0 && queue.weight + weight > self.capacity {
            return Err(StorageError::Full { what: self.what });
        }
        queue.jobs.push(job);
        queue.weight += weight;
        if !queue.has_leader {
            queue.has_leader = true;
            let leader = Leader {
                group: self.clone(),
                resigned: false,
            };
            // A runtime that ends drops the leader at once, which takes the lock.
            drop(queue);
            tokio::task::spawn_blocking(move || leader.run(commit));
        }
        Ok(())
    }
}

/// The right to commit. Dropped in a panic, or unused by a runtime that ends, it lets the next caller lead.
struct Leader<J> {
    group: Arc<GroupCommit<J>>,
    resigned: bool,
}

impl<J> Leader<J> {
    fn run(mut self, commit: impl Fn(Vec<J>)) {
        while let Some(jobs) = self.take() {
            commit(jobs);
        }
    }

    /// What waits, or `None` and the lead is given up.
    fn take(&mut self) -> Option<Vec<J>> {
        let mut queue = self.group.queue.lock();
        queue.weight = 0;
        if queue.jobs.is_empty() {
            queue.has_leader = false;
            self.resigned = true;
            return None;
        }
        Some(std::mem::take(&mut queue.jobs))
    }
}

impl<J> Drop for Leader<J> {
    fn drop(&mut self) {
        if !self.resigned {
            let mut queue = self.group.queue.lock();
            queue.jobs.clear();
            queue.weight = 0;
            queue.has_leader = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::sync::oneshot;

    use super::*;

    type Job = (u32, oneshot::Sender<usize>);

    fn answer(jobs: Vec<Job>) {
        let count = jobs.len();
        for (_, answer) in jobs {
            answer.send(count).expect("somebody waits");
        }
    }

    #[tokio::test]
    async fn what_waits_is_committed_together_and_is_bounded() {
        let group = Arc::new(GroupCommit::new("test", 2));
        let (release, held) = mpsc::channel::<()>();
        let held = Mutex::new(held);
        let commit = move |jobs: Vec<Job>| {
            held.lock().recv().expect("released");
            answer(jobs);
        };
        let mut answers = Vec::new();
        let (first, answer_of_first) = oneshot::channel();
        group.submit((0, first), 1, commit).expect("room");
        while group.queue.lock().weight > 0 {
            tokio::task::yield_now().await;
        }
        for number in 1..=2 {
            let (sender, receiver) = oneshot::channel();
            group.submit((number, sender), 1, answer).expect("room");
            answers.push(receiver);
        }
        let refused = group.submit((3, oneshot::channel().0), 1, answer);
        assert!(matches!(refused, Err(StorageError::Full { what: "test" })));
        for _ in 0..2 {
            release.send(()).expect("the leader waits");
        }
        assert_eq!(answer_of_first.await, Ok(1));
        for answer in answers {
            assert_eq!(answer.await, Ok(2));
        }
    }

    #[tokio::test]
    async fn a_panic_answers_nobody_and_the_next_one_leads() {
        let group: Arc<GroupCommit<Job>> = Arc::new(GroupCommit::new("test", 10));
        let (lost, answer_of_lost) = oneshot::channel();
        group.submit((0, lost), 1, |_| panic!("on purpose")).expect("room");
        answer_of_lost.await.expect_err("its job was dropped");
        while group.queue.lock().has_leader {
            tokio::task::yield_now().await;
        }
        let (next, answer_of_next) = oneshot::channel();
        group.submit((1, next), 1, answer).expect("room");
        assert_eq!(answer_of_next.await, Ok(1));
    }
}
