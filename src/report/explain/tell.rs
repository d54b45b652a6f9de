//! Attempts, waits and what moved a delivery, in whole sentences.

use jiff::{SignedDuration, Timestamp};

use super::super::layout::clean;
use super::super::words::lasting;
use super::Told;
use crate::domain::delivery::{DeliveryState, Hold};
use crate::domain::history::{After, Attempt};
use crate::domain::outcome::{Class, Failure};

/// Why a delivery waits.
pub(super) fn hold(hold: Hold) -> &'static str {
    match hold {
        Hold::Retry => "refused for now, to be tried again",
        Hold::Window => "outside the allowed hours",
        Hold::LineCapacity => "its line was at its limit",
        Hold::LineInactive => "its line takes no part in messaging now",
        Hold::DailyCap => "the cap of the day is used up",
        Hold::Throttled => "the provider asked the whole account to wait",
    }
}

/// `240 ms`, `1.3 seconds`, `2 minutes`.
pub(super) fn took(from: Timestamp, to: Timestamp) -> String {
    let time = to.duration_since(from).max(SignedDuration::ZERO);
    let ms = time.as_millis();
    match ms {
        ..1_000 => format!("{ms} ms"),
        1_000..10_000 => format!("{}.{} seconds", ms / 1_000, ms % 1_000 / 100),
        _ => lasting(time),
    }
}

/// `“text” (code 3002, HTTP 503, trace t-1)`
pub(super) fn words(failure: &Failure) -> String {
    let names = [
        failure.code.map(|code| format!("code {code}")),
        failure.http.map(|http| format!("HTTP {http}")),
        failure
            .trace_id
            .as_deref()
            .map(|id| format!("trace {}", clean(id))),
    ];
    let names: Vec<String> = names.into_iter().flatten().collect();
    let text = clean(&failure.text);
    let text = text.trim_end_matches('.');
    match (text.is_empty(), names.is_empty()) {
        (true, true) => "no reason given".to_owned(),
        (true, false) => names.join(", "),
        (false, true) => text.to_owned(),
        (false, false) => format!("{text} ({})", names.join(", ")),
    }
}

/// What an attempt came to, after "Attempt 1: ".
pub(super) fn outcome(told: &Told<'_>, attempt: &Attempt, tries_before: u32) -> String {
    let Some(ended_at) = attempt.ended_at else {
        return lost(told, attempt);
    };
    let time = took(attempt.begun_at, ended_at);
    let said = match attempt.class {
        Class::Accepted => {
            let after = attempt.after.as_ref();
            format!("after {time} the provider took it{}", ids(after))
        }
        Class::Retry => format!("after {time} refused for now: {}", words(&attempt.failure)),
        Class::Permanent => format!("after {time} refused for good: {}", words(&attempt.failure)),
        Class::Uncertain => format!(
            "after {time} no answer that says whether it was taken: {}",
            words(&attempt.failure)
        ),
        Class::StopRun => format!(
            "after {time} the provider refused the account: {}",
            words(&attempt.failure)
        ),
        Class::LineBusy => {
            format!(
                "after {time} the line was at its limit: {}",
                words(&attempt.failure)
            )
        }
        Class::LineInactive => format!(
            "after {time} refused, because the line takes no part in messaging now: {}",
            words(&attempt.failure)
        ),
        Class::MediaLost => format!(
            "after {time} refused, because the provider no longer has the file: {}",
            words(&attempt.failure)
        ),
        Class::NotSent => "begun, but its request did not leave: the process was to stop, or the \
                           provider had asked for a wait meanwhile"
            .to_owned(),
        Class::Lost => return lost(told, attempt),
    };
    if attempt.late {
        return format!(
            "{said}. That came too late, after another process had taken the delivery over: it \
             changed nothing."
        );
    }
    match attempt
        .after
        .as_ref()
        .and_then(|after| wait(told, attempt, after, tries_before))
    {
        Some(wait) => format!("{said}. {wait}"),
        None => format!("{said}."),
    }
}

fn ids(after: Option<&After>) -> String {
    let message = after
        .and_then(|after| after.message_id.as_deref())
        .map(clean);
    let chat = after.and_then(|after| after.chat_id.as_deref()).map(clean);
    match (message, chat) {
        (Some(message), Some(chat)) => format!(" (message {message}, chat {chat})"),
        (Some(message), None) => format!(" (message {message})"),
        (None, Some(chat)) => format!(" (chat {chat})"),
        (None, None) => String::new(),
    }
}

fn lost(told: &Told<'_>, attempt: &Attempt) -> String {
    let again = told
        .history
        .attempts
        .iter()
        .find(|other| other.attempt == attempt.attempt + 1);
    let same = again.map_or_else(
        || told.delivery().attempts > attempt.attempt,
        |other| other.revision == attempt.revision,
    );
    if same {
        let by = told.run.terms.settled_by();
        let so = if told.run.terms.has_keys() {
            "so that the provider sends it once"
        } else {
            "so that it is not sent blindly"
        };
        format!("the process ended before the answer was recorded; {by}, {so}.")
    } else {
        "the process ended before the answer was recorded.".to_owned()
    }
}

/// What the delivery waited for after an attempt, and who asked for the wait.
fn wait(told: &Told<'_>, attempt: &Attempt, after: &After, tries_before: u32) -> Option<String> {
    let most = told.run.terms.retry.attempts;
    let counted = after.tries.filter(|tries| *tries > tries_before);
    let until = after.due_at.map(|at| told.moment(at)).unwrap_or_default();
    let tries = counted.map_or_else(
        || "that uses up no try".to_owned(),
        |tries| format!("that was try {tries} of {most}"),
    );
    match after.state {
        DeliveryState::Sending => Some(format!(
            "It may have been sent. To be {} {until}; {tries}.",
            told.run.terms.settled_by()
        )),
        DeliveryState::Pending if after.anew => Some(format!(
            "To be sent anew with a new key, since the request has to change; {tries}."
        )),
        DeliveryState::Pending => Some(match (after.hold, counted) {
            (Some(Hold::Throttled), _) => {
                format!("The provider asked the whole account to wait until {until}; {tries}.")
            }
            (Some(Hold::LineCapacity), _) => {
                format!("The provider asked the line to wait until {until}; {tries}.")
            }
            (_, Some(_)) => {
                format!("To be tried again {until}, a wait of the campaign's own; {tries}.")
            }
            (_, None) if attempt.class == Class::Retry => {
                format!("The provider asked to wait with this recipient until {until}; {tries}.")
            }
            (_, None) => format!("Due again {until}; {tries}."),
        }),
        DeliveryState::Failed if attempt.class == Class::Permanent => None,
        DeliveryState::Failed => Some("No further try was allowed.".to_owned()),
        DeliveryState::Uncertain => {
            Some("It could not be asked for again: a person has to say.".to_owned())
        }
        DeliveryState::Sent
        | DeliveryState::Delivered
        | DeliveryState::Read
        | DeliveryState::Skipped
        | DeliveryState::Cancelled => None,
    }
}
