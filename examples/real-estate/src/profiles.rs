//! The visitors: where they live and what they like, as rows of the group `visitor.profile`.

use serde::Serialize;

use crate::calendar::{self, DAY};
use crate::draw::{Draw, Purpose};

/// How many visitors there are.
pub const VISITORS: u64 = 500;

const CITIES: [&str; 8] = [
    "Ames",
    "Ankeny",
    "Boone",
    "Des Moines",
    "Gilbert",
    "Huxley",
    "Nevada",
    "Story City",
];

/// The profile of a visitor from `event_time` on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Profile {
    pub visitor_id: String,
    pub event_time: String,
    pub city: &'static str,
    /// Eight numbers in 0..1, multiples of 1/256; one visitor in ten has none.
    pub taste: Option<[f32; 8]>,
}

/// The name of the `number`th visitor; numbers begin with 1.
pub fn visitor_id(number: u64) -> String {
    format!("v{number:04}")
}

/// All profiles: everyone registers in 2005, every fourth visitor moves in 2008 or 2009. By visitor, then by time.
pub fn profiles(draw: Draw) -> Vec<Profile> {
    (1..=VISITORS as i64)
        .flat_map(|number| of_visitor(number, draw))
        .collect()
}

fn of_visitor(number: i64, draw: Draw) -> Vec<Profile> {
    let below = |purpose, n, bound| draw.below(purpose, number, n, bound);
    let taste = (below(Purpose::Taste, 8, 10) > 0)
        .then(|| std::array::from_fn(|i| below(Purpose::Taste, i as u64, 256) as f32 / 256.0));
    let profile = |seconds: i64, n| Profile {
        visitor_id: visitor_id(number as u64),
        event_time: calendar::rfc3339(seconds * 1_000_000),
        city: CITIES[below(Purpose::City, n, CITIES.len() as u64) as usize],
        taste,
    };
    let (year_2005, _) = calendar::month(2005, 1);
    let (year_2008, _) = calendar::month(2008, 1);
    let mut profiles = vec![profile(
        year_2005 + below(Purpose::Registration, 0, 90 * DAY as u64) as i64,
        0,
    )];
    if below(Purpose::Move, 0, 4) == 0 {
        profiles.push(profile(year_2008 + below(Purpose::Move, 1, 730 * DAY as u64) as i64, 1));
    }
    profiles
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SEED;

    #[test]
    fn everyone_has_a_profile_and_some_move() {
        let profiles = profiles(Draw::new(SEED));
        let moved = profiles.len() - VISITORS as usize;
        assert!((80..170).contains(&moved), "{moved}");
        assert!(profiles.iter().any(|profile| profile.taste.is_none()));
        assert!(
            profiles
                .windows(2)
                .all(|pair| (&pair[0].visitor_id, &pair[0].event_time) < (&pair[1].visitor_id, &pair[1].event_time))
        );
    }
}
