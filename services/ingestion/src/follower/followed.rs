//! What is known of the groups whose commits are followed in this process.

use std::{collections::HashMap, sync::Arc};

use forebay_model::GroupName;
use forebay_storage::{TableVersion, Topic};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Where a group's follower stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FollowerState {
    /// All versions up to this one are online.
    Following { version: TableVersion },
    /// All rows of this version are being brought online.
    Rebuilding { version: Option<TableVersion> },
    /// A commit by others removed rows, so the online store no longer follows from the table's changes. It stays as it is until an operator has it rebuilt.
    Stopped { version: TableVersion },
}

#[derive(Default)]
struct Follower {
    name: Option<GroupName>,
    state: Option<FollowerState>,
    asked: Arc<Notify>,
}

/// The followers of this process.
#[derive(Default)]
pub struct Followed {
    groups: Mutex<HashMap<Topic, Follower>>,
}

impl Followed {
    /// Where the follower of a group stands; `None` when it has none or it has not begun.
    #[must_use]
    pub fn state(&self, topic: Topic) -> Option<FollowerState> {
        self.groups.lock().get(&topic)?.state.clone()
    }

    /// Wakes the follower of a group, if it runs here, since something is ordered.
    pub fn wake(&self, topic: Topic) {
        self.asked(topic).notify_one();
    }

    /// The groups that wait for an operator.
    #[must_use]
    pub fn stopped_groups(&self) -> Vec<GroupName> {
        let groups = self.groups.lock();
        let stopped = groups
            .values()
            .filter(|follower| matches!(follower.state, Some(FollowerState::Stopped { .. })));
        stopped.filter_map(|follower| follower.name.clone()).collect()
    }

    pub(crate) fn set(&self, topic: Topic, name: &GroupName, state: FollowerState) {
        let mut groups = self.groups.lock();
        let follower = groups.entry(topic).or_default();
        follower.name = Some(name.clone());
        follower.state = Some(state);
    }

    /// The follower of a group runs here no longer.
    pub(crate) fn forget(&self, topic: Topic) {
        self.groups.lock().entry(topic).or_default().state = None;
    }

    /// Wakes the follower when it is asked for something.
    pub(crate) fn asked(&self, topic: Topic) -> Arc<Notify> {
        self.groups.lock().entry(topic).or_default().asked.clone()
    }
}
