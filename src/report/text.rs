//! A run in plain words: what went out, who did not get it and why, what still waits, and what
//! to do next. Names nobody but the first of the uncertain, masked; the CSV report has them all.

mod open;

use std::io::Write;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::json::not_listed;
use super::layout::{Page, clean};
use super::status::tone_of;
use super::style::Tone;
use super::words::{Calendar, Fine, count, lasting, rate, share, thousands};
use super::{Format, ReportError, Subject, View};
use crate::domain::address::Address;
use crate::domain::delivery::DeliveryState;
use crate::domain::run::RunState;
use crate::ledger::{Attendance, FailureGroup, RunFacts, RunRecord};

/// `report RUN --format text`
#[derive(Debug, Clone)]
pub struct Text {
    pub view: View,
}

#[async_trait]
impl Format for Text {
    async fn write(
        &self,
        subject: Subject<'_>,
        out: &mut (dyn Write + Send),
    ) -> Result<(), ReportError> {
        let facts = subject.ledger.facts(&subject.run.run, subject.now).await?;
        out.write_all(text(subject.run, &facts, &self.view).as_bytes())?;
        Ok(out.flush()?)
    }
}

/// How a report begins, whatever it is written on.
pub(super) struct Outline {
    pub(super) heading: String,
    pub(super) sentences: Vec<String>,
    pub(super) times: Vec<(&'static str, String)>,
}

pub(super) fn outline(run: &RunRecord, facts: &RunFacts, view: &View) -> Outline {
    let summary = Summary::new(run, facts, view);
    Outline {
        heading: summary.heading(),
        sentences: summary.sentences(),
        times: summary.moments(Fine::Whole),
    }
}

/// The summary of a run, its last line ended.
pub fn text(run: &RunRecord, facts: &RunFacts, view: &View) -> String {
    let mut summary = Summary::new(run, facts, view);
    summary.headline();
    summary.times();
    summary.totals();
    summary.skipped();
    summary.opted_out();
    summary.failed();
    summary.uncertain();
    summary.waiting();
    summary.caps();
    summary.gates();
    summary.next();
    summary.page.into_text()
}

struct Summary<'a> {
    run: &'a RunRecord,
    facts: &'a RunFacts,
    calendar: Calendar<'a>,
    page: Page,
}

/// Beside each other in a line of the totals.
const LABEL: usize = 18;

impl<'a> Summary<'a> {
    fn new(run: &'a RunRecord, facts: &'a RunFacts, view: &'a View) -> Self {
        Self {
            run,
            facts,
            calendar: Calendar {
                now: view.now,
                timezone: &view.timezone,
            },
            page: Page::new(view.style),
        }
    }

    fn of(&self, state: DeliveryState) -> u64 {
        self.facts.counts.of(state)
    }

    fn headline(&mut self) {
        // A green heading over failures would lie.
        let tone = if self.run.state == RunState::Finished && !self.but().is_empty() {
            Tone::Warn
        } else {
            tone_of(self.run.state)
        };
        self.page.heading(tone, &self.heading());
        for sentence in self.sentences() {
            self.page.paragraph(0, &sentence);
        }
    }

    fn heading(&self) -> String {
        let reason = self.run.reason.as_deref().map(clean);
        let because = reason.map_or_else(String::new, |reason| format!(": {reason}"));
        let says = match self.run.state {
            RunState::Running if self.is_ahead() => "has not begun yet".to_owned(),
            RunState::Running => self.attended(),
            RunState::Paused => format!("is paused{because}"),
            RunState::Halted => format!("was halted{because}"),
            RunState::Finished => format!("is finished{}", self.but()),
            RunState::Cancelled => format!("was cancelled{because}"),
        };
        format!("{} {}.", self.run.run, says.trim_end_matches('.'))
    }

