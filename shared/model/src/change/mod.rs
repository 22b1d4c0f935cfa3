//! What a set of definitions changes about another: the plan, the schemas that follow, what breaks and what is affected.

mod breaks;
mod effects;
mod plan;
mod schema_evolution;
#[cfg(test)]
mod tests;

pub use breaks::{Break, BreakReason, breaks};
pub use effects::{Affect, AffectReason, affects, recompute};
pub use plan::{Action, Change, changes};
pub use schema_evolution::{Incompatible, evolve, shortest_ttl};
