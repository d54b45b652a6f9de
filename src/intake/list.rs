//! Lists of recipients: where a row ends, what the columns are called. What a row means for a
//! message is decided in `rows`.

pub mod frame;
pub mod header;
pub mod suppress;
