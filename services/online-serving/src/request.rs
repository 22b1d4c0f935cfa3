//! The body of a request, read without copying: columns stay text until the plan tells their types.

use std::{borrow::Cow, fmt};

use forebay_api::online_features::{Int64Form, OnlineInclude};
use forebay_model::Duration;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// [`forebay_api::online_features::OnlineFeaturesRequest`] as it arrives.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request<'a> {
    /// Unparsed, since most callers send one of few lists: its text finds the plan that was made for it.
    #[serde(borrow)]
    pub features: Option<&'a RawValue>,
    #[serde(borrow)]
    pub view: Option<Cow<'a, str>>,
    pub revision: Option<u64>,
    #[serde(borrow)]
    pub entities: Columns<'a>,
    #[serde(borrow, default)]
    pub request: Columns<'a>,
    pub max_age: Option<Duration>,
    #[serde(default)]
    pub strict: bool,
    pub include: Option<Vec<OnlineInclude>>,
    #[serde(default)]
    pub int64: Int64Form,
}

/// Named columns, each the text of a JSON value, in the order in which they were sent.
#[derive(Debug, Default)]
pub struct Columns<'a>(pub Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Columns<'a> {
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0
            .iter()
            .find(|(column, _)| column == name)
            .map(|(_, values)| *values)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Columns<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ColumnsVisitor;

        impl<'de> Visitor<'de> for ColumnsVisitor {
            type Value = Columns<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of columns")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Columns<'de>, A::Error> {
                let mut columns: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                while let Some(Name(name)) = map.next_key::<Name<'de>>()? {
                    if columns.iter().any(|(other, _)| *other == name) {
                        return Err(A::Error::custom(format_args!("duplicate column `{name}`")));
                    }
                    columns.push((name, map.next_value()?));
                }
                Ok(Columns(columns))
            }
        }

        deserializer.deserialize_map(ColumnsVisitor)
    }
}

/// A key of an object, borrowed where it holds no escape.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// What every column of the answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Include {
    pub values: bool,
    pub statuses: bool,
    pub event_timestamps: bool,
}

impl Include {
    pub const ALL: Self = Self {
        values: true,
        statuses: true,
        event_timestamps: true,
    };

    pub fn of(parts: Option<&[OnlineInclude]>) -> Self {
        parts.map_or(Self::ALL, |parts| Self {
            values: parts.contains(&OnlineInclude::Values),
            statuses: parts.contains(&OnlineInclude::Statuses),
            event_timestamps: parts.contains(&OnlineInclude::EventTimestamps),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stay_text() {
        let body = br#"{"features": ["a.b.c"], "entities": {"k\u0031": [1, "2"]}, "max_age": "1h"}"#;
        let request: Request<'_> = serde_json::from_slice(body).expect("parses");
        assert_eq!(request.entities.get("k1").map(RawValue::get), Some(r#"[1, "2"]"#));
        assert_eq!(request.features.map(RawValue::get), Some(r#"["a.b.c"]"#));
        assert_eq!(Include::of(request.include.as_deref()), Include::ALL);
    }

    #[test]
    fn a_column_stands_once() {
        let body = br#"{"features": [], "entities": {"k": [1], "k": [2]}}"#;
        assert!(serde_json::from_slice::<Request<'_>>(body).is_err());
    }
}
