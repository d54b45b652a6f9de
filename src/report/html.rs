//! A run as one page to show and to mail: what became of everybody as a chart, when the messages
//! went out, and a list of those who need a look. It loads nothing, runs no script, and shows no
//! whole phone number and no message.

use std::io::Write;

use async_trait::async_trait;
use jiff::Timestamp;

use super::layout::clean;
use super::text::Outline;
use super::words::{Calendar, Fine, count, share, thousands};
use super::{Format, ReportError, Subject, View};
use crate::domain::address::Address;
use crate::domain::delivery::DeliveryState;
use crate::ledger::{DeliveryRecord, FailureGroup, RunFacts};

const STYLE: &str = include_str!("html.css");
/// Deliveries in memory at a time.
const PAGE: u32 = 2_000;
/// People in the list of those who need a look; the CSV report has all of them.
const MOST_PEOPLE: usize = 200;
/// Bars in the chart of when messages were sent.
const BARS: usize = 60;

/// `report RUN --format html`
#[derive(Debug, Clone)]
pub struct Html {
    pub view: View,
}

#[async_trait]
impl Format for Html {
    async fn write(
        &self,
        subject: Subject<'_>,
        out: &mut (dyn Write + Send),
    ) -> Result<(), ReportError> {
        let facts = subject.ledger.facts(&subject.run.run, subject.now).await?;
        let mut gathered = Gathered::new(&facts);
        let mut after = None;
        loop {
            let page = subject
                .ledger
                .deliveries(&subject.run.run, after, PAGE)
                .await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for delivery in &page {
                gathered.take(delivery);
            }
        }
        let calendar = Calendar {
            now: self.view.now,
            timezone: &self.view.timezone,
        };
        let sheet = Sheet {
            facts: &facts,
            gathered: &gathered,
            calendar: &calendar,
            outline: super::text::outline(subject.run, &facts, &self.view),
        };
        out.write_all(sheet.page().as_bytes())?;
        Ok(out.flush()?)
    }
}

/// What the page needs of every single delivery.
struct Gathered {
    /// From the first message that was taken to the last.
    span: Option<(Timestamp, Timestamp)>,
    sent: [u64; BARS],
    people: Vec<[String; 5]>,
    /// Those for whom there is no place in the list.
    more: u64,
}

impl Gathered {
    fn new(facts: &RunFacts) -> Self {
        Self {
            span: facts.first_sent_at.zip(facts.last_sent_at),
            sent: [0; BARS],
            people: Vec::new(),
            more: 0,
        }
    }

    fn take(&mut self, delivery: &DeliveryRecord) {
        if let (Some(at), Some((first, last))) = (delivery.sent_at, self.span) {
            let (since, whole) = (at.duration_since(first), last.duration_since(first));
            let bar = usize::try_from(since.as_millis()).unwrap_or(0) * BARS
                / (usize::try_from(whole.as_millis()).unwrap_or(0) + 1);
            if let Some(bar) = self.sent.get_mut(bar.min(BARS - 1)) {
                *bar += 1;
            }
        }
        let look = matches!(
            delivery.state,
            DeliveryState::Failed | DeliveryState::Uncertain
        );
        if look && self.people.len() < MOST_PEOPLE {
            self.people.push([
                delivery.row.to_string(),
                delivery
                    .phone
                    .as_ref()
                    .map(Address::masked)
                    .unwrap_or_default(),
                delivery.state.to_string(),
                delivery
                    .code
                    .map_or_else(String::new, |code| code.to_string()),
                clean(delivery.detail.as_deref().unwrap_or_default()),
            ]);
        } else if look {
            self.more += 1;
        }
    }
}

struct Sheet<'a> {
    facts: &'a RunFacts,
    gathered: &'a Gathered,
    calendar: &'a Calendar<'a>,
    outline: Outline,
}

