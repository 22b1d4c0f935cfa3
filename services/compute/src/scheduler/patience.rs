//! Groups that fail are not tried again every second.

use std::collections::HashMap;

use forebay_model::{GroupName, Timestamp};
use parking_lot::Mutex;

/// The pause after the first try, in microseconds; each one after is twice as long.
const FIRST: i64 = 30_000_000;
const LONGEST: i64 = 3_600_000_000;

/// When each group was last started, and from what.
#[derive(Default)]
pub(super) struct Patience(Mutex<HashMap<GroupName, Tried>>);

struct Tried {
    from: u64,
    pause: i64,
    again_at: i64,
}

impl Patience {
    /// Whether a group may be started: from something it was not started from before, or after a pause.
    pub fn allows(&self, group: &GroupName, from: u64, now: Timestamp) -> bool {
        let tried = self.0.lock();
        tried
            .get(group)
            .is_none_or(|tried| tried.from != from || now.micros() >= tried.again_at)
    }

    pub fn tried(&self, group: &GroupName, from: u64, now: Timestamp) {
        let mut all = self.0.lock();
        let pause = match all.get(group) {
            Some(tried) if tried.from == from => (2 * tried.pause).min(LONGEST),
            _ => FIRST,
        };
        let again_at = now.micros().saturating_add(pause);
        all.insert(group.clone(), Tried { from, pause, again_at });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_tried_at_growing_distances_and_something_new_at_once() {
        let patience = Patience::default();
        let group: GroupName = "product.value".parse().expect("a group");
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        assert!(patience.allows(&group, 1, at(0)));
        patience.tried(&group, 1, at(0));
        assert!(!patience.allows(&group, 1, at(29)));
        assert!(patience.allows(&group, 1, at(30)));
        patience.tried(&group, 1, at(30));
        assert!(!patience.allows(&group, 1, at(89)) && patience.allows(&group, 1, at(90)));
        assert!(patience.allows(&group, 2, at(31)));
    }
}