    fn attended(&self) -> String {
        let outlook = &self.facts.outlook;
        match outlook.attendance(self.calendar.now) {
            Attendance::Done => "is running".to_owned(),
            Attendance::Attended => format!("is running ({})", outlook.workers()),
            Attendance::Interrupted => "was interrupted: no process is on it".to_owned(),
            Attendance::Unattended => {
                "waits for what is due later, and no process is on it".to_owned()
            }
        }
    }

    fn sentences(&self) -> Vec<String> {
        let mut sentences = vec![self.in_one_sentence()];
        if self.run.run.is_rehearsal() {
            let rehearsal = "This was a rehearsal in the sandbox: no real person was written to.";
            sentences.push(rehearsal.to_owned());
        }
        sentences
    }

    /// What is not as it should be at the end of a run: `; 3 failed, 1 uncertain`.
    fn but(&self) -> String {
        let bad = [DeliveryState::Failed, DeliveryState::Uncertain]
            .map(|state| (state, self.of(state)))
            .into_iter()
            .filter(|(_, n)| *n > 0)
            .map(|(state, n)| format!("{} {state}", thousands(n)));
        let bad: Vec<String> = bad.collect();
        if bad.is_empty() {
            String::new()
        } else {
            format!("; {}", bad.join(", "))
        }
    }

    /// Nothing of the run is due yet.
    fn is_ahead(&self) -> bool {
        self.run.starts_at > self.calendar.now && self.facts.first_sent_at.is_none()
    }

    fn in_one_sentence(&self) -> String {
        let (sent, total) = (self.facts.counts.accepted(), self.run.total);
        if total == 0 {
            return "The list is empty.".to_owned();
        }
        let rows = count(total, "row", "rows");
        let sent = match sent {
            0 => return format!("Nothing has been sent; the list has {rows}."),
            1 if total == 1 => "Sent to the only row in the list".to_owned(),
            all if all == total => format!("Sent to all {rows} in the list"),
            some => format!("Sent to {} of the {rows} in the list", thousands(some)),
        };
        match (self.took(), self.speed()) {
            (Some(took), Some(speed)) => format!("{sent}, in {} ({speed}).", lasting(took)),
            (Some(took), None) => format!("{sent}, in {}.", lasting(took)),
            (None, _) => format!("{sent}."),
        }
    }

    /// From the first message that was taken to the last; `None` for less than two.
    fn took(&self) -> Option<SignedDuration> {
        let (first, last) = (self.facts.first_sent_at?, self.facts.last_sent_at?);
        (first < last).then(|| last.duration_since(first))
    }

    fn speed(&self) -> Option<String> {
        rate(self.facts.counts.accepted(), self.took()?)
    }

    fn times(&mut self) {
        self.page.gap();
        for (name, value) in self.moments(Fine::Seconds) {
            let head = [(Tone::Faint, format!("  {name:<11}"))];
            self.page.beside(&head, Tone::Plain, &value);
        }
    }

    fn moments(&self, fine: Fine) -> Vec<(&'static str, String)> {
        let lines = self.run.terms.lines.len();
        let name = if self.run.run.is_rehearsal() {
            "a sandbox"
        } else {
            &self.run.gateway
        };
        let gateway = match lines {
            0 => name.to_owned(),
            _ => format!(
                "{name}, from {}",
                count(u64::try_from(lines).unwrap_or(0), "line", "lines")
            ),
        };
        let started = self.run.created_at.max(self.run.starts_at);
        let ended = match self.run.state {
            RunState::Cancelled => "Cancelled",
            RunState::Running | RunState::Paused | RunState::Halted | RunState::Finished => {
                "Finished"
            }
        };
        let moment = |at: Timestamp| self.calendar.moment(at, fine);
        let facts = [
            ("Gateway", Some(gateway)),
            (
                if self.is_ahead() { "Starts" } else { "Started" },
                Some(format!("{} ({})", moment(started), self.calendar.zone())),
            ),
            ("Last sent", self.facts.last_sent_at.map(moment)),
            (ended, self.run.finished_at.map(moment)),
            ("To go", self.to_go()),
        ];
        facts
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }

