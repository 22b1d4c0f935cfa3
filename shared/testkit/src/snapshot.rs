use std::collections::BTreeMap;

use forebay_catalog::Snapshot;
use forebay_model::definitions::parse_one;
use serde_json::Value;

/// Registry revision 1 with these definitions, a JSON array of objects; every group is ready.
pub fn snapshot(definitions: &Value) -> Snapshot {
    let definitions = definitions.as_array().expect("an array of definitions").iter();
    let definitions = definitions.map(|definition| parse_one(definition).expect("a definition"));
    Snapshot::of_definitions(definitions, &BTreeMap::new()).expect("definitions that fit together")
}
