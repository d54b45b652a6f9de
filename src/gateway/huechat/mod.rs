//! HueChat: what it tells by itself, and how that is known to be its word.

pub mod events;
pub mod signature;