    /// How long the rest takes, while nothing but the pace keeps it waiting.
    fn to_go(&self) -> Option<String> {
        let (open, sent) = (self.facts.counts.open(), self.facts.counts.accepted());
        let queued = self.facts.holds.iter().all(|(hold, ..)| hold.is_none());
        let took = self.took().filter(|took| took.as_secs() >= 1)?;
        let going = self.run.state == RunState::Running && queued && open > 0 && sent >= 10;
        let ms = u128::try_from(took.as_millis()).ok()? * u128::from(open) / u128::from(sent);
        let rest = SignedDuration::from_millis(i64::try_from(ms).ok()?);
        going.then(|| format!("about {} at the average so far", lasting(rest)))
    }

    /// What the provider took, and what is known of it since.
    fn accepted(&self) -> [(Tone, &'static str, u64, &'static str); 4] {
        let read = self.of(DeliveryState::Read);
        [
            (
                Tone::Good,
                "Sent",
                self.facts.counts.accepted(),
                "the provider took it",
            ),
            (
                Tone::Good,
                "  delivered",
                self.of(DeliveryState::Delivered) + read,
                "it reached the phone",
            ),
            (Tone::Good, "  read", read, "it was opened"),
            (
                Tone::Plain,
                "  no confirmation",
                self.facts.counts.no_confirmation(),
                "no word of it in three days; it may have arrived",
            ),
        ]
    }

    fn totals(&mut self) {
        use DeliveryState as S;
        let rows = [
            (
                Tone::Bad,
                "Failed",
                self.of(S::Failed),
                "refused for good, or every attempt failed",
            ),
            (
                Tone::Warn,
                "Uncertain",
                self.of(S::Uncertain),
                "may have been sent, nothing can tell",
            ),
            (
                Tone::Plain,
                "Skipped",
                self.of(S::Skipped),
                "left out on purpose",
            ),
            (
                Tone::Plain,
                "Cancelled",
                self.of(S::Cancelled),
                "stopped before it was sent",
            ),
            (
                Tone::Warn,
                "On the wire",
                self.of(S::Sending),
                "begun, no answer yet",
            ),
            (Tone::Warn, "Waiting", self.of(S::Pending), "not sent yet"),
            (Tone::Strong, "Rows in the list", self.run.total, ""),
        ];
        let figures = thousands(self.run.total).len();
        self.page.gap();
        for (tone, label, n, meaning) in self.accepted().into_iter().chain(rows) {
            if n == 0 && !matches!(label, "Sent" | "Rows in the list") {
                continue;
            }
            let share = if meaning.is_empty() {
                String::new()
            } else {
                share(n, self.run.total)
            };
            let head = [
                (Tone::Plain, format!("  {label:<LABEL$}")),
                (
                    if n == 0 { Tone::Plain } else { tone },
                    format!("{:>figures$}", thousands(n)),
                ),
                (Tone::Plain, format!("  {share:>6}  ")),
            ];
            self.page.beside(&head, Tone::Faint, meaning);
        }
    }

    fn skipped(&mut self) {
        let mut reasons: Vec<_> = self.facts.skipped.iter().filter(|(_, n)| **n > 0).collect();
        let Some(most) = reasons.iter().map(|(_, n)| **n).max() else {
            return;
        };
        reasons.sort_by_key(|(reason, n)| (std::cmp::Reverse(**n), **reason));
        let figures = thousands(most).len();
        self.page.heading(Tone::Strong, "Left out on purpose");
        for (reason, n) in reasons {
            let head = [(Tone::Plain, format!("  {:>figures$}  ", thousands(*n)))];
            let words = format!("{} ({reason})", reason.in_words());
            self.page.beside(&head, Tone::Plain, &words);
        }
    }

