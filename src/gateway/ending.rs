//! What holds of the end of an exchange whichever provider it is with: one that gave no whole
//! answer, one outside of a send, and what is kept of the names that answers carry.

use jiff::SignedDuration;
use reqwest::header::HeaderMap;

use super::http::Lost;
use crate::domain::outcome::{Failure, Outcome, Scope};

/// Longest id or trace that is kept; the longest shape seen has 36 characters (chert §1).
const MAX_ID: usize = 256;

/// The outcome of an exchange without a whole answer. `wait` finds what the headers of a refusal
/// ask for, `trace` is the header that names the exchange.
pub(super) fn lost(
    lost: Lost,
    trace: &str,
    wait: impl FnOnce(&HeaderMap) -> Option<SignedDuration>,
) -> Outcome {
    match lost {
        // It concerns everyone who is sent to through this account.
        Lost::NotSent { failure, wait } => Outcome::Retry {
            after: SignedDuration::try_from(wait).ok(),
            scope: Scope::Account,
            failure,
        },
        // The one status that is a refusal, with its wait, whatever its body would have said.
        Lost::Cut {
            status: 429,
            headers,
            failure,
        } => Outcome::Retry {
            after: wait(&headers),
            scope: Scope::Account,
            failure: traced(failure, &headers, trace),
        },
        Lost::Cut {
            headers, failure, ..
        } => Outcome::Uncertain {
            failure: traced(failure, &headers, trace),
        },
        Lost::Unanswered(failure) => Outcome::Uncertain { failure },
    }
}

/// Outside of a send there is no message that may be on its way: what is unclear is simply tried
/// again, and a file that was lost on the way is uploaded again.
pub(super) fn harmless(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Uncertain { failure } | Outcome::MediaLost { failure } => Outcome::Retry {
            after: None,
            scope: Scope::Recipient,
            failure,
        },
        Outcome::LineInactive { failure } => Outcome::Permanent { failure },
        Outcome::Accepted { .. }
        | Outcome::Retry { .. }
        | Outcome::Permanent { .. }
        | Outcome::StopRun { .. }
        | Outcome::LineBusy { .. } => outcome,
    }
}

/// Where no recipient is concerned, a refusal for good is the account's, or its address's.
pub(super) fn of_the_account(outcome: Outcome) -> Outcome {
    if let Outcome::Permanent { failure } | Outcome::LineInactive { failure } = outcome {
        Outcome::StopRun { failure }
    } else {
        outcome
    }
}

/// What an answer means that sends us elsewhere.
pub(super) fn moved(status: u16) -> String {
    format!(
        "HTTP {status}: the provider has moved to another address; set `base_url` to the new one"
    )
}

/// The failure with the name of its exchange, where only a header has it.
pub(super) fn traced(mut failure: Failure, headers: &HeaderMap, trace: &str) -> Failure {
    if failure.trace_id.is_none() {
        let header = headers.get(trace).and_then(|id| id.to_str().ok());
        failure.trace_id = usable(header.map(str::to_owned));
    }
    failure
}

/// An id that is not empty, and not of a length that no id has.
pub(super) fn usable(id: Option<String>) -> Option<String> {
    id.filter(|id| (1..=MAX_ID).contains(&id.len()))
}
