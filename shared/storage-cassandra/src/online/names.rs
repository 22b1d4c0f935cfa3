//! What tables, types and fields are called.

use forebay_model::{Generation, GroupId, GroupSchema};

use crate::config::KEYSPACE_LENGTH;

/// The one column beside the key.
pub(super) const ROW: &str = "_row";

/// The fields of a row's type before the features. The order decides which row wins: see `cell.rs`.
pub(super) const FIXED_FIELDS: [(&str, &str); 4] = [
    ("_sequence", "bigint"),
    ("_hash", "bigint"),
    ("_ingest_time", "bigint"),
    ("_deleted", "boolean"),
];

/// The table of a generation of a group: `product__value`, then `product__value__1`. No name holds two underscores in a row, so no two groups meet; nor does
/// a group meet the fixed tables, whose names hold no two either. Where that would be too long for a table the group's number stands for its name.
pub(super) fn table(schema: &GroupSchema) -> String {
    table_of(schema, schema.generation)
}

/// The table of another generation of the group.
pub(super) fn table_of(schema: &GroupSchema, generation: Generation) -> String {
    let name = schema.name.table_name();
    if generation == Generation(0) {
        return name;
    }
    let generation = generation.0;
    let named = format!("{name}__{generation}");
    if named.len() <= KEYSPACE_LENGTH {
        named
    } else {
        let GroupId(id) = schema.id;
        // No group's name: the part before `__` would be a domain, and the part after it begins with a digit.
        format!("g{id}__{generation}")
    }
}

/// The type of a table's rows.
pub(super) fn row_type(table: &str) -> String {
    format!("{table}_row")
}

/// Any name as CQL takes it: some are its words.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

#[cfg(test)]
mod tests {
    use forebay_storage::conformance::schemas;

    use super::*;

    #[test]
    fn every_generation_has_a_table_of_its_own() {
        let mut schema = (*schemas::prices(0)).clone();
        assert_eq!(table(&schema), "shop__prices");
        schema.generation = Generation(2);
        assert_eq!(table(&schema), "shop__prices__2");
        let longest = format!("{}.{}", "d".repeat(23), "g".repeat(23));
        schema.name = longest.parse().expect("a group");
        assert_eq!(table(&schema), "g7__2");
        schema.generation = Generation(0);
        assert_eq!(table(&schema).len(), KEYSPACE_LENGTH);
    }
}
