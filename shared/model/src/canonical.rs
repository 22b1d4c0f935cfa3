//! The stable hash of a row's content, the last word between rows of equal event time and sequence.
//!
//! It must come out the same from every representation and under every later schema, so it covers the deleted flag and, in the order of their names, the
//! features that are not null: an added feature changes no old row's hash, nor does widening an integer or a float.

use xxhash_rust::xxh3::Xxh3;

use crate::Name;

/// Hashes one row. Features must be given in ascending order of their names; nulls are left out.
pub struct CanonicalHasher(Xxh3);

#[repr(u8)]
enum Tag {
    Bool = 1,
    Integer,
    Float,
    Bytes,
    Decimal,
    List,
    Null,
}

impl CanonicalHasher {
    #[must_use]
    pub fn new(deleted: bool) -> Self {
        let mut hasher = Xxh3::new();
        hasher.update(&[u8::from(deleted)]);
        Self(hasher)
    }

    /// Starts a feature; its value follows.
    pub fn feature(&mut self, name: &Name) -> &mut Self {
        self.length(name.as_str().len());
        self.0.update(name.as_str().as_bytes());
        self
    }

    pub fn bool(&mut self, value: bool) {
        self.0.update(&[Tag::Bool as u8, u8::from(value)]);
    }

    /// An int32, an int64, the days of a date or the microseconds of a timestamp.
    pub fn integer(&mut self, value: i64) {
        self.0.update(&[Tag::Integer as u8]);
        self.0.update(&value.to_le_bytes());
    }

    /// A float32 or float64; all NaNs are one.
    pub fn float(&mut self, value: f64) {
        let bits = if value.is_nan() {
            f64::NAN.to_bits()
        } else {
            value.to_bits()
        };
        self.0.update(&[Tag::Float as u8]);
        self.0.update(&bits.to_le_bytes());
    }

    /// A binary, or the UTF-8 of a string.
    pub fn bytes(&mut self, value: &[u8]) {
        self.0.update(&[Tag::Bytes as u8]);
        self.length(value.len());
        self.0.update(value);
    }

    /// The unscaled value of a decimal.
    pub fn decimal(&mut self, value: i128) {
        self.0.update(&[Tag::Decimal as u8]);
        self.0.update(&value.to_le_bytes());
    }

    /// Starts a list or vector of so many elements; they follow, nulls as [`CanonicalHasher::null`].
    pub fn list(&mut self, length: usize) {
        self.0.update(&[Tag::List as u8]);
        self.length(length);
    }

    /// A null inside a list. A feature that is null is left out instead.
    pub fn null(&mut self) {
        self.0.update(&[Tag::Null as u8]);
    }

    #[must_use]
    pub fn finish(&self) -> u64 {
        self.0.digest()
    }

    fn length(&mut self, length: usize) {
        self.0.update(&(length as u64).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(write: impl FnOnce(&mut CanonicalHasher)) -> u64 {
        let mut hasher = CanonicalHasher::new(false);
        write(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn the_hash_never_changes() {
        let value = hash(|h| {
            h.feature(&Name::new("city").expect("a name")).bytes(b"Recife");
            h.feature(&Name::new("rent").expect("a name")).float(1.5);
        });
        assert_eq!(
            value, 0x729b_f3cd_0dfc_5abe,
            "rows on disk were ordered by this hash: {value:#x}"
        );
    }

    #[test]
    fn content_decides() {
        let name = Name::new("a").expect("a name");
        assert_eq!(
            hash(|h| h.feature(&name).float(f64::NAN)),
            hash(|h| h.feature(&name).float(-f64::NAN))
        );
        assert_ne!(
            hash(|h| h.feature(&name).integer(1)),
            hash(|h| h.feature(&name).float(1.0))
        );
        assert_ne!(
            CanonicalHasher::new(true).finish(),
            CanonicalHasher::new(false).finish()
        );
        assert_ne!(
            hash(|h| h.feature(&name).list(0)),
            hash(|h| {
                h.feature(&name).list(1);
                h.null();
            })
        );
    }
}
