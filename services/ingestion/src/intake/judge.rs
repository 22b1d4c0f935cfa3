use std::time::Duration;

use forebay_catalog::Group;
use forebay_model::{Clock, Timestamp};
use forebay_rows::{Reject, RejectCode};

use super::{Decoded, Rejections, checks, options::UNDATED};

/// Makes the checks of the group's features.
pub fn check(group: &Group, decoded: &mut Decoded) {
    for part in &mut decoded.parts {
        checks::apply(group, part, &mut decoded.rejections);
    }
    decoded.parts.retain(|part| !part.rows.is_empty());
}

/// Waits until the event times of all rows have come that lie no further ahead than `tolerance`.
pub async fn wait_for_event_times(decoded: &Decoded, clock: &dyn Clock, tolerance: Duration) {
    let arrival = clock.now();
    let tolerance_micros = i64::try_from(tolerance.as_micros()).unwrap_or(i64::MAX);
    let horizon = Timestamp::from_micros(arrival.micros().saturating_add(tolerance_micros));
    let times = decoded
        .parts
        .iter()
        .flat_map(|part| (0..part.rows.len()).map(|row| part.rows.event_time(row)));
    let Some(last) = times.filter(|time| *time > arrival && *time <= horizon).max() else {
        return;
    };
    // The clock may be another than the one that sleeping goes by.
    let longest = tokio::time::Instant::now() + tolerance * 2;
    while clock.now() < last && tokio::time::Instant::now() < longest {
        let left = last.micros().saturating_sub(clock.now().micros()).clamp(0, 50_000);
        tokio::time::sleep(Duration::from_micros(left.cast_unsigned())).await;
    }
}

/// The rows that lie ahead of their ingest time. Whether a row does depends on nothing else, so that a repeated request rejects the same ones.
pub fn reject_ahead(decoded: &Decoded, ingest_time: Timestamp) -> Rejections {
    let mut rejections = decoded.rejections.clone();
    for part in &decoded.parts {
        for (row, index) in part.indexes.iter().enumerate() {
            let event_time = part.rows.event_time(row);
            if event_time > ingest_time {
                let ahead = (event_time.micros() - ingest_time.micros()) / 1_000;
                let detail = format!(
                    "event_time lies {ahead} ms ahead of the time of ingestion; a row from the future would hide its key's newer rows"
                );
                rejections.push(
                    *index,
                    Reject::of_field("event_time", RejectCode::EventTimeAhead, detail),
                );
            }
        }
    }
    rejections
}

/// Gives all rows that do not lie ahead of `moment` their times, and drops the others. Rows without an event time get the moment, which is the same in every
/// attempt of a request; the ingest time is the attempt's own.
pub fn set_times(decoded: &mut Decoded, moment: Timestamp, ingest_time: Timestamp) {
    for part in &mut decoded.parts {
        let times: Vec<Timestamp> = (0..part.rows.len()).map(|row| part.rows.event_time(row)).collect();
        for (row, event_time) in times.iter().enumerate() {
            let event_time = if *event_time == UNDATED { moment } else { *event_time };
            part.rows.set_times(row, event_time, ingest_time);
        }
        if times.iter().any(|time| *time > moment) {
            part.rows.retain(|row| times[row] <= moment);
            let mut row = 0;
            part.indexes.retain(|_| {
                row += 1;
                times[row - 1] <= moment
            });
        }
    }
    decoded.parts.retain(|part| !part.rows.is_empty());
}
