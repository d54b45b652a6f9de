//! `sendoff` sends a campaign to each person once, and can prove it afterwards.
//!
//! Dependencies point down only; `tests/it/layers.rs` keeps it so.
//!
//! | module | what it is | may use |
//! |---|---|---|
//! | [`cli`] | one file per command; the only place that prints | all |
//! | [`service`] | runs until it is told to end: receives what providers tell by themselves | all but `cli` |
//! | [`engine`] | runs a plan: claims, paces, sends, records, recovers | `domain`, `ledger`, `gateway`, `crash_points` |
//! | [`report`] | reads the ledger, makes bytes | `domain`, `ledger` |
//! | [`gateway`] | the only outbound HTTP | `domain` |
//! | [`ledger`] | the only SQL | `domain` |
//! | [`intake`] | files to domain, all problems at once, with places | `domain` |
//! | [`sandbox`] | local providers that behave as the contract says | `domain` |
//! | [`settings`] | where `sendoff.yaml`, the ledger and the secrets are | `domain` |
//! | [`telemetry`] | the log | `domain` |
//! | `crash_points` | where a test build can be made to end | nothing of ours |
//! | [`domain`] | the rules: pure | nothing of ours |

pub mod cli;
mod crash_points;
pub mod domain;
pub mod engine;
pub mod gateway;
pub mod intake;
pub mod ledger;
pub mod report;
pub mod sandbox;
pub mod service;
pub mod settings;
pub mod telemetry;
