use forebay_model::LayoutNumber;

/// Why bytes cannot be read as a packed row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackedError {
    /// The row was written with a schema that the reader's copy does not know yet: it must fetch the newer registry revision, then read on.
    #[error("the row has layout {found:?}, the schema at hand goes up to {known:?}; fetch the newer registry revision")]
    NewerLayout { found: LayoutNumber, known: LayoutNumber },
    #[error("the row has format {0}, this version reads format 1; upgrade the reader")]
    Format(u8),
    #[error("the row is corrupt: {0}")]
    Corrupt(&'static str),
}
