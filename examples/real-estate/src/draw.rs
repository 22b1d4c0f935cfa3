//! Reproducible draws: a number follows from the seed, what it is for, whose it is and how often was drawn.
//!
//! No generator with a state is used, so that no row depends on the order in which rows are made.

/// What a number is drawn for.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    SaleTime = 1,
    DaysListed = 2,
    ListingTime = 3,
    Markup = 4,
    Recording = 5,
    Rent = 6,
    Clicks = 7,
    Visitor = 8,
    ClickTime = 9,
    Action = 10,
    Seconds = 11,
    Buyer = 12,
    BuyerTime = 13,
    Registration = 14,
    City = 15,
    Move = 16,
    Taste = 17,
}

/// All numbers of one seed.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    seed: u64,
}

impl Draw {
    pub fn new(seed: u64) -> Self {
        Draw { seed }
    }

    /// A number in `0..bound`, the same for the same arguments. `bound` is at least 1.
    pub fn below(&self, purpose: Purpose, id: i64, n: u64, bound: u64) -> u64 {
        let bits = mix(mix(mix(mix(self.seed) ^ purpose as u64) ^ id as u64) ^ n);
        // The high half of bits × bound: for bounds this small its bias is below 2^-40.
        ((u128::from(bits) * u128::from(bound)) >> 64) as u64
    }
}

/// One step of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixes_as_published() {
        // The first output of SplitMix64 with state 0.
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn stays_below_its_bound_and_fills_it() {
        let draw = Draw::new(1);
        let mut seen = [0; 10];
        for n in 0..10_000 {
            seen[draw.below(Purpose::City, 7, n, 10) as usize] += 1;
        }
        assert!(seen.iter().all(|&count| (850..1150).contains(&count)), "{seen:?}");
    }

    #[test]
    fn purposes_owners_and_seeds_draw_apart() {
        let numbers = [
            Draw::new(1).below(Purpose::City, 1, 0, u64::MAX),
            Draw::new(2).below(Purpose::City, 1, 0, u64::MAX),
            Draw::new(1).below(Purpose::Taste, 1, 0, u64::MAX),
            Draw::new(1).below(Purpose::City, 2, 0, u64::MAX),
            Draw::new(1).below(Purpose::City, 1, 1, u64::MAX),
        ];
        for (i, a) in numbers.iter().enumerate() {
            assert!(numbers[i + 1..].iter().all(|b| a != b));
        }
    }
}
