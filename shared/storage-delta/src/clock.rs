//! What time it is where things are removed by their age. What somebody has uploaded and not committed yet looks like what nobody needs, but for its age; so no
//! one clock that runs ahead may say how old it is.

use std::{sync::Arc, time::Instant};

use forebay_model::{Clock, Duration, Timestamp};
use forebay_storage::Result;
use object_store::{ObjectStoreExt, PutPayload};

use crate::{error, location::Location};

/// A clock that does not jump ahead: it tells no more than has passed since it was made, not counting the time that the machine slept. On a local disk, where
/// files have the machine's time, nothing else would tell a jump.
pub(crate) struct SteadyClock {
    clock: Arc<dyn Clock>,
    made_at: Timestamp,
    made: Instant,
}

impl SteadyClock {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            made_at: clock.now(),
            made: Instant::now(),
            clock,
        }
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.made.elapsed().as_micros()).unwrap_or(i64::MAX);
        let latest = self.made_at.saturating_add(Duration::from_micros(passed));
        self.clock.now().min(latest)
    }
}

/// The object that the store is asked its time by, beside the lake's tables.
const MARK: [&str; 2] = ["_forebay", "time"];

/// Some stores tell whole seconds only.
const COARSE: Duration = Duration::from_micros(1_000_000);

/// The time by the store that keeps the files, by which it also says when each was written; at most a second ahead of it.
pub(crate) async fn time_of_store(root: &Location) -> Result<Timestamp> {
    let [folder, name] = MARK;
    let mark = root.path().clone().join(folder).join(name);
    let store = root.store();
    store.put(&mark, PutPayload::new()).await.map_err(error::from_store)?;
    let written = store.head(&mark).await.map_err(error::from_store)?.last_modified;
    Ok(Timestamp::from_micros(written.timestamp_micros()).saturating_add(COARSE))
}

#[cfg(test)]
mod tests {
    use forebay_model::ManualClock;

    use super::*;

    #[test]
    fn a_clock_that_jumps_is_not_followed() {
        let hour = Duration::from_micros(3_600_000_000);
        let clock = Arc::new(ManualClock::at(Timestamp::from_micros(0)));
        let steady = SteadyClock::new(clock.clone());
        clock.advance(hour);
        assert!(steady.now() < Timestamp::from_micros(0).saturating_add(hour));
        clock.set(Timestamp::from_micros(-7));
        assert_eq!(
            steady.now(),
            Timestamp::from_micros(-7),
            "one that is behind removes nothing"
        );
    }
}
