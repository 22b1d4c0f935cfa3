//! The types of features and keys, written as in definitions: `int64`, `decimal(10,2)`, `vector<float32, 8>`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::limits::{DECIMAL_PRECISION, VECTOR_LENGTH};

/// The type of a feature.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum DataType {
    Bool,
    Int32,
    Int64,
    Float32,
    Float64,
    String,
    Binary,
    /// Days since 1970-01-01.
    Date,
    /// Microseconds UTC.
    Timestamp,
    /// `precision` digits in all, `scale` of them behind the point.
    Decimal {
        precision: u8,
        scale: u8,
    },
    /// Any number of elements of a scalar type, each of which may be null.
    List(Box<DataType>),
    /// Exactly so many float32, none of them null.
    Vector {
        length: u32,
    },
}

/// The type of a key column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyType {
    Int32,
    Int64,
    String,
    Bool,
    Date,
    Timestamp,
    Binary,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DataTypeError {
    #[error(
        "`{0}` is not a type: expected one of bool, int32, int64, float32, float64, string, binary, date, timestamp, decimal(p,s), list<T>, vector<float32, n>"
    )]
    Unknown(String),
    #[error("`{0}`: a decimal has 1 to 38 digits, and at most as many of them behind the point")]
    Decimal(String),
    #[error("`{0}`: a list holds a scalar type, not a list or a vector")]
    NestedList(String),
    #[error("`{0}`: a vector has 1 to 65536 elements of float32")]
    Vector(String),
    #[error("`{0}` cannot be a key: expected one of int32, int64, string, bool, date, timestamp, binary")]
    NotAKey(String),
}

const SCALARS: [(&str, DataType); 9] = [
    ("bool", DataType::Bool),
    ("int32", DataType::Int32),
    ("int64", DataType::Int64),
    ("float32", DataType::Float32),
    ("float64", DataType::Float64),
    ("string", DataType::String),
    ("binary", DataType::Binary),
    ("date", DataType::Date),
    ("timestamp", DataType::Timestamp),
];

impl DataType {
    #[must_use]
    pub const fn is_scalar(&self) -> bool {
        !matches!(self, Self::List(_) | Self::Vector { .. })
    }

    #[must_use]
    pub const fn is_numeric(&self) -> bool {
        matches!(
            self,
            Self::Int32 | Self::Int64 | Self::Float32 | Self::Float64 | Self::Decimal { .. }
        )
    }
}

impl KeyType {
    #[must_use]
    pub const fn data_type(self) -> DataType {
        match self {
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::String => DataType::String,
            Self::Bool => DataType::Bool,
            Self::Date => DataType::Date,
            Self::Timestamp => DataType::Timestamp,
            Self::Binary => DataType::Binary,
        }
    }
}

impl From<KeyType> for DataType {
    fn from(key: KeyType) -> Self {
        key.data_type()
    }
}

impl TryFrom<&DataType> for KeyType {
    type Error = DataTypeError;

    fn try_from(data_type: &DataType) -> Result<Self, DataTypeError> {
        Ok(match data_type {
            DataType::Int32 => Self::Int32,
            DataType::Int64 => Self::Int64,
            DataType::String => Self::String,
            DataType::Bool => Self::Bool,
            DataType::Date => Self::Date,
            DataType::Timestamp => Self::Timestamp,
            DataType::Binary => Self::Binary,
            other => return Err(DataTypeError::NotAKey(other.to_string())),
        })
    }
}

impl FromStr for DataType {
    type Err = DataTypeError;

    fn from_str(text: &str) -> Result<Self, DataTypeError> {
        let shown = || text.chars().take(64).collect::<String>();
        if let Some((_, scalar)) = SCALARS.iter().find(|(name, _)| *name == text) {
            return Ok(scalar.clone());
        }
        if let Some(inner) = between(text, "decimal(", ")") {
            let (precision, scale) = inner.split_once(',').ok_or_else(|| DataTypeError::Decimal(shown()))?;
            return match (precision.trim().parse(), scale.trim().parse()) {
                (Ok(precision), Ok(scale)) if (1..=DECIMAL_PRECISION).contains(&precision) && scale <= precision => {
                    Ok(Self::Decimal { precision, scale })
                }
                _ => Err(DataTypeError::Decimal(shown())),
            };
        }
        if let Some(inner) = between(text, "list<", ">") {
            let element: Self = match inner.trim() {
                nested if nested.starts_with("list<") || nested.starts_with("vector<") => {
                    return Err(DataTypeError::NestedList(shown()));
                }
                scalar => scalar.parse()?,
            };
            return Ok(Self::List(Box::new(element)));
        }
        if let Some(inner) = between(text, "vector<", ">") {
            let length = inner
                .split_once(',')
                .filter(|(element, _)| element.trim() == "float32")
                .and_then(|(_, length)| length.trim().parse().ok());
            return match length {
                Some(length) if (1..=VECTOR_LENGTH).contains(&length) => Ok(Self::Vector { length }),
                _ => Err(DataTypeError::Vector(shown())),
            };
        }
        Err(DataTypeError::Unknown(shown()))
    }
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.strip_prefix(start)?.strip_suffix(end)
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            Self::List(element) => write!(f, "list<{element}>"),
            Self::Vector { length } => write!(f, "vector<float32, {length}>"),
            scalar => f.write_str(SCALARS.iter().find(|(_, s)| s == scalar).map_or("", |(name, _)| name)),
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.data_type().fmt(f)
    }
}

impl fmt::Debug for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for DataType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DataType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_read_as_they_write() {
        for text in [
            "bool",
            "int32",
            "int64",
            "float32",
            "float64",
            "string",
            "binary",
            "date",
            "timestamp",
            "decimal(10,2)",
            "list<string>",
            "list<decimal(3,0)>",
            "vector<float32, 8>",
        ] {
            assert_eq!(text.parse::<DataType>().map(|t| t.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("vector<float32,8>".parse(), Ok(DataType::Vector { length: 8 }));
    }

    #[test]
    fn what_is_no_type_is_refused() {
        for bad in [
            "",
            "int",
            "Int64",
            "decimal",
            "decimal(39,0)",
            "decimal(2,3)",
            "decimal(0,0)",
            "list<>",
            "list<list<int32>>",
            "vector<float64, 3>",
            "vector<float32, 0>",
            "vector<float32>",
        ] {
            assert!(bad.parse::<DataType>().is_err(), "{bad:?} was taken");
        }
    }
}
