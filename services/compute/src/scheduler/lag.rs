//! How late the scheduler is: which groups have been due for how long.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::atomic::{AtomicBool, Ordering},
};

use forebay_model::{GroupName, Timestamp};
use metrics::gauge;
use parking_lot::Mutex;

use crate::measures::seconds;

/// What is told of the schedule, by the process that is the scheduler.
#[derive(Debug, Default)]
pub(super) struct ScheduleLag {
    leads: AtomicBool,
    due_since: Mutex<BTreeMap<GroupName, Timestamp>>,
}

impl ScheduleLag {
    /// This process is the scheduler, or not any more.
    pub fn leads(&self, leads: bool) {
        self.leads.store(leads, Ordering::Relaxed);
        if !leads {
            self.due_since.lock().clear();
        }
    }

    /// These groups are due since these times, at the earliest since they were found to be.
    pub fn found(&self, due: impl Iterator<Item = (GroupName, Timestamp)>) {
        let mut known = self.due_since.lock();
        let mut found = BTreeMap::new();
        for (group, since) in due {
            let since = match known.entry(group.clone()) {
                Entry::Occupied(known) => (*known.get()).min(since),
                Entry::Vacant(_) => since,
            };
            found.insert(group, since);
        }
        *known = found;
    }

    pub fn measure(&self, now: Timestamp) {
        let leads = self.leads.load(Ordering::Relaxed);
        gauge!("forebay_scheduler_leader").set(f64::from(u8::from(leads)));
        for (group, since) in &*self.due_since.lock() {
            gauge!("forebay_schedule_lag_seconds", "group" => group.to_string()).set(seconds(*since, now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_late_since_it_was_first_due() {
        let lag = ScheduleLag::default();
        let at = Timestamp::from_micros;
        let group = |name: &str| name.parse::<GroupName>().expect("a name");
        lag.found([(group("a.b"), at(5)), (group("a.c"), at(5))].into_iter());
        lag.found([(group("a.b"), at(9))].into_iter());
        assert_eq!(*lag.due_since.lock(), BTreeMap::from([(group("a.b"), at(5))]));
        lag.leads(false);
        assert!(lag.due_since.lock().is_empty());
    }
}
