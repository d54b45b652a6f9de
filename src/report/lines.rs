//! How sender lines stand: how many people each has newly written to today, when it may write to
//! the next, and whether it is held. Says nothing of runs.

use serde_json::{Value, json};

use super::View;
use super::json::instant;
use super::layout::{Page, clean};
use super::status::{Column, Side, lines};
use super::style::Tone;
use super::words::{Calendar, Fine, thousands};
use crate::domain::cap::{Room, Subject};
use crate::ledger::{CapState, Gate, Held, RunFacts, RunRecord};

/// A line of a gateway at one moment.
#[derive(Debug, Clone)]
pub struct LineState {
    pub gateway: String,
    pub line: String,
    /// Its cap on first messages, where it is under one.
    pub cap: Option<CapState>,
    /// Why nothing leaves from it now.
    pub held: Option<Gate>,
}

impl LineState {
    /// The state of `line` by the caps and open gates of its gateway.
    pub fn new(gateway: &str, line: &str, caps: &[CapState], gates: &[Gate]) -> Self {
        let cap = caps
            .iter()
            .find(|one| matches!(&one.subject, Subject::Line(of) if of == line));
        let held = gates
            .iter()
            .find(|one| matches!(&one.held, Held::Line(of) if of == line));
        Self {
            gateway: gateway.to_owned(),
            line: line.to_owned(),
            cap: cap.cloned(),
            held: held.cloned(),
        }
    }

    /// Whether it has written to anybody new today, or cannot.
    pub fn is_in_use(&self) -> bool {
        self.held.is_some() || self.cap.as_ref().is_some_and(|cap| cap.used.taken > 0)
    }

    fn json(&self) -> Value {
        let cap = self.cap.as_ref();
        json!({
            "gateway": self.gateway,
            "line": self.line,
            "used": cap.map(|cap| cap.used.taken),
            "per_day": cap.and_then(|cap| cap.cap.on_day(cap.used.days_before)),
            "next_at": cap.and_then(|cap| match cap.room {
                Room::Closed { until } => Some(instant(until)),
                Room::Open(_) => None,
            }),
            "held": self.held.as_ref().map(|gate| json!({
                "inactive_since": gate.inactive_since.map(instant),
                "until": instant(gate.until),
                "reason": gate.reason,
            })),
        })
    }

    fn today(&self) -> (Tone, String) {
        let Some(cap) = &self.cap else {
            return (Tone::Faint, "-".to_owned());
        };
        let used = thousands(u64::from(cap.used.taken));
        let most = cap.cap.on_day(cap.used.days_before);
        let text = most.map_or(used.clone(), |most| {
            format!("{used}/{}", thousands(u64::from(most)))
        });
        (Tone::Plain, text)
    }

    fn next(&self, calendar: &Calendar<'_>) -> (Tone, String) {
        match self.cap.as_ref().map(|cap| cap.room) {
            Some(Room::Closed { until }) if until > calendar.now => {
                (Tone::Plain, calendar.moment(until, Fine::Minutes))
            }
            Some(_) => (Tone::Plain, "now".to_owned()),
            None => (Tone::Faint, "-".to_owned()),
        }
    }

    fn held(&self, calendar: &Calendar<'_>) -> (Tone, String) {
        let Some(gate) = &self.held else {
            return (Tone::Faint, "no".to_owned());
        };
        let words = match gate.inactive_since {
            Some(since) => format!("since {}", calendar.moment(since, Fine::Minutes)),
            None => format!("until {}", calendar.moment(gate.until, Fine::Minutes)),
        };
        (Tone::Warn, words)
    }

    /// Why it is held, and what to do.
    fn why(&self, calendar: &Calendar<'_>) -> Option<String> {
        let gate = self.held.as_ref()?;
        let line = &self.line;
        Some(match gate.inactive_since {
            Some(_) => inactive(line, gate, calendar),
            None => format!(
                "Line {line} waits until {}: {}.",
                calendar.ahead(gate.until),
                reason(gate)
            ),
        })
    }
}

fn reason(gate: &Gate) -> String {
    clean(&gate.reason).trim_end_matches('.').to_owned()
}

/// Of a line that takes no part in messaging: since when, why, and what a person may do about it,
/// as no wait ends that by itself.
pub(super) fn inactive(line: &str, gate: &Gate, calendar: &Calendar<'_>) -> String {
    let since = gate.inactive_since.unwrap_or(gate.until);
    format!(
        "Line {line} is held since {}: {}. Make it active again with the provider; `resume` looks \
         at it at once, and a process that is sending every few minutes. Its people stay with it.",
        calendar.moment(since, Fine::Minutes),
        reason(gate)
    )
}

/// The lines of a run by what is known of it.
pub fn lines_of(run: &RunRecord, facts: &RunFacts) -> Vec<LineState> {
    let lines = facts.lines.iter().filter(|line| !line.is_empty());
    lines
        .map(|line| LineState::new(&run.gateway, line, &facts.caps, &facts.gates))
        .collect()
}

/// The lines as an array.
pub fn lines_json(lines: &[LineState]) -> Value {
    lines.iter().map(LineState::json).collect()
}

/// `status` without a run: one line of text for each sender line, and below it why those that are
/// held are; nothing where there is none.
pub fn lines_table(all: &[LineState], view: &View) -> String {
    if all.is_empty() {
        return String::new();
    }
    let calendar = Calendar {
        now: view.now,
        timezone: &view.timezone,
    };
    let column = |title, side, leaves, cell: &dyn Fn(&LineState) -> (Tone, String)| Column {
        title,
        side,
        leaves,
        cells: all.iter().map(cell).collect(),
    };
    let columns = vec![
        column("LINE", Side::Left, 0, &|one| {
            (Tone::Plain, one.line.clone())
        }),
        column("GATEWAY", Side::Left, 1, &|one| {
            (Tone::Plain, one.gateway.clone())
        }),
        column("NEW TODAY", Side::Right, 0, &LineState::today),
        column("NEXT", Side::Left, 0, &|one| one.next(&calendar)),
        column("HELD", Side::Left, 0, &|one| one.held(&calendar)),
    ];
    let mut text = lines(columns, all.len(), view);
    let mut page = Page::new(view.style);
    for why in all.iter().filter_map(|one| one.why(&calendar)) {
        page.paragraph(0, &why);
    }
    text += &page.into_text();
    text
}
