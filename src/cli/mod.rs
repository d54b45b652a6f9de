//! One file per command; the only place that prints.

pub mod problems;
pub mod schedule_words;
