//! A feature view as services see it.

use std::{fmt, sync::Arc};

use forebay_model::{
    Name,
    definitions::{Definition, FeatureView},
};

/// One revision of a view. It fixes features, order, names and expressions; the groups it reads are those of the
/// snapshot it is read from.
#[derive(Clone)]
pub struct View {
    pub revision: u64,
    definition: Arc<Definition>,
}

impl View {
    pub(crate) fn new(definition: Arc<Definition>, revision: u64) -> Option<Self> {
        matches!(*definition, Definition::FeatureView(_)).then_some(Self { revision, definition })
    }

    #[must_use]
    pub fn name(&self) -> &Name {
        &self.definition().name
    }

    pub(crate) fn shared_definition(&self) -> Arc<Definition> {
        Arc::clone(&self.definition)
    }

    #[must_use]
    pub fn definition(&self) -> &FeatureView {
        match &*self.definition {
            Definition::FeatureView(view) => view,
            // `new` refuses every other kind.
            _ => unreachable!("a view is made from a view's definition only"),
        }
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("name", self.name())
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}
