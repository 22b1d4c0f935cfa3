//! How far the sinks have brought rows into the stores, known in every process.
//!
//! Sinks tell [`Positions`] and [`SettledTimes`] of their own process at once, so that whoever waits there waits for nothing else; [`Signals`] tells the other
//! processes and takes in what they say. What is said may be lost: it is said again every second, and the stores themselves know their positions.

mod peers;
mod positions;
mod settled;
mod signal;
mod signals;
mod store;

pub use peers::Peers;
pub use positions::Positions;
pub use settled::SettledTimes;
pub use signal::{Reached, Signal};
pub use signals::Signals;
pub use store::Store;
