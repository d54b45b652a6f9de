//! The second half of a summary: what of the run is still open, and what to do next.

use jiff::Timestamp;

use super::super::layout::clean;
use super::super::lines::inactive;
use super::super::style::Tone;
use super::super::words::thousands;
use super::Summary;
use crate::domain::cap::{Room, Subject};
use crate::domain::delivery::{DeliveryState, Hold};
use crate::domain::run::RunState;
use crate::ledger::{Attendance, Gate, Held};

impl Summary<'_> {
    pub(super) fn waiting(&mut self) {
        let (pending, wire) = (
            self.of(DeliveryState::Pending),
            self.of(DeliveryState::Sending),
        );
        if pending + wire == 0 {
            return;
        }
        let figures = thousands(pending.max(wire)).len();
        let cancelled = self.run.state == RunState::Cancelled;
        self.page.heading(
            Tone::Warn,
            if cancelled {
                "Still open"
            } else {
                "Still to come"
            },
        );
        for (hold, n, due_at) in &self.facts.holds {
            let head = [(Tone::Plain, format!("  {:>figures$}  ", thousands(*n)))];
            let words = self.hold(*hold, *due_at);
            self.page.beside(&head, Tone::Plain, &words);
        }
        if wire > 0 {
            let head = [(Tone::Plain, format!("  {:>figures$}  ", thousands(wire)))];
            let words = match self.attendance() {
                Attendance::Interrupted | Attendance::Unattended => {
                    format!("without an answer, to be {}", self.run.terms.settled_by())
                }
                Attendance::Done | Attendance::Attended => {
                    "on the wire: begun, and without an answer so far".to_owned()
                }
            };
            self.page.beside(&head, Tone::Plain, &words);
        }
    }

    fn hold(&self, hold: Option<Hold>, due_at: Timestamp) -> String {
        let why = match hold {
            None if due_at <= self.calendar.now => return "waiting for their turn".to_owned(),
            None => "not due yet",
            Some(Hold::Retry) => "refused for now, to be tried again",
            Some(Hold::Window) => "outside the allowed hours",
            Some(Hold::LineCapacity) => "the line is at its limit",
            Some(Hold::LineInactive) if self.facts.held_up.is_empty() => {
                return "held while their line was not active; due now".to_owned();
            }
            Some(Hold::LineInactive) => {
                return "held: their line is not active, and they stay with it".to_owned();
            }
            Some(Hold::DailyCap) => "the cap of the day is used up",
            Some(Hold::Throttled) => "the whole account has to wait",
        };
        if due_at <= self.calendar.now {
            format!("{why}; due now")
        } else {
            format!("{why}; the first {}", self.calendar.ahead(due_at))
        }
    }

    /// What the caps of the day have left, while something of the run is open.
    pub(super) fn caps(&mut self) {
        if self.facts.counts.open() == 0 || self.facts.caps.is_empty() {
            return;
        }
        self.page.heading(Tone::Warn, "Today's caps");
        for one in &self.facts.caps {
            let used = thousands(u64::from(one.used.taken));
            let of = one
                .cap
                .on_day(one.used.days_before)
                .map_or_else(String::new, |most| {
                    format!(" of {}", thousands(u64::from(most)))
                });
            let whom = match &one.subject {
                Subject::Campaign(_) => format!("{used}{of} people newly written to"),
                Subject::Line(line) => format!("line {line}: {used}{of} first messages"),
            };
            let words = match one.room {
                Room::Open(_) => whom,
                Room::Closed { until } => {
                    format!("{whom}; the next {}", self.calendar.ahead(until))
                }
            };
            self.page
                .beside(&[(Tone::Plain, "  ".to_owned())], Tone::Plain, &words);
        }
    }

    /// A gate of the gateway concerns a run only while something of it is open.
    pub(super) fn gates(&mut self) {
        if self.facts.counts.open() == 0 || self.facts.gates.is_empty() {
            return;
        }
        self.page.heading(Tone::Warn, "Waiting for the provider");
        for gate in &self.facts.gates {
            if let (Held::Line(line), Some(_)) = (&gate.held, gate.inactive_since) {
                self.inactive_line(line, gate);
                continue;
            }
            let whom = match &gate.held {
                Held::Account => "the whole account".to_owned(),
                Held::Line(line) => format!("line {line}"),
                Held::Recipient(phone) => phone.masked(),
            };
            let until = self.calendar.ahead(gate.until);
            let words = format!("{whom} until {until}: {}", clean(&gate.reason));
            self.page
                .beside(&[(Tone::Plain, "  ".to_owned())], Tone::Plain, &words);
        }
    }

    fn inactive_line(&mut self, line: &str, gate: &Gate) {
        let waiting = self.facts.held_up.get(line).copied().unwrap_or(0);
        let whom = match waiting {
            0 => String::new(),
            1 => " 1 person waits for it.".to_owned(),
            n => format!(" {} people wait for it.", thousands(n)),
        };
        let words = inactive(line, gate, &self.calendar) + &whom;
        self.page
            .beside(&[(Tone::Plain, "  ".to_owned())], Tone::Plain, &words);
    }

    pub(super) fn next(&mut self) {
        if self.run.total == 0 {
            return;
        }
        self.page.heading(Tone::Strong, "What to do next");
        if let Some(words) = self.how_to_go_on() {
            self.page.paragraph(2, words);
            self.page
                .command(&format!("sendoff resume {}", self.run.run));
        }
        self.put_right();
        self.page
            .paragraph(2, "See every row with its state and reason:");
        let file = file_name(self.run.run.as_str());
        self.page.command(&format!(
            "sendoff report {} --format csv -o {file}",
            self.run.run
        ));
        if self.run.run.is_rehearsal() && self.run.state == RunState::Finished {
            let words =
                "Send it for real: the same `sendoff run` without --sandbox. It asks first.";
            self.page.paragraph(2, words);
        }
    }

    fn attendance(&self) -> Attendance {
        self.facts.outlook.attendance(self.calendar.now)
    }

    /// What a person may do about failed and uncertain ones.
    fn put_right(&mut self) {
        let run = &self.run.run;
        let (failed, uncertain) = (
            self.of(DeliveryState::Failed),
            self.of(DeliveryState::Uncertain),
        );
        let whom = self.facts.uncertain.first();
        let whom = whom.map_or("PHONE".to_owned(), |one| format!("--row {}", one.row));
        let mut advice = Vec::new();
        if failed > 0 && self.run.state != RunState::Cancelled {
            advice.push((
                "Put back what failed, when its cause is put right; `resume` sends it:",
                format!("sendoff retry {run}"),
            ));
        }
        if uncertain > 0 {
            let whose = self.facts.uncertain.first();
            let whose = whose.map_or("--recipient PHONE".to_owned(), |one| {
                format!("--row {}", one.row)
            });
            advice.push((
                "Say of each uncertain one what its conversation shows, `sent` or `unsent`:",
                format!("sendoff resolve {run} {whose} --as sent"),
            ));
        }
        if failed + uncertain > 0 {
            advice.push((
                "Read what happened to one person:",
                format!("sendoff explain {run} {whom}"),
            ));
        }
        for (words, command) in advice {
            self.page.paragraph(2, words);
            self.page.command(&command);
        }
    }

    fn how_to_go_on(&self) -> Option<&'static str> {
        let open = self.facts.counts.open() > 0;
        match self.run.state {
            RunState::Running if open && self.is_ahead() => {
                Some("Wait for its time and send it then:")
            }
            RunState::Running if open && self.attendance() == Attendance::Attended => None,
            RunState::Running if open => {
                Some("Send the rest; nobody gets it twice, even while another process is sending:")
            }
            RunState::Paused => Some("Go on where it stopped:"),
            RunState::Halted => Some("When the cause is put right, go on where it stopped:"),
            RunState::Running | RunState::Finished | RunState::Cancelled => None,
        }
    }
}

/// A file name for every system: a run id may hold `@`, `:` and `+`.
fn file_name(run: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = run
        .chars()
        .map(|c| if plain(c) { c } else { '-' })
        .collect();
    format!("{name}.csv")
}
