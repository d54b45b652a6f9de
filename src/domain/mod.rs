//! The rules, and nothing else: no runtime, database, network, clock, randomness, files or
//! environment. Time and chance come in as arguments.
//!
//! Reading order: [`campaign`] is what the user asked for, [`message`] what a recipient gets,
//! [`run`] and [`delivery`] what is kept of it, [`outcome`] what an attempt came to, [`cap`],
//! [`pace`], [`retry`], [`schedule`] and [`window`] decide *when*.

pub mod account;
pub mod address;
pub mod campaign;
pub mod cap;
pub mod cause;
pub mod channel;
pub mod contact;
pub mod delivery;
pub mod digest;
pub mod duration;
pub mod email;
pub mod history;
pub mod key;
pub mod links;
pub mod message;
pub mod opt_out;
pub mod outcome;
pub mod pace;
pub mod phone;
pub mod problem;
pub mod proof;
pub mod receipt;
pub mod recipient;
pub mod retry;
pub mod run;
pub mod schedule;
pub mod single;
pub mod sum;
pub mod window;
