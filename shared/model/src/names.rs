//! Names of domains, groups, features and everything else that is registered: `[a-z](_?[a-z0-9])*`.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::limits::{GROUP_NAME_LENGTH, NAME_LENGTH};

/// Column names that Forebay itself writes into every table.
pub const RESERVED: [&str; 2] = ["event_time", "ingest_time"];

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a name is empty; expected a lower-case letter, then letters, digits and single underscores")]
    Empty,
    #[error(
        "`{0}` is not a name: expected a lower-case letter, then lower-case letters, digits and single underscores between them"
    )]
    Malformed(String),
    #[error("`{name}` has {length} characters; at most {limit} are allowed")]
    TooLong { name: String, length: usize, limit: usize },
    #[error("`{0}` is reserved: Forebay writes this column itself")]
    Reserved(String),
    #[error("`{0}` is not a group's name: expected `domain.group`")]
    NotAGroup(String),
    #[error("`{0}` is not a feature's name: expected `domain.group.feature`")]
    NotAFeature(String),
}

/// A single name, such as `sale_price`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

impl Name {
    /// # Errors
    /// When `text` does not match `[a-z](_?[a-z0-9])*` or is longer than [`NAME_LENGTH`].
    pub fn new(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if !is_name(text) {
            return Err(NameError::Malformed(text.chars().take(2 * NAME_LENGTH).collect()));
        }
        if text.len() > NAME_LENGTH {
            return Err(NameError::TooLong {
                name: text.chars().take(NAME_LENGTH).collect(),
                length: text.len(),
                limit: NAME_LENGTH,
            });
        }
        Ok(Self(Arc::from(text)))
    }

    /// The name of a column that callers choose (a key, a feature, a request feature): a [`Name`] that Forebay does not use itself.
    ///
    /// # Errors
    /// As [`Name::new`], and [`NameError::Reserved`].
    pub fn column(text: &str) -> Result<Self, NameError> {
        if RESERVED.contains(&text) || text.starts_with('_') {
            return Err(NameError::Reserved(text.chars().take(NAME_LENGTH).collect()));
        }
        Self::new(text)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    bytes[0].is_ascii_lowercase()
        && bytes.windows(2).all(|pair| match pair[1] {
            b'_' => pair[0] != b'_',
            other => word(other),
        })
        && bytes[bytes.len() - 1] != b'_'
}

/// A feature group's full name, `product.value`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupName {
    domain: Name,
    group: Name,
}

impl GroupName {
    /// # Errors
    /// When the two names together are longer than [`GROUP_NAME_LENGTH`].
    pub fn new(domain: Name, group: Name) -> Result<Self, NameError> {
        let length = domain.as_str().len() + group.as_str().len();
        if length > GROUP_NAME_LENGTH {
            return Err(NameError::TooLong {
                name: format!("{domain}.{group}"),
                length,
                limit: GROUP_NAME_LENGTH,
            });
        }
        Ok(Self { domain, group })
    }

    #[must_use]
    pub fn domain(&self) -> &Name {
        &self.domain
    }

    /// The part after the domain: `value` of `product.value`.
    #[must_use]
    pub fn group(&self) -> &Name {
        &self.group
    }

    #[must_use]
    pub fn feature(&self, feature: Name) -> FeatureRef {
        FeatureRef {
            group: self.clone(),
            feature,
        }
    }

    /// `product__value`: its name where a dot cannot stand, injective because a name never holds two underscores in a row.
    #[must_use]
    pub fn table_name(&self) -> String {
        format!("{}__{}", self.domain, self.group)
    }
}

/// A feature's full name, `product.value.sale_price`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FeatureRef {
    group: GroupName,
    feature: Name,
}

impl FeatureRef {
    #[must_use]
    pub fn group(&self) -> &GroupName {
        &self.group
    }

    #[must_use]
    pub fn feature(&self) -> &Name {
        &self.feature
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl FromStr for GroupName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let malformed = || NameError::NotAGroup(text.chars().take(2 * NAME_LENGTH).collect());
        let (domain, group) = text.split_once('.').ok_or_else(malformed)?;
        if group.contains('.') {
            return Err(malformed());
        }
        Self::new(domain.parse()?, group.parse()?)
    }
}

impl FromStr for FeatureRef {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let malformed = || NameError::NotAFeature(text.chars().take(3 * NAME_LENGTH).collect());
        let (group, feature) = text.rsplit_once('.').ok_or_else(malformed)?;
        if !group.contains('.') {
            return Err(malformed());
        }
        Ok(Self {
            group: group.parse()?,
            feature: feature.parse()?,
        })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.domain, self.group)
    }
}

impl fmt::Display for FeatureRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.group, self.feature)
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// A name reads and writes as its text everywhere: `Debug`, and a string in JSON and YAML.
macro_rules! as_text {
    ($($name:ty),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

as_text!(Name, GroupName, FeatureRef);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_pattern() {
        for good in ["a", "a1", "sale_price", "a_1_b", "views_10m"] {
            assert_eq!(Name::new(good).map(|n| n.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "1a", "_a", "a_", "a__b", "A", "a-b", "a.b", "é", "a b"] {
            assert!(Name::new(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn a_name_has_a_length_limit() {
        assert!(Name::new(&"a".repeat(NAME_LENGTH)).is_ok());
        assert!(matches!(
            Name::new(&"a".repeat(NAME_LENGTH + 1)),
            Err(NameError::TooLong { .. })
        ));
    }

    #[test]
    fn a_group_name_fits_a_cassandra_table_name() {
        let at_limit = format!("{}.{}", "d".repeat(20), "g".repeat(26));
        assert!(at_limit.parse::<GroupName>().is_ok_and(|g| g.table_name().len() == 48));
        assert!(format!("{at_limit}g").parse::<GroupName>().is_err());
    }

    #[test]
    fn full_names_have_all_their_parts() {
        assert_eq!(
            "product.value".parse::<GroupName>().map(|g| g.table_name()),
            Ok("product__value".into())
        );
        assert!("product".parse::<GroupName>().is_err());
        assert!("a.b.c".parse::<GroupName>().is_err());
        assert!("product.value".parse::<FeatureRef>().is_err());
        assert!(
            "product.value.sale_price"
                .parse::<FeatureRef>()
                .is_ok_and(|f| f.feature().as_str() == "sale_price")
        );
    }

    #[test]
    fn reserved_columns_are_refused() {
        assert!(matches!(Name::column("event_time"), Err(NameError::Reserved(_))));
        assert!(matches!(Name::column("_deleted"), Err(NameError::Reserved(_))));
        assert!(Name::column("event_times").is_ok());
    }
}
