//! The integration tests: one binary, so one link and shared fixtures.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper that cannot go on fails its test"
)]

mod sandbox;
