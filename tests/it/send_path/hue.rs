//! The send path on a provider that knows people and no keys, so that nobody can ask again what
//! became of a message. `world` has processes within the test and hours that go by; `stage` has
//! real ones.

pub(super) mod allowance;
pub(super) mod crash_points;
pub(super) mod doubt;
pub(super) mod once;
pub(super) mod soak;
pub(super) mod soak_of_processes;
mod stage;
mod world;
