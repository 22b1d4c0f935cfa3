//! Topics of rows by name.

use forebay_model::GroupSchema;

/// The topic that a group's rows are in. An environment, where there are several in one cluster, stands before it; generations after the first behind it.
#[must_use]
pub fn topic_name(environment: Option<&str>, schema: &GroupSchema) -> String {
    let prefix = environment.map_or_else(String::new, |environment| format!("{environment}-"));
    let suffix = match schema.generation.0 {
        0 => String::new(),
        generation => format!("-g{generation}"),
    };
    let name = &schema.name;
    format!("{prefix}forebay-rows-{}-{}{suffix}", name.domain(), name.group())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use forebay_model::{Generation, GroupId, LayoutNumber};

    use super::*;

    #[test]
    fn it_names_environment_group_and_generation() {
        let schema = |generation| GroupSchema {
            name: "product.value".parse().expect("a group"),
            id: GroupId(1),
            generation: Generation(generation),
            layout: LayoutNumber(0),
            keys: Arc::from([]),
            slots: Arc::from([]),
        };
        assert_eq!(topic_name(None, &schema(0)), "forebay-rows-product-value");
        assert_eq!(
            topic_name(Some("staging"), &schema(2)),
            "staging-forebay-rows-product-value-g2"
        );
    }
}
