//! Requests that begin like one before: most callers send the same list of features each time, and other entities behind it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::value::RawValue;

use crate::plan::Plan;

/// Openings kept. Each is compared with the request's beginning, which for the wrong ones ends at the first other name.
const OPENINGS: usize = 8;

/// A longer opening is not kept.
const LENGTH: usize = 64 << 10;

/// How bodies begin, up to the end of the list of features, and the plan of that list. A list in brackets ends where it ends, whatever follows; so a body that begins
/// with such a text has that list, and neither needs to be read nor looked up.
#[derive(Debug, Default)]
pub struct Openings(ArcSwap<Vec<Arc<Opening>>>);

#[derive(Debug)]
struct Opening {
    text: Box<[u8]>,
    plan: Arc<Plan>,
}

impl Openings {
    /// The plan of the list that a body begins with, and the body without that list. What does not look like the rest of a request is left to the parser.
    pub fn find(&self, body: &[u8]) -> Option<(Arc<Plan>, Vec<u8>)> {
        let openings = self.0.load();
        let (opening, rest) = openings
            .iter()
            .find_map(|opening| Some((opening, body.strip_prefix(&*opening.text)?)))?;
        let members = skip_space(skip_space(rest).strip_prefix(b",")?);
        if members.first() != Some(&b'"') {
            return None;
        }
        let mut without = Vec::with_capacity(members.len() + 1);
        without.push(b'{');
        without.extend_from_slice(members);
        Some((Arc::clone(&opening.plan), without))
    }

    /// Notes how a body begins that was read before, if `features` is its first member. `features` must be a part of `body`, a list.
    pub fn note(&self, body: &[u8], features: &RawValue, plan: &Arc<Plan>) {
        let text = features.get().as_bytes();
        let Some(start) = (text.as_ptr() as usize).checked_sub(body.as_ptr() as usize) else {
            return;
        };
        let Some(opening) = body.get(..start + text.len()).filter(|opening| opening.ends_with(text)) else {
            return;
        };
        if !is_first(&opening[..start]) || text.last() != Some(&b']') || opening.len() > LENGTH {
            return;
        }
        let opening = Arc::new(Opening {
            text: opening.into(),
            plan: Arc::clone(plan),
        });
        self.0.rcu(|openings| {
            let kept = openings.iter().filter(|known| known.text != opening.text);
            [&opening]
                .into_iter()
                .chain(kept)
                .take(OPENINGS)
                .cloned()
                .collect::<Vec<_>>()
        });
    }
}

/// Whether what stands before the list is the beginning of an object and the list's name.
fn is_first(before: &[u8]) -> bool {
    let name = before
        .trim_ascii()
        .strip_prefix(b"{")
        .and_then(|rest| rest.trim_ascii_start().strip_prefix(b"\"features\""));
    name.is_some_and(|rest| rest.trim_ascii() == b":")
}

/// JSON's own white space only: all else is the parser's to refuse.
fn skip_space(text: &[u8]) -> &[u8] {
    let space = text
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
    &text[space.count()..]
}

#[cfg(test)]
mod tests {
    use forebay_catalog::Snapshot;

    use super::*;

    fn noted(body: &str) -> Openings {
        #[derive(serde::Deserialize)]
        struct Body<'a> {
            #[serde(borrow)]
            features: &'a RawValue,
        }
        let openings = Openings::default();
        let read: Body<'_> = serde_json::from_str(body).expect("JSON");
        let plan = Plan::of_features(&Snapshot::empty(), Vec::new()).expect("a plan of nothing");
        openings.note(body.as_bytes(), read.features, &Arc::new(plan));
        openings
    }

    fn rest(openings: &Openings, body: &str) -> Option<String> {
        let (_, rest) = openings.find(body.as_bytes())?;
        Some(String::from_utf8(rest).expect("UTF-8"))
    }

    #[test]
    fn what_begins_alike_has_the_same_list() {
        let openings = noted(r#" {"features" : ["a.b.c"], "entities": {"k": [1]}}"#);
        let rest = |body| rest(&openings, body);
        assert_eq!(
            rest(r#" {"features" : ["a.b.c"] , "entities": {}}"#).as_deref(),
            Some(r#"{"entities": {}}"#)
        );
        assert_eq!(rest(r#" {"features" : ["a.b.d"], "entities": {}}"#), None);
        assert_eq!(rest(r#" {"features" : ["a.b.c"]}"#), None);
        assert_eq!(rest(r#" {"features" : ["a.b.c"], }"#), None);
        assert_eq!(rest(r#" {"features" : ["a.b.c"]"#), None);
        assert_eq!(rest(" {\"features\" : [\"a.b.c\"]\u{c}, \"entities\": {}}"), None);
    }

    #[test]
    fn a_list_that_is_not_first_is_read_each_time() {
        let openings = noted(r#"{"strict": true, "features": ["a.b.c"]}"#);
        assert!(openings.0.load().is_empty());
        assert!(noted(r#"{"features": 7}"#).0.load().is_empty());
    }

    #[test]
    fn the_newest_openings_are_kept() {
        let openings = Openings::default();
        let plan = Arc::new(Plan::of_features(&Snapshot::empty(), Vec::new()).expect("a plan of nothing"));
        for number in (0..20).chain([19]) {
            let body = format!(r#"{{"features": ["{number}"]}}"#);
            let features: &RawValue = serde_json::from_str(&body[13..body.len() - 1]).expect("JSON");
            openings.note(body.as_bytes(), features, &plan);
        }
        assert_eq!(openings.0.load().len(), OPENINGS);
        assert!(openings.find(br#"{"features": ["19"], "entities": {}}"#).is_some());
        assert!(openings.find(br#"{"features": ["1"], "entities": {}}"#).is_none());
    }
}
