//! What is wrong with a definition, and where.

use serde::Serialize;

use super::ObjectId;

/// One thing that is wrong with one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Which document of the bundle, counting from 0; none when the object was registered earlier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<usize>,
    /// The object, when its kind and name could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectId>,
    /// JSON pointer within the document; empty for the document itself.
    pub pointer: String,
    /// Stable and machine-readable, such as `unknown_field`.
    pub code: &'static str,
    /// What is wrong and what to do.
    pub detail: String,
    /// Names that exist and look like the one given, best first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nearest: Vec<String>,
}

impl Problem {
    /// A problem of an object, found when its bundle is seen as a whole.
    #[must_use]
    pub fn of(object: ObjectId, pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            document: None,
            object: Some(object),
            pointer: pointer.into(),
            code,
            detail: detail.into(),
            nearest: Vec::new(),
        }
    }

    /// The same with the names that look like `wanted`, which the detail then also names.
    #[must_use]
    pub fn near<'a>(mut self, wanted: &str, existing: impl IntoIterator<Item = impl AsRef<str> + 'a>) -> Self {
        self.nearest = nearest(wanted, existing);
        if !self.nearest.is_empty() {
            self.detail
                .push_str(&format!("; did you mean {}?", quoted(&self.nearest)));
        }
        self
    }
}

fn quoted(names: &[String]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(" or ")
}

/// Up to three of `existing` that look like `wanted`, best first, equal ones by name.
#[must_use]
pub fn nearest<'a>(wanted: &str, existing: impl IntoIterator<Item = impl AsRef<str> + 'a>) -> Vec<String> {
    const ALIKE: f64 = 0.7;
    // Jaro-Winkler is quadratic in the length of what a caller sends.
    let wanted: String = wanted.chars().take(128).collect();
    let mut scored: Vec<(f64, String)> = existing
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&wanted, name.as_ref()), name.as_ref().to_owned()))
        .filter(|(score, _)| *score >= ALIKE)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    scored.truncate(3);
    scored.into_iter().map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_come_best_first_and_far_ones_not_at_all() {
        assert_eq!(
            nearest("sale_prise", ["rent_price", "sale_price", "city"]),
            ["sale_price", "rent_price"]
        );
        assert!(nearest("zzz", ["sale_price"]).is_empty());
    }
}