impl Sheet<'_> {
    fn page(&self) -> String {
        let heading = escape(&self.outline.heading);
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" \
             content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{heading}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
             {}{}{}{}{}{}{}</main>\n</body>\n</html>\n",
            self.head(),
            self.became(),
            self.over_time(),
            self.left_out(),
            self.opted_out(),
            self.failures(),
            self.people(),
        )
    }

    fn head(&self) -> String {
        let sentences = joined(&self.outline.sentences, |sentence| {
            format!("<p>{}</p>\n", escape(sentence))
        });
        let times = joined(&self.outline.times, |(name, value)| {
            format!("<dt>{}</dt><dd>{}</dd>\n", escape(name), escape(value))
        });
        format!(
            "<header>\n<h1>{}</h1>\n{sentences}<dl>\n{times}<dt>Report of</dt><dd>{}</dd>\n</dl>\n</header>\n",
            escape(&self.outline.heading),
            escape(&self.calendar.moment(self.calendar.now, Fine::Whole)),
        )
    }

    /// One bar over everybody in the list.
    fn became(&self) -> String {
        let total = self.facts.counts.total();
        let states: Vec<(DeliveryState, u64)> =
            self.facts.counts.iter().filter(|(_, n)| *n > 0).collect();
        let mut before = 0;
        let places: Vec<(DeliveryState, u64, u64)> = states
            .into_iter()
            .map(|(state, n)| {
                before += n;
                (state, n, before - n)
            })
            .collect();
        let bar = joined(&places, |(state, n, before)| {
            let (class, words) = shown(*state);
            format!(
                "<rect class=\"{class}\" x=\"{:.2}\" width=\"{:.2}\" height=\"28\">\
                 <title>{words}: {}</title></rect>",
                wide(*before, total, 860.0),
                wide(*n, total, 860.0),
                thousands(*n)
            )
        });
        let key = joined(&places, |(state, n, _)| {
            let (class, words) = shown(*state);
            format!(
                "<li><svg viewBox=\"0 0 10 10\" aria-hidden=\"true\"><rect class=\"{class}\" \
                 width=\"10\" height=\"10\" rx=\"2\"/></svg>{words}: <b>{}</b> \
                 <span class=\"soft\">{}</span></li>\n",
                thousands(*n),
                escape(&share(*n, total)),
            )
        });
        format!(
            "<section>\n<h2>What became of {}</h2>\n\
             <svg class=\"bar\" viewBox=\"0 0 860 28\" role=\"img\" aria-label=\"What became of everybody\">{bar}</svg>\n\
             <ul class=\"key\">\n{key}</ul>\n</section>\n",
            count(total, "row of the list", "rows of the list")
        )
    }

    fn over_time(&self) -> String {
        let Some((first, last)) = self.gathered.span.filter(|(first, last)| first < last) else {
            return String::new();
        };
        let most = self.gathered.sent.iter().copied().max().unwrap_or(0);
        let numbered: Vec<(u32, u64)> = (0..).zip(self.gathered.sent).collect();
        let bars = joined(&numbered, |(at, n)| {
            let height = wide(*n, most, 110.0);
            format!(
                "<rect class=\"good\" x=\"{:.1}\" y=\"{:.1}\" width=\"12.3\" \
                 height=\"{height:.1}\" rx=\"1.5\"><title>{}</title></rect>",
                f64::from(*at) * 14.33,
                120.0 - height,
                thousands(*n)
            )
        });
        let moment = |at| escape(&self.calendar.moment(at, Fine::Whole));
        format!(
            "<section>\n<h2>When they were sent</h2>\n\
             <svg viewBox=\"0 0 860 142\" role=\"img\" aria-label=\"Messages sent over time\">{bars}\
             <line class=\"axis\" x1=\"0\" y1=\"120.5\" x2=\"860\" y2=\"120.5\"/>\
             <text x=\"0\" y=\"138\">{}</text><text x=\"860\" y=\"138\" text-anchor=\"end\">{}</text></svg>\n\
             <p class=\"soft\">At most {} in one bar.</p>\n</section>\n",
            moment(first),
            moment(last),
            thousands(most),
        )
    }

    fn left_out(&self) -> String {
        let mut reasons: Vec<_> = self.facts.skipped.iter().filter(|(_, n)| **n > 0).collect();
        reasons.sort_by_key(|(reason, n)| (std::cmp::Reverse(**n), **reason));
        let rows: Vec<[String; 2]> = reasons
            .into_iter()
            .map(|(reason, n)| [thousands(*n), format!("{} ({reason})", reason.in_words())])
            .collect();
        table("Left out on purpose", ["How many", "Why"], &rows)
    }

    fn opted_out(&self) -> String {
        let answers = &self.facts.answers;
        let rows: Vec<[String; 3]> = answers
            .first
            .iter()
            .map(|reply| {
                [
                    reply.row.map_or_else(String::new, |row| row.to_string()),
                    reply.phone.masked(),
                    self.calendar.moment(reply.at, Fine::Whole),
                ]
            })
            .collect();
        let text = table("Opted out by answering", ["Row", "Phone", "When"], &rows);
        let named = u64::try_from(rows.len()).unwrap_or(0);
        let more = answers.opted_out.saturating_sub(named);
        if more == 0 {
            return text;
        }
        format!(
            "{text}<p class=\"soft\">And {} more.</p>\n",
            thousands(more)
        )
    }

    fn failures(&self) -> String {
        let row = |group: &FailureGroup| {
            [
                thousands(group.count),
                group.state.to_string(),
                group.code.map_or_else(String::new, |code| code.to_string()),
                clean(&group.text),
            ]
        };
        let rows: Vec<[String; 4]> = self.facts.failures.iter().map(row).collect();
        table(
            "Failed and uncertain, by reason",
            ["How many", "State", "Code", "What was said"],
            &rows,
        )
    }

    fn people(&self) -> String {
        let head = ["Row", "Phone", "State", "Code", "What was said"];
        let text = table("Who needs a look", head, &self.gathered.people);
        if self.gathered.more == 0 {
            return text;
        }
        format!(
            "{text}<p class=\"soft\">And {} more; the CSV report names everybody.</p>\n",
            thousands(self.gathered.more)
        )
    }
}

