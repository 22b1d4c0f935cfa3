//! When a batch group is computed without being asked.

use chrono::{DateTime, Utc};
use croner::Cron;
use serde::Serialize;
use std::str::FromStr;

use super::reader::Node;
use crate::{Duration, Timestamp};

/// Exactly one of `on_change`, `every` and `cron` is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trigger {
    /// A version of an input that adds data.
    #[serde(skip_serializing_if = "is_false")]
    pub on_change: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<Duration>,
    /// Five fields, minute first, or six with seconds before them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// IANA name of the zone of `cron`; none: UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_false(value: &bool) -> bool {
    !value
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TriggerError {
    #[error("`{expression}` is not a cron expression: {reason}")]
    Cron { expression: String, reason: String },
    #[error("`{0}` is not the name of a time zone, such as UTC or America/Sao_Paulo")]
    TimeZone(String),
}

impl Trigger {
    pub(super) fn read(node: Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let on_change = fields.optional("on_change", |node| node.boolean());
        let every = fields.optional("every", |node| node.parsed("invalid_value"));
        let cron = fields.optional("cron", |node| node.short_text(128));
        let time_zone = fields.optional("time_zone", |node| node.short_text(64));
        let given = usize::from(on_change == Some(true)) + usize::from(every.is_some()) + usize::from(cron.is_some());
        fields.finish();
        if given != 1 {
            node.problem(
                "invalid_combination",
                "a trigger is exactly one of `on_change: true`, `every` and `cron`",
            );
        }
        if time_zone.is_some() && cron.is_none() {
            node.problem("invalid_combination", "`time_zone` goes with `cron` only");
        }
        let trigger = Self {
            on_change: on_change.unwrap_or_default(),
            every,
            cron,
            time_zone,
        };
        if let Err(error) = trigger.schedule() {
            let code = match error {
                TriggerError::Cron { .. } => "invalid_value",
                TriggerError::TimeZone(_) => "invalid_value",
            };
            node.problem(code, error.to_string());
        }
        Some(trigger)
    }

    fn schedule(&self) -> Result<Option<(Cron, chrono_tz::Tz)>, TriggerError> {
        let zone = match &self.time_zone {
            Some(name) => name.parse().map_err(|_| TriggerError::TimeZone(name.clone()))?,
            None => chrono_tz::UTC,
        };
        let Some(expression) = &self.cron else {
            return Ok(None);
        };
        let cron = Cron::from_str(expression).map_err(|error| TriggerError::Cron {
            expression: expression.clone(),
            reason: error.to_string(),
        })?;
        Ok(Some((cron, zone)))
    }

    /// The first moment after `after` at which time alone makes a run due; none for `on_change`, and for a cron
    /// expression that never comes again.
    ///
    /// `every` counts from 1970-01-01T00:00:00Z, so that restarts do not move it.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        if let Some(every) = self.every {
            let periods = after.micros().div_euclid(every.micros()) + 1;
            return periods.checked_mul(every.micros()).map(Timestamp::from_micros);
        }
        let (cron, zone) = self.schedule().ok()??;
        let after = DateTime::<Utc>::from_timestamp_micros(after.micros())?.with_timezone(&zone);
        let next = cron.find_next_occurrence(&after, false).ok()?;
        Some(Timestamp::from_micros(next.timestamp_micros()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("a timestamp")
    }

    fn trigger(every: Option<&str>, cron: Option<&str>, zone: Option<&str>) -> Trigger {
        Trigger {
            on_change: false,
            every: every.map(|text| text.parse().expect("a duration")),
            cron: cron.map(str::to_owned),
            time_zone: zone.map(str::to_owned),
        }
    }

    #[test]
    fn every_counts_from_the_epoch() {
        let hourly = trigger(Some("1h"), None, None);
        assert_eq!(
            hourly.next_after(at("2026-01-02T03:04:05Z")),
            Some(at("2026-01-02T04:00:00Z"))
        );
        assert_eq!(
            hourly.next_after(at("2026-01-02T04:00:00Z")),
            Some(at("2026-01-02T05:00:00Z"))
        );
    }

    #[test]
    fn cron_is_meant_in_its_zone() {
        let nightly = trigger(None, Some("0 3 * * *"), Some("America/Sao_Paulo"));
        assert_eq!(
            nightly.next_after(at("2026-01-02T00:00:00Z")),
            Some(at("2026-01-02T06:00:00Z"))
        );
    }

    #[test]
    fn on_change_has_no_time() {
        let on_change = Trigger {
            on_change: true,
            every: None,
            cron: None,
            time_zone: None,
        };
        assert_eq!(on_change.next_after(at("2026-01-02T00:00:00Z")), None);
    }
}
