//! A recipient: a person in a run, as one row of the list names them.

use super::address::Address;
use super::delivery::SkipReason;
use super::message::{Media, Message};
use super::problem::Problems;

/// A person in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// What makes this person the same in every run: the `key` column, else the phone in E.164.
    /// Goes into the idempotency key.
    pub key: String,
    pub phone: Address,
    /// An IANA zone from the list, for a window in the recipient's own time.
    pub timezone: Option<String>,
}

/// One row of the list, decided as far as the list alone can decide it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Counts the records from 1, the header not included.
    pub number: u64,
    /// The line of the file on which the record begins, from 1, the header included.
    pub line: u64,
    pub verdict: Verdict,
}

/// What is to happen with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// This message goes to this person, unless the same person stands further up.
    Send {
        recipient: Recipient,
        message: Message,
    },
    /// Deliberately nothing.
    Skip {
        /// As far as the row gives them.
        key: Option<String>,
        phone: Option<Address>,
        reason: SkipReason,
        /// The reason in one sentence that names the column; no cell content but in masked form.
        detail: String,
    },
}

/// A piece of a list that streams by; lists are never held whole.
#[derive(Debug, Default)]
pub struct Chunk {
    /// In the order of the list.
    pub rows: Vec<Row>,
    /// Files that these rows are the first to name.
    pub media: Vec<Media>,
    /// What is wrong with these rows. After an error nothing may be sent.
    pub problems: Problems,
}
