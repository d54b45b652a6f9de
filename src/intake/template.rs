//! Message templates: compiled once, bound to a list's header, rendered row by row. Reads no
//! list, and does not know whom a message is for.

pub mod compile;
pub mod filters;
pub mod include;
mod limits;
pub mod media;
mod meter;
pub mod render;
pub mod report;
pub mod scan;
pub mod scope;