/// A table under a heading; nothing where it would be empty.
fn table<const N: usize>(title: &str, head: [&str; N], rows: &[[String; N]]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let head = joined(&head, |cell| format!("<th>{cell}</th>"));
    let body = joined(rows, |row| {
        let cells = joined(row, |cell| {
            let figure = cell.starts_with(|c: char| c.is_ascii_digit());
            let class = if figure { " class=\"n\"" } else { "" };
            format!("<td{class}>{}</td>", escape(cell))
        });
        format!("<tr>{cells}</tr>\n")
    });
    format!(
        "<section>\n<h2>{title}</h2>\n<div class=\"scroll\"><table>\n<tr>{head}</tr>\n{body}</table></div>\n</section>\n"
    )
}

/// One piece of the page for each of many things.
fn joined<T>(all: &[T], piece: impl Fn(&T) -> String) -> String {
    all.iter().map(piece).collect::<Vec<_>>().concat()
}

/// The colour of a state, and its words.
fn shown(state: DeliveryState) -> (&'static str, &'static str) {
    match state {
        DeliveryState::Sent => ("good", "Sent"),
        DeliveryState::Delivered => ("good", "Delivered"),
        DeliveryState::Read => ("read", "Read"),
        DeliveryState::Failed => ("bad", "Failed"),
        DeliveryState::Uncertain => ("warn", "Uncertain"),
        DeliveryState::Sending => ("warn", "On the wire"),
        DeliveryState::Pending => ("rest", "Waiting"),
        DeliveryState::Skipped => ("rest", "Left out"),
        DeliveryState::Cancelled => ("rest", "Cancelled"),
    }
}

/// `part` of `whole` as a length, where `whole` is as long as `full`.
#[expect(
    clippy::cast_precision_loss,
    reason = "a length on a page; no list is near 2^52"
)]
fn wide(part: u64, whole: u64, full: f64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 / whole as f64 * full
}

fn escape(text: &str) -> String {
    clean(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
