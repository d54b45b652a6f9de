//! cli

pub mod schedule_words;
