//! One person's story in a run: did it go out, what happened when, and what to do now. Tells
//! what the ledger holds; decides nothing.

mod json;
mod scenes;
mod tell;
mod text;

use jiff::Timestamp;

pub use self::json::explain_json;
pub use self::text::explain_text;
use super::View;
use super::layout::clean;
use super::words::{Calendar, Fine};
use crate::domain::address::Address;
use crate::domain::delivery::{DeliveryState, SkipReason};
use crate::domain::history::DeliveryEvent;
use crate::domain::key::IdempotencyKey;
use crate::domain::outcome::Class;
use crate::domain::run::RunState;
use crate::ledger::{DeliveryRecord, History, OptOutEvent, Outlook, RunRecord};

/// What a story is told from.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    pub run: &'a RunRecord,
    pub history: &'a History,
    pub outlook: &'a Outlook,
    /// Further rows of the list for the same person.
    pub others: &'a [DeliveryRecord],
    /// What was said about writing to this person at all.
    pub opt_outs: &'a [OptOutEvent],
    pub view: &'a View,
}

/// Did it go out?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
    Perhaps,
}

impl Answer {
    fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Perhaps => "perhaps",
        }
    }
}

/// Something that happened, at a time.
#[derive(Debug)]
struct Scene {
    at: Timestamp,
    /// By its name, for scripts.
    kind: &'static str,
    text: String,
    /// What scripts may want of it besides.
    more: serde_json::Map<String, serde_json::Value>,
}

impl Scene {
    fn new(at: Timestamp, kind: &'static str, text: impl Into<String>) -> Self {
        Self {
            at,
            kind,
            text: text.into(),
            more: serde_json::Map::new(),
        }
    }

    fn with(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }
}

/// What to do, and the command that does it.
#[derive(Debug)]
struct Advice {
    text: String,
    command: Option<String>,
}

impl Advice {
    fn words(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            command: None,
        }
    }

    fn command(text: impl Into<String>, command: String) -> Self {
        Self {
            text: text.into(),
            command: Some(command),
        }
    }
}

