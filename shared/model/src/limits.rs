//! Limits of the model itself. Those that are configured (rows per request, bytes, ...) live with the service that enforces them.

/// Characters in a domain's, entity's, source's, view's, feature's or key's name.
pub const NAME_LENGTH: usize = 63;

/// Characters in a domain's and a group's name together: Cassandra allows 48 in a table name, and `__` separates the two.
pub const GROUP_NAME_LENGTH: usize = 46;

/// Bytes in an encoded entity key, all its columns together.
pub const ENCODED_KEY_LENGTH: usize = 1024;

/// Columns in an entity key, those of all entities of a group together.
pub const KEY_COLUMNS: usize = 16;

/// Features in a group, those that were removed and are hidden included.
pub const GROUP_FEATURES: usize = 2_000;

/// Elements in a `vector<float32, n>`.
pub const VECTOR_LENGTH: u32 = 65_536;

/// Digits in a `decimal(p,s)`.
pub const DECIMAL_PRECISION: u8 = 38;
