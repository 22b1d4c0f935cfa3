use std::time::Duration;

use forebay_api::{Code, Problem, rows::RowsQuery};
use forebay_model::Timestamp;
use forebay_rows::json::RowOptions;
use forebay_server::ApiError;

use crate::{IntakeConfig, Store};

/// The event time of rows that have none and take the moment of their arrival, until that is known. No row of a caller can have it.
pub(crate) const UNDATED: Timestamp = Timestamp::from_micros(i64::MIN);

/// A request's query parameters, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntakeOptions {
    pub missing_as_null: bool,
    pub event_time_now: bool,
    pub skip_invalid: bool,
    pub wait: Vec<Store>,
    pub timeout: Duration,
}

impl IntakeOptions {
    /// # Errors
    /// 422 `invalid_parameter`.
    pub fn new(query: &RowsQuery, config: &IntakeConfig) -> Result<Self, ApiError> {
        let wait = query.wait.iter().map(|store| match store.as_str() {
            "online" => Ok(Store::Online),
            "offline" => Ok(Store::Offline),
            _ => Err(invalid(
                "wait",
                "expected online, offline or both, separated by a comma",
            )),
        });
        let timeout = match &query.timeout {
            None => Duration::from_millis(config.wait_ms),
            Some(text) => {
                duration(text).ok_or_else(|| invalid("timeout", "expected a duration such as 5s or 500ms"))?
            }
        };
        Ok(Self {
            missing_as_null: word("missing", query.missing.as_deref(), &[("null", true)], false)?,
            event_time_now: word("event_time", query.event_time.as_deref(), &[("now", true)], false)?,
            skip_invalid: word(
                "on_invalid",
                query.on_invalid.as_deref(),
                &[("reject", false), ("skip", true)],
                false,
            )?,
            wait: wait.collect::<Result<_, _>>()?,
            timeout,
        })
    }

    pub fn rows(&self) -> RowOptions {
        RowOptions {
            missing_as_null: self.missing_as_null,
            event_time: self.event_time_now.then_some(UNDATED),
        }
    }

    /// What decides, beside the body, which rows a request makes; a repetition must be equal in it.
    pub fn fingerprint(&self) -> [u8; 3] {
        [
            self.missing_as_null.into(),
            self.event_time_now.into(),
            self.skip_invalid.into(),
        ]
    }
}

fn duration(text: &str) -> Option<Duration> {
    if let Some(millis) = text.strip_suffix("ms") {
        return millis.parse().ok().map(Duration::from_millis);
    }
    let duration: forebay_model::Duration = text.parse().ok()?;
    u64::try_from(duration.micros()).ok().map(Duration::from_micros)
}

fn word(name: &str, value: Option<&str>, words: &[(&str, bool)], default: bool) -> Result<bool, ApiError> {
    let Some(value) = value else {
        return Ok(default);
    };
    words
        .iter()
        .find(|(word, _)| *word == value)
        .map(|(_, meaning)| *meaning)
        .ok_or_else(|| {
            let expected: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            invalid(name, &format!("expected {}", expected.join(" or ")))
        })
}

fn invalid(name: &str, detail: &str) -> ApiError {
    Problem::parameter(Code::InvalidParameter, name, detail).into()
}
