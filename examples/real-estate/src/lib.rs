//! The example's data: 2,930 real house sales (see `data/README.md`), made into what a portal would have seen of them.
//!
//! [`listings`] is the history of the offers, [`clicks`] what visitors did with them, [`profiles`] who the visitors are
//! and [`labels`] how the offers ended. All of it follows from the sales and a seed by the formulas in the example's
//! README: the same seed gives the same rows on every machine, because only integers are drawn and divided.

pub mod calendar;
pub mod clicks;
pub mod draw;
pub mod labels;
pub mod listings;
pub mod profiles;
pub mod sale;
pub mod tables;

/// The seed of the data shown in the documentation.
pub const SEED: u64 = 20060101;

/// The definitions of the example's features, `features.yaml`.
pub const FEATURES: &str = include_str!("../features.yaml");
