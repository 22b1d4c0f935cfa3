//! Groups for the suites.

use std::sync::Arc;

use forebay_model::{DataType, Generation, GroupId, GroupSchema, KeyColumn, KeyType, LayoutNumber, Name, Slot};

/// A group `shop.prices` with the key `id int64` and the features `price float64` and `city string`; from layout 1 on also `taste vector<float32, 2>`.
///
/// # Panics
/// Never: its names are valid.
#[must_use]
pub fn prices(layout: u16) -> Arc<GroupSchema> {
    let name = |text: &str| Name::new(text).expect("a name");
    let slot = |text: &str, data_type, since| Slot {
        name: name(text),
        data_type,
        since: LayoutNumber(since),
        hidden: false,
    };
    let mut slots = vec![slot("price", DataType::Float64, 0), slot("city", DataType::String, 0)];
    if layout > 0 {
        slots.push(slot("taste", DataType::Vector { length: 2 }, 1));
    }
    Arc::new(GroupSchema {
        name: "shop.prices".parse().expect("a group"),
        id: GroupId(7),
        generation: Generation(0),
        layout: LayoutNumber(layout),
        keys: Arc::from([KeyColumn {
            name: name("id"),
            key_type: KeyType::Int64,
        }]),
        slots: Arc::from(slots),
    })
}
