//! Whether the online store shows all that was acknowledged before the process began.

use std::collections::HashMap;

use forebay_catalog::{Ready, Snapshot};
use forebay_storage::Topic;
use parking_lot::Mutex;

/// The groups that the process found at its start, and which of them are brought up to date.
#[derive(Default)]
pub struct Replay {
    found: Mutex<Option<HashMap<Topic, bool>>>,
}

impl Replay {
    /// Notes the groups that are kept online; later ones have nothing to be replayed. Only the first call counts.
    pub(crate) fn begin(&self, snapshot: &Snapshot) {
        let online = snapshot.groups().filter(|group| group.is_online());
        let found = online.map(|group| (Topic::of(&group.schema), false)).collect();
        self.found.lock().get_or_insert(found);
    }

    /// A group shows all that was there when its worker began.
    pub(crate) fn done(&self, topic: Topic) {
        if let Some(found) = &mut *self.found.lock()
            && let Some(done) = found.get_mut(&topic)
        {
            *done = true;
        }
    }

    /// What is still to be done.
    ///
    /// # Errors
    /// A sentence for `/readyz`.
    pub fn check(&self, snapshot: &Snapshot) -> Result<(), String> {
        let found = self.found.lock();
        let Some(found) = &*found else {
            return Err("the sinks have not begun yet".to_owned());
        };
        let behind = snapshot.groups().find(|group| {
            let pending = found.get(&Topic::of(&group.schema)).is_some_and(|done| !done);
            // A group without tables is answered 503 by itself; the others must not wait for it.
            pending && !matches!(group.readiness.get(), Ready::Failed(_))
        });
        match behind {
            Some(group) => Err(format!("rows of `{}` are being brought online", group.name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_groups_that_were_there_at_the_start_are_waited_for() {
        let domain = json!({"kind": "Domain", "name": "shop"});
        let entity =
            json!({"kind": "Entity", "name": "thing", "domain": "shop", "keys": [{"name": "id", "type": "int64"}]});
        let group = |name: &str, stores: &[&str]| {
            json!({"kind": "FeatureGroup", "name": name, "entities": ["thing"], "stores": stores,
                "features": [{"name": "price", "type": "float64"}]})
        };
        let snapshot = forebay_testkit::snapshot(&json!([
            domain,
            entity,
            group("shop.a", &["online"]),
            group("shop.b", &["online", "offline"]),
            group("shop.c", &["offline"])
        ]));
        let topic = |name: &str| {
            Topic::of(
                &snapshot
                    .group(&name.parse().expect("a name"))
                    .expect("registered")
                    .schema,
            )
        };
        let replay = Replay::default();
        assert!(replay.check(&snapshot).is_err(), "nothing was looked at yet");
        replay.begin(&snapshot);
        replay.done(topic("shop.a"));
        assert_eq!(
            replay.check(&snapshot),
            Err("rows of `shop.b` are being brought online".to_owned())
        );
        replay.begin(&snapshot);
        let b = snapshot.group(&"shop.b".parse().expect("a name")).expect("registered");
        b.readiness.set(Ready::Failed("no space".to_owned()));
        assert_eq!(replay.check(&snapshot), Ok(()));
        b.readiness.set(Ready::Ready);
        replay.done(topic("shop.b"));
        assert_eq!(replay.check(&snapshot), Ok(()));
    }
}