    /// Who said STOP, when and how, and what waits for a person's judgement.
    fn opted_out(&mut self) {
        let answers = &self.facts.answers;
        if answers.opted_out > 0 {
            let people = count(answers.opted_out, "person", "people");
            let heading = format!("Opted out by answering: {people}");
            self.page.heading(Tone::Warn, &heading);
            for reply in &answers.first {
                let row = reply
                    .row
                    .map_or_else(String::new, |row| format!("row {row}, "));
                let text = format!(
                    "{row}{}: said {} {}",
                    reply.phone.masked(),
                    clean(reply.text.trim()),
                    self.calendar.moment(reply.at, Fine::Whole)
                );
                self.page.paragraph(2, &text);
            }
            let named = u64::try_from(answers.first.len()).unwrap_or(0);
            let more = answers.opted_out.saturating_sub(named);
            if more > 0 {
                let text = format!(
                    "and {} more; `sendoff suppress list` has all",
                    thousands(more)
                );
                self.page.paragraph(2, &text);
            }
        }
        if answers.to_review > 0 {
            let waiting = count(answers.to_review, "answer reads", "answers read");
            let heading = format!("{waiting} like a wish not to be written to");
            self.page.heading(Tone::Warn, &heading);
            self.page.command("sendoff suppress review");
        }
    }

    fn failed(&mut self) {
        let n = self.of(DeliveryState::Failed);
        if n > 0 {
            self.page
                .heading(Tone::Bad, &format!("Failed: {}", thousands(n)));
            self.failures(DeliveryState::Failed, n);
        }
    }

    fn uncertain(&mut self) {
        let n = self.of(DeliveryState::Uncertain);
        if n == 0 {
            return;
        }
        self.page
            .heading(Tone::Warn, &format!("Uncertain: {}", thousands(n)));
        self.failures(DeliveryState::Uncertain, n);
        self.people(n);
        let (they, were) = if n == 1 {
            ("It", "it was")
        } else {
            ("They", "they were")
        };
        self.page.paragraph(
            2,
            &format!(
                "{they} may have been sent: the request left, and no answer said whether {were} \
                 taken. Sending again could mean sending twice, so that never happens by itself. \
                 The conversation with the recipient shows what arrived."
            ),
        );
    }

    /// The first of the uncertain ones; their numbers masked.
    fn people(&mut self, all: u64) {
        let listed = &self.facts.uncertain;
        for one in listed {
            let row = format!("  row {:<8}", thousands(one.row));
            let phone = one.phone.as_ref().map(Address::masked).unwrap_or_default();
            self.page.beside(&[(Tone::Plain, row)], Tone::Plain, &phone);
        }
        let rest = all.saturating_sub(u64::try_from(listed.len()).unwrap_or(0));
        if rest > 0 && !listed.is_empty() {
            let words = format!("and {} more", thousands(rest));
            self.page
                .beside(&[(Tone::Plain, "  ".to_owned())], Tone::Faint, &words);
        }
    }

    /// The failures of one state, alike ones together, most frequent first.
    fn failures(&mut self, state: DeliveryState, all: u64) {
        let groups: Vec<&FailureGroup> = self
            .facts
            .failures
            .iter()
            .filter(|group| group.state == state)
            .collect();
        let listed: u64 = groups.iter().map(|group| group.count).sum();
        let figures = thousands(all).len();
        let code = |group: &FailureGroup| {
            group
                .code
                .map_or_else(String::new, |code| format!("code {code}  "))
        };
        let codes = groups.iter().map(|group| code(group).len()).max();
        let codes = codes.unwrap_or(0);
        for group in groups {
            let head = [
                (
                    Tone::Plain,
                    format!("  {:>figures$}  ", thousands(group.count)),
                ),
                (Tone::Faint, format!("{:<codes$}", code(group))),
            ];
            let words = clean(&group.text);
            let words = if words.is_empty() {
                "no reason given"
            } else {
                &words
            };
            self.page.beside(&head, Tone::Plain, words);
        }
        let rest = all.saturating_sub(listed);
        if rest > 0 && not_listed(self.facts) > 0 {
            let head = [(Tone::Plain, format!("  {:>figures$}  ", thousands(rest)))];
            self.page.beside(&head, Tone::Faint, "for other reasons");
        }
    }
}
