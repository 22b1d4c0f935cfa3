//! What topics are called.

use forebay_model::{Generation, GroupSchema};
use forebay_rows::avro::topic_name;

/// The topics of one environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    environment: Option<String>,
}

impl Names {
    /// With an environment all topics begin with its name.
    pub(crate) fn new(environment: Option<&str>) -> Self {
        Self {
            environment: environment.map(str::to_owned),
        }
    }

    pub(crate) fn rows(&self, schema: &GroupSchema) -> String {
        topic_name(self.environment.as_deref(), schema)
    }

    /// Whether a topic holds rows of the group, of any generation.
    pub(crate) fn is_of_group(&self, schema: &GroupSchema, topic: &str) -> bool {
        let first = GroupSchema {
            generation: Generation(0),
            ..schema.clone()
        };
        // Names have no hyphens, so no other group's topic begins so and goes on with `-g`.
        topic
            .strip_prefix(&self.rows(&first))
            .is_some_and(|rest| match rest.strip_prefix("-g") {
                Some(number) => !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()),
                None => rest.is_empty(),
            })
    }

    fn fixed(&self, name: &str) -> String {
        match &self.environment {
            Some(environment) => format!("{environment}-{name}"),
            None => name.to_owned(),
        }
    }

    pub(crate) fn registry_changes(&self) -> String {
        self.fixed("forebay-registry-changes")
    }

    pub(crate) fn signals(&self) -> String {
        self.fixed("forebay-signals")
    }

    pub(crate) fn rejected(&self) -> String {
        self.fixed("forebay-rejected")
    }
}

#[cfg(test)]
mod tests {
    use forebay_storage::conformance::schemas;

    use super::*;

    #[test]
    fn a_groups_topics_are_told_from_those_of_others() {
        let schema = schemas::prices(0);
        let names = Names::new(Some("staging"));
        assert_eq!(names.rows(&schema), "staging-forebay-rows-shop-prices");
        assert_eq!(Names::new(None).rows(&schema), "forebay-rows-shop-prices");
        let later = GroupSchema {
            generation: Generation(12),
            ..(*schema).clone()
        };
        assert_eq!(names.rows(&later), "staging-forebay-rows-shop-prices-g12");
        for own in [&schema, &std::sync::Arc::new(later)] {
            assert!(names.is_of_group(&schema, &names.rows(own)));
        }
        for other in [
            "staging-forebay-rows-shop-prices_old",
            "staging-forebay-rows-shop-prices-g",
            "forebay-rows-shop-prices",
            "staging-forebay-rows-shop-prices-gx",
        ] {
            assert!(!names.is_of_group(&schema, other), "{other}");
        }
    }
}
