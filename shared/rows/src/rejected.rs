//! Why a row is not taken in, the same for every format.

/// The stable code of a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectCode {
    /// Not JSON, in a format with one row per line.
    NotParseable,
    NotAnObject,
    UnknownField,
    DuplicateField,
    MissingKey,
    MissingEventTime,
    MissingFeature,
    NullKey,
    NullEventTime,
    /// A null inside a vector.
    NullElement,
    WrongType,
    /// The type cannot hold so large or small a value.
    OutOfRange,
    /// Taking the value would lose digits.
    NotExact,
    /// A vector of another length.
    WrongLength,
    KeyTooLong,
    RowTooLarge,
    /// The event time lies further ahead of the clock than is waited for.
    EventTimeAhead,
    CheckFailed,
}

impl RejectCode {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotParseable => "not_parseable",
            Self::NotAnObject => "not_an_object",
            Self::UnknownField => "unknown_field",
            Self::DuplicateField => "duplicate_field",
            Self::MissingKey => "missing_key",
            Self::MissingEventTime => "missing_event_time",
            Self::MissingFeature => "missing_feature",
            Self::NullKey => "null_key",
            Self::NullEventTime => "null_event_time",
            Self::NullElement => "null_element",
            Self::WrongType => "wrong_type",
            Self::OutOfRange => "out_of_range",
            Self::NotExact => "not_exact",
            Self::WrongLength => "wrong_length",
            Self::KeyTooLong => "key_too_long",
            Self::RowTooLarge => "row_too_large",
            Self::EventTimeAhead => "event_time_ahead",
            Self::CheckFailed => "check_failed",
        }
    }
}

/// Why a row is not taken in. The detail names types and limits, never a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The key, feature or other field that is wrong.
    pub field: Option<Box<str>>,
    pub code: RejectCode,
    pub detail: String,
}

impl Reject {
    #[must_use]
    pub fn of_field(field: &str, code: RejectCode, detail: impl Into<String>) -> Self {
        Self {
            field: Some(field.chars().take(128).collect::<String>().into()),
            code,
            detail: detail.into(),
        }
    }

    #[must_use]
    pub fn of_row(code: RejectCode, detail: impl Into<String>) -> Self {
        Self {
            field: None,
            code,
            detail: detail.into(),
        }
    }
}
