//! What is wrong with a caller's SQL, and where.

use std::fmt;

use forebay_model::definitions::nearest;
use serde::Serialize;

/// A place in the caller's text. Both count from 1; columns are characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Position {
    pub line: u64,
    pub column: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// Not SQL.
    Syntax,
    /// SQL, but not one query that only reads.
    NotAQuery,
    /// SQL that Forebay does not run.
    NotSupported,
    /// Its answer is not decided by its inputs, so that a retry would give other rows.
    NotDeterministic,
    UnknownTable,
    UnknownColumn,
    AmbiguousColumn,
    UnknownFunction,
    WrongType,
    /// The query does not give a key or a feature of its group.
    MissingColumn,
    /// The query gives a column that its group does not have.
    ExtraColumn,
    DuplicateColumn,
    /// Anything else that planning refuses.
    Invalid,
}

impl ErrorKind {
    /// The stable code of this error in answers.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Syntax => "sql_syntax",
            Self::NotAQuery => "sql_not_a_query",
            Self::NotSupported => "sql_not_supported",
            Self::NotDeterministic => "sql_not_deterministic",
            Self::UnknownTable => "unknown_table",
            Self::UnknownColumn => "unknown_column",
            Self::AmbiguousColumn => "ambiguous_column",
            Self::UnknownFunction => "unknown_function",
            Self::WrongType => "wrong_type",
            Self::MissingColumn => "missing_column",
            Self::ExtraColumn => "extra_column",
            Self::DuplicateColumn => "duplicate_column",
            Self::Invalid => "invalid_sql",
        }
    }
}

/// One thing that is wrong, said to the one who wrote the SQL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}{}", Where(*.position), Nearest(.nearest))]
pub struct SqlError {
    pub kind: ErrorKind,
    /// Without position and nearest names.
    pub message: String,
    /// None only where the text has no part that is to blame.
    pub position: Option<Position>,
    /// What may have been meant, best first; at most three.
    pub nearest: Vec<String>,
}

struct Where(Option<Position>);

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |position| write!(f, "{position}: "))
    }
}

struct Nearest<'a>(&'a [String]);

impl fmt::Display for Nearest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = self.0.iter().map(|name| format!("`{name}`")).collect();
        write!(f, "; nearest: {}", names.join(", "))
    }
}

impl SqlError {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            position: None,
            nearest: Vec::new(),
        }
    }

    pub(crate) fn at(mut self, position: Option<Position>) -> Self {
        self.position = position.or(self.position);
        self
    }

    pub(crate) fn nearest_of<'a>(mut self, name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        self.nearest = nearest(name, candidates);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_where_and_what_may_have_been_meant() {
        let error = SqlError::new(ErrorKind::UnknownColumn, "there is no column `sale_prise`")
            .at(Some(Position { line: 2, column: 8 }))
            .nearest_of("sale_prise", ["rent_price", "sale_price", "zip"]);
        assert_eq!(
            error.to_string(),
            "line 2, column 8: there is no column `sale_prise`; nearest: `sale_price`, `rent_price`"
        );
    }
}