impl<'a> Told<'a> {
    fn calendar(&self) -> Calendar<'a> {
        Calendar {
            now: self.view.now,
            timezone: &self.view.timezone,
        }
    }

    fn delivery(&self) -> &'a DeliveryRecord {
        &self.history.delivery
    }

    /// The masked phone, else the key, else the row.
    fn who(&self) -> String {
        let delivery = self.delivery();
        match (&delivery.phone, &delivery.recipient_key) {
            (Some(phone), _) => phone.masked(),
            (None, Some(key)) => clean(key),
            (None, None) => format!("row {}", delivery.row),
        }
    }

    /// The key under which `revision` of the message goes out.
    fn key(&self, revision: u32) -> Option<IdempotencyKey> {
        let delivery = self.delivery();
        let recipient = delivery.recipient_key.as_deref()?;
        self.history.message.as_ref()?;
        let run = &self.run.run;
        Some(IdempotencyKey::derive(
            run,
            recipient,
            delivery.step,
            revision,
        ))
    }

    fn moment(&self, at: Timestamp) -> String {
        self.calendar().moment(at, Fine::Seconds)
    }

    /// The process that has it in hand.
    fn holder(&self) -> Option<String> {
        let held = self.history.held.as_ref()?;
        (held.until > self.view.now).then(|| held.owner.in_words())
    }

    fn answer(&self) -> (Answer, String) {
        let delivery = self.delivery();
        match delivery.state {
            DeliveryState::Sent | DeliveryState::Delivered | DeliveryState::Read => {
                (Answer::Yes, self.sent())
            }
            DeliveryState::Pending => (Answer::No, self.not_yet()),
            DeliveryState::Sending => (Answer::Perhaps, self.on_the_wire()),
            DeliveryState::Failed => (Answer::No, self.failed()),
            DeliveryState::Uncertain => {
                let why = delivery.detail.as_deref().map(clean).unwrap_or_default();
                let text = format!(
                    "the message for {} may have been sent, and nothing can tell: {}",
                    self.who(),
                    if why.is_empty() {
                        "no answer came"
                    } else {
                        &why
                    }
                );
                (Answer::Perhaps, text)
            }
            DeliveryState::Skipped => {
                let why = delivery.reason.map_or("", |reason| reason.in_words());
                let by = delivery.detail.as_deref().map(clean);
                let by = by.filter(|_| delivery.reason == Some(SkipReason::OptedOut));
                let by = by.map_or_else(String::new, |by| format!(" ({by})"));
                let text = format!("{} was left out on purpose: {why}{by}", self.who());
                (Answer::No, text)
            }
            DeliveryState::Cancelled => {
                let text = "the run was cancelled before the message was sent";
                (Answer::No, text.to_owned())
            }
        }
    }

    fn sent(&self) -> String {
        let (delivery, who) = (self.delivery(), self.who());
        let at = delivery
            .sent_at
            .map_or_else(String::new, |at| self.moment(at));
        let last = self.history.events.last().map(|event| &event.what);
        let taken = if last == Some(&DeliveryEvent::Resolved { sent: true }) {
            format!("the message for {who} went out by the operator's word; its request left {at}")
        } else if matches!(last, Some(DeliveryEvent::Found { .. })) {
            format!("the message for {who} stands among those of its chat; its request left {at}")
        } else {
            format!("the provider took the message for {who} {at}")
        };
        let since = match (delivery.read_at, delivery.delivered_at) {
            (Some(at), _) => format!("; it was opened {}", self.moment(at)),
            (None, Some(at)) => format!("; it reached the phone {}", self.moment(at)),
            (None, None) if delivery.no_confirmation => {
                "; no word came in three days that it reached the phone, which proves nothing"
                    .to_owned()
            }
            (None, None) => String::new(),
        };
        taken + &since
    }

    fn not_yet(&self) -> String {
        let due_at = self.delivery().due_at;
        let when = if due_at <= self.view.now {
            "it is due now".to_owned()
        } else {
            format!("it is due {}", self.calendar().ahead(due_at))
        };
        let why = match (self.run.state, self.delivery().hold) {
            (RunState::Paused, _) => "; the run is paused".to_owned(),
            (RunState::Halted, _) => "; the run is halted".to_owned(),
            (_, Some(hold)) => format!(": {}", tell::hold(hold)),
            (RunState::Running | RunState::Finished | RunState::Cancelled, None) => String::new(),
        };
        format!("the message for {} waits; {when}{why}", self.who())
    }

    fn on_the_wire(&self) -> String {
        let begun = self
            .history
            .begun_at
            .map_or_else(String::new, |at| self.moment(at));
        let who = self.who();
        match (self.holder(), self.history.attempts.last()) {
            (Some(holder), _) => format!(
                "{holder} is asking the provider right now for the message for {who} (begun \
                 {begun}), and no answer is recorded yet"
            ),
            (None, Some(last)) if last.attempt == self.delivery().attempts => format!(
                "no answer came to the request for {who} of {begun}, and it has not been asked \
                 again yet"
            ),
            (None, _) => format!(
                "a request for {who} was begun {begun}, and its process ended before an answer \
                 was recorded"
            ),
        }
    }

    fn failed(&self) -> String {
        let delivery = self.delivery();
        let why = delivery.detail.as_deref().map(clean).unwrap_or_default();
        let code = delivery
            .code
            .map_or_else(String::new, |code| format!(" (code {code})"));
        let last = self.history.attempts.iter().rev().find(|one| !one.late);
        let who = self.who();
        let how = match last.map(|attempt| attempt.class) {
            _ if delivery.message_id.is_some() => {
                format!("the message for {who} did not arrive, by the provider's word")
            }
            Some(Class::Permanent) => format!("the provider refused the message for {who}"),
            None => format!("no request could be made for {who}"),
            Some(
                Class::Accepted
                | Class::Retry
                | Class::Uncertain
                | Class::StopRun
                | Class::LineBusy
                | Class::LineInactive
                | Class::MediaLost
                | Class::NotSent
                | Class::Lost,
            ) => format!("every try of the message for {who} failed"),
        };
        let why = if why.is_empty() {
            "no reason was given"
        } else {
            &why
        };
        format!("{how}: {why}{code}")
    }

    /// What names the person in a command without naming their number.
    fn whom(&self) -> String {
        let delivery = self.delivery();
        let phone = delivery.phone.as_ref().map(Address::expose);
        match delivery.recipient_key.as_deref() {
            Some(key) if Some(key) != phone && is_plain(key) => format!("--recipient {key}"),
            _ => format!("--row {}", delivery.row),
        }
    }

    fn next(&self) -> Vec<Advice> {
        let (run, whom) = (&self.run.run, self.whom());
        let over = self.run.state == RunState::Cancelled;
        match self.delivery().state {
            DeliveryState::Sent => vec![Advice::words(
                "Nothing. Whether it reached the phone only the provider can say.",
            )],
            DeliveryState::Delivered | DeliveryState::Read => vec![Advice::words("Nothing.")],
            DeliveryState::Pending | DeliveryState::Sending if over => {
                vec![Advice::words("Nothing: the run is cancelled.")]
            }
            DeliveryState::Pending | DeliveryState::Sending => vec![self.go_on()],
            DeliveryState::Failed if over => vec![Advice::words(
                "The run is cancelled; to send it after all, put the person into a list of their \
                 own.",
            )],
            DeliveryState::Failed if self.delivery().message_id.is_some() => vec![
                Advice::command(
                    "Look into the conversation: the provider had taken it. If they are to have \
                     it again, put it back with a new key:",
                    format!("sendoff retry {run} {whom} --failed-later"),
                ),
                Advice::command("Then send it:", format!("sendoff resume {run}")),
            ],
            DeliveryState::Failed => vec![
                Advice::command(
                    "When the cause is put right, put it back:",
                    format!("sendoff retry {run} {whom}"),
                ),
                Advice::command("Then send it:", format!("sendoff resume {run}")),
            ],
            DeliveryState::Uncertain => vec![
                Advice::command(
                    "Look into the conversation. If the message is there:",
                    format!("sendoff resolve {run} {whom} --as sent"),
                ),
                Advice::command(
                    "If it is not there:",
                    format!("sendoff resolve {run} {whom} --as unsent"),
                ),
            ],
            DeliveryState::Skipped if self.delivery().reason == Some(SkipReason::OptedOut) => {
                vec![Advice::words(
                    "Nothing: they do not want to be written to. Should they ask for it again, \
                     `sendoff suppress remove` takes them off the list.",
                )]
            }
            DeliveryState::Skipped | DeliveryState::Cancelled => vec![Advice::words(
                "Nothing. To send it on purpose, put the row right and give the campaign a new \
                 run with --occurrence.",
            )],
        }
    }

    fn go_on(&self) -> Advice {
        let run = &self.run.run;
        let resume = format!("sendoff resume {run}");
        match (self.run.state, self.outlook.present.first()) {
            (RunState::Running, Some(present)) => {
                Advice::words(format!("Nothing: {} is on it.", present.worker.in_words()))
            }
            (RunState::Paused | RunState::Halted, _) => Advice::command(
                format!("Go on with the run, which is {}:", self.run.state),
                resume,
            ),
            (RunState::Running | RunState::Finished | RunState::Cancelled, _) => {
                Advice::command("No process is on the run; go on with it:", resume)
            }
        }
    }
}

/// Fits a command line without quotes.
fn is_plain(key: &str) -> bool {
    !key.is_empty()
        && !key.starts_with('-')
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.:@".contains(&b))
}
