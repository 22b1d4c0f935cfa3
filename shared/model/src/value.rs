//! One value of any type, for places that handle values one at a time: defaults, single keys, tests and oracles. Batch paths use columns or packed rows instead.

/// A value of some [`DataType`](crate::DataType).
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Int32(i32),
    Int64(i64),
    Float32(f32),
    Float64(f64),
    String(String),
    Binary(Vec<u8>),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds UTC.
    Timestamp(i64),
    /// Unscaled: 1.25 as decimal(10,2) is 125.
    Decimal(i128),
    List(Vec<Value>),
    Vector(Vec<f32>),
}

impl Value {
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}
