//! Runs a plan: freezes it, claims what is due, paces, sends, records, recovers. Works on the
//! [`Ledger`](crate::ledger::Ledger) and [`Gateway`](crate::gateway::Gateway) traits alone and
//! never prints.
//!
//! ```text
//! plan ──► dispatch ──claims──► worker ──► limiter ──► gateway
//!              ▲                  │ ▲
//!              └──── tally ◄──────┘ └─ recorder (one writer, commits in groups)
//! ```

mod admission;
pub mod clock;
mod contacts;
pub mod crew;
pub mod dispatch;
pub mod ears;
mod floor;
mod follow;
mod gates;
mod heard;
mod leases;
pub mod limiter;
mod lines;
pub mod listener;
mod outcomes;
pub mod patient;
pub mod plan;
mod pulse;
pub mod receipts;
mod reconcile;
mod recorder;
mod settle;
pub mod tally;
pub mod templates;
pub mod track;
pub mod turns;
mod uploads;
mod worker;
