//! All runs at a glance: a line each. Says nothing about why; that is the report of one run.

use jiff::Timestamp;

use super::View;
use super::style::Tone;
use super::words::{Calendar, Fine, thousands};
use crate::domain::delivery::{Counts, DeliveryState};
use crate::domain::run::RunState;
use crate::ledger::{Attendance, Outlook, RunRecord};

/// What a line of the table is made of.
#[derive(Debug, Clone)]
pub struct Glance {
    pub run: RunRecord,
    pub counts: Counts,
    pub outlook: Outlook,
}

impl Glance {
    /// The run's state; of one that is running, also whether anybody is on it.
    fn state(&self, now: Timestamp) -> (Tone, String) {
        let running = self.run.state == RunState::Running;
        match self.outlook.attendance(now) {
            Attendance::Interrupted if running => (Tone::Bad, "interrupted".to_owned()),
            Attendance::Unattended if running => (Tone::Warn, "waiting".to_owned()),
            Attendance::Done
            | Attendance::Attended
            | Attendance::Interrupted
            | Attendance::Unattended => (tone_of(self.run.state), self.run.state.to_string()),
        }
    }

    fn next(&self, calendar: &Calendar<'_>) -> (Tone, String) {
        let open = self.run.state != RunState::Cancelled;
        match self.outlook.next_due_at.filter(|_| open) {
            None => (Tone::Plain, String::new()),
            Some(at) if at <= calendar.now => (Tone::Plain, "now".to_owned()),
            Some(at) => (Tone::Plain, calendar.moment(at, Fine::Minutes)),
        }
    }
}

/// Between two columns.
const GAP: &str = "  ";

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) side: Side,
    /// Of what does not fit, the column with the highest number goes first; 0 always stays.
    pub(super) leaves: u8,
    pub(super) cells: Vec<(Tone, String)>,
}

impl Column {
    fn width(&self) -> usize {
        let cells = self.cells.iter().map(|(_, text)| text.chars().count());
        cells.max().unwrap_or(0).max(self.title.len())
    }
}

/// `status` without a run: one line per run, in the given order.
///
/// On a narrow terminal columns without a number in them go first, then the skipped, then the
/// start and the next due time; never one that tells of trouble.
pub fn status_table(runs: &[Glance], view: &View) -> String {
    if runs.is_empty() {
        return "There is no run yet. `sendoff run CAMPAIGN` starts one.\n".to_owned();
    }
    lines(columns(runs, view), runs.len(), view)
}

/// A line of titles, and one for each row; columns that do not fit are left out by their number.
pub(super) fn lines(mut columns: Vec<Column>, rows: usize, view: &View) -> String {
    while width(&columns) > view.style.width {
        let first = columns.iter().map(|column| column.leaves).max();
        let before = columns.len();
        columns.retain(|column| column.leaves == 0 || Some(column.leaves) != first);
        if columns.len() == before {
            break;
        }
    }
    let titles = columns
        .iter()
        .map(|column| padded(column, Tone::Faint, column.title, view));
    let mut text = finished(&titles.collect::<Vec<_>>());
    for at in 0..rows {
        let cells = columns.iter().filter_map(|column| {
            let (tone, cell) = column.cells.get(at)?;
            Some(padded(column, *tone, cell, view))
        });
        text += &finished(&cells.collect::<Vec<_>>());
    }
    text
}

fn width(columns: &[Column]) -> usize {
    let gaps = GAP.len() * columns.len().saturating_sub(1);
    columns.iter().map(Column::width).sum::<usize>() + gaps
}

fn padded(column: &Column, tone: Tone, text: &str, view: &View) -> String {
    let fill = " ".repeat(column.width().saturating_sub(text.chars().count()));
    let text = view.style.paint(tone, text);
    match column.side {
        Side::Left => text + &fill,
        Side::Right => fill + &text,
    }
}

fn finished(cells: &[String]) -> String {
    format!("{}\n", cells.join(GAP).trim_end())
}

fn columns(runs: &[Glance], view: &View) -> Vec<Column> {
    let calendar = Calendar {
        now: view.now,
        timezone: &view.timezone,
    };
    let column =
        |title, side, leaves, cell: &dyn Fn(&RunRecord, &Counts) -> (Tone, String)| Column {
            title,
            side,
            leaves,
            cells: runs
                .iter()
                .map(|glance| cell(&glance.run, &glance.counts))
                .collect(),
        };
    let whole = |title, leaves, cell: &dyn Fn(&Glance) -> (Tone, String)| Column {
        title,
        side: Side::Left,
        leaves,
        cells: runs.iter().map(cell).collect(),
    };
    let all_zero = |state| runs.iter().all(|glance| glance.counts.of(state) == 0);
    let no_skipped = all_zero(DeliveryState::Skipped);
    let no_uncertain = all_zero(DeliveryState::Uncertain);
    let mut columns = vec![
        column("RUN", Side::Left, 0, &|run, _| {
            (Tone::Plain, run.run.to_string())
        }),
        whole("STATE", 0, &|glance| glance.state(view.now)),
        column("SENT", Side::Right, 0, &|run, counts| {
            let (sent, total) = (thousands(counts.accepted()), thousands(run.total));
            (Tone::Plain, format!("{sent}/{total}"))
        }),
        column("FAILED", Side::Right, 0, &|_, counts| {
            number(Tone::Bad, counts.of(DeliveryState::Failed))
        }),
        column(
            "UNCERTAIN",
            Side::Right,
            if no_uncertain { 3 } else { 0 },
            &|_, counts| number(Tone::Warn, counts.of(DeliveryState::Uncertain)),
        ),
        column(
            "SKIPPED",
            Side::Right,
            if no_skipped { 4 } else { 2 },
            &|_, counts| number(Tone::Plain, counts.of(DeliveryState::Skipped)),
        ),
        column("WAITING", Side::Right, 0, &|_, counts| {
            number(Tone::Warn, counts.open())
        }),
        column("STARTED", Side::Left, 1, &|run, _| {
            let at = run.created_at.max(run.starts_at);
            (Tone::Plain, calendar.moment(at, Fine::Minutes))
        }),
    ];
    columns.extend(unconfirmed(runs));
    if runs
        .iter()
        .any(|glance| glance.outlook.next_due_at.is_some())
    {
        columns.push(whole("NEXT", 1, &|glance| glance.next(&calendar)));
    }
    columns
}

fn number(tone: Tone, n: u64) -> (Tone, String) {
    let tone = if n == 0 { Tone::Faint } else { tone };
    (tone, thousands(n))
}

/// Only where there is any.
fn unconfirmed(runs: &[Glance]) -> Option<Column> {
    let counts = runs.iter().map(|glance| glance.counts.no_confirmation());
    counts.clone().any(|n| n > 0).then(|| Column {
        title: "UNCONFIRMED",
        side: Side::Right,
        leaves: 3,
        cells: counts.map(|n| number(Tone::Plain, n)).collect(),
    })
}

/// How a run's state strikes the reader.
pub(super) fn tone_of(state: RunState) -> Tone {
    match state {
        RunState::Running => Tone::Strong,
        RunState::Finished => Tone::Good,
        RunState::Paused => Tone::Warn,
        RunState::Halted => Tone::Bad,
        RunState::Cancelled => Tone::Faint,
    }
}
