//! The integration tests: one binary, one link. Reach nothing but this machine.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a helper that cannot go on fails its test"
)]

mod cli;
mod contract;
mod examples;
mod fuzz;
mod gateway;
mod init;
mod layers;
mod ledger;
mod machine;
mod phones;
mod preview;
mod readme;
mod sandbox;
mod schedule_docs;
mod schedule_oracle;
mod send_path;
mod support;
