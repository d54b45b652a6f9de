//! Freezing a run: rows stream from the list into the ledger in one pass. Nothing is kept
//! unless every row is sound.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::templates::{TemplateUse, Uses};
use crate::crash_points;
use crate::domain::address::Address;
use crate::domain::campaign::{FrozenFile, Terms};
use crate::domain::cap::Touch;
use crate::domain::channel::{Channel, REPLY_WINDOW};
use crate::domain::delivery::SkipReason;
use crate::domain::message::{Breach, Media, Message};
use crate::domain::problem::{Place, Problem, Problems};
use crate::domain::recipient::{Chunk, Recipient, Row, Verdict};
use crate::domain::schedule::zone;
use crate::domain::window::Window;
use crate::ledger::{
    Freeze, FreezeFacts, KnownChat, Ledger, LedgerError, NewDelivery, NewRun, Planned, RunRecord,
};

/// Chunks on their way from the list to the ledger; more only cost memory.
pub const CHUNKS_AHEAD: usize = 4;

/// A run that has been read in and is not committed yet.
pub struct Draft {
    freeze: Box<dyn Freeze>,
    /// What is wrong with the rows; with an error among them the draft must be discarded.
    pub problems: Problems,
    /// Rows read.
    pub rows: u64,
    /// The approved templates that the messages are made of.
    pub templates: BTreeMap<TemplateUse, Uses>,
}

impl std::fmt::Debug for Draft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Draft({} rows, {} errors)",
            self.rows,
            self.problems.errors()
        )
    }
}

impl Draft {
    /// Commits the run; it exists from now on.
    pub async fn seal(self, files: Vec<FrozenFile>) -> Result<RunRecord, LedgerError> {
        crash_points::reach("freeze.before_seal").await;
        let sealed = self.freeze.seal(files).await;
        crash_points::reach("freeze.sealed").await;
        sealed
    }

    /// Leaves nothing behind and says what it would have been.
    pub async fn discard(self) -> Result<FreezeFacts, LedgerError> {
        self.freeze.discard().await
    }
}

/// What a list is read in with.
#[derive(Debug)]
pub struct Reading<'a> {
    /// Where the run is frozen.
    pub into: &'a dyn Ledger,
    /// Who was written to before; the same ledger, unless it is only a trial.
    pub history: Option<&'a dyn Ledger>,
    pub run: &'a NewRun,
    /// People who must not be written to.
    pub suppressed: &'a HashSet<Address>,
    /// The list's name, for problems.
    pub list: &'a str,
}

/// Reads a whole list into an open transaction. While the ledger inserts one chunk, the next is
/// planned.
pub async fn read_in(
    reading: &Reading<'_>,
    mut chunks: mpsc::Receiver<Chunk>,
) -> Result<Draft, LedgerError> {
    let mut draft = Draft {
        freeze: reading.into.freeze(reading.run).await?,
        problems: Problems::default(),
        rows: 0,
        templates: BTreeMap::new(),
    };
    let mut planner = Planner::new(reading);
    let mut ready = planner.next(&mut chunks).await?;
    while let Some((media, rows)) = ready {
        draft.freeze.add_media(media).await?;
        let (added, next) = tokio::join!(draft.freeze.add(rows), planner.next(&mut chunks));
        added?;
        ready = next?;
    }
    draft.rows = planner.rows;
    draft.templates = std::mem::take(&mut planner.templates);
    draft.problems = planner.into_problems();
    Ok(draft)
}

/// Decides on the rows of a list, chunk by chunk.
struct Planner<'a> {
    reading: &'a Reading<'a>,
    lines: Lines,
    breaches: FirstBreaches,
    problems: Problems,
    rows: u64,
    /// Messages that may only go to somebody who has written, and those of them who have not.
    free_texts: usize,
    closed_windows: usize,
    templates: BTreeMap<TemplateUse, Uses>,
}

impl<'a> Planner<'a> {
    fn new(reading: &'a Reading<'a>) -> Self {
        Self {
            reading,
            lines: Lines::new(&reading.run.terms),
            breaches: FirstBreaches::default(),
            problems: Problems::default(),
            rows: 0,
            free_texts: 0,
            closed_windows: 0,
            templates: BTreeMap::new(),
        }
    }

    /// The next chunk worth freezing. After an error nothing of the list will be kept: the rest
    /// is read only for its problems.
    async fn next(
        &mut self,
        chunks: &mut mpsc::Receiver<Chunk>,
    ) -> Result<Option<(Vec<Media>, Vec<NewDelivery>)>, LedgerError> {
        let run = self.reading.run;
        while let Some(chunk) = chunks.recv().await {
            self.problems.extend(chunk.problems);
            self.rows += u64::try_from(chunk.rows.len()).unwrap_or(0);
            if self.problems.has_errors() {
                continue;
            }
            let mut rows = chunk.rows;
            skip_suppressed(&mut rows, self.reading.suppressed);
            if let Some(history) = self.reading.history {
                skip_opted_out(&mut rows, history, &run.gateway).await?;
            }
            if let Some(window) = &run.terms.window {
                skip_unreachable(&mut rows, window, run.starts_at);
            }
            if let Some(channel) = run.terms.channel {
                self.note_templates(&rows);
                self.count_windows(&rows, channel).await?;
            }
            let known = known(self.reading, &rows).await?;
            let rows = plan(rows, &known, &mut self.lines, &mut self.breaches);
            return Ok(Some((chunk.media, rows)));
        }
        Ok(None)
    }

    /// The templates that the messages are made of.
    fn note_templates(&mut self, rows: &[Row]) {
        for (row, _, message) in sent(rows) {
            if let Some(used) = TemplateUse::of(message) {
                let uses = self.templates.entry(used).or_default();
                uses.look(row.line, message);
            }
        }
    }

    /// Who has written lately enough for a message of one's own, and who has not.
    async fn count_windows(&mut self, rows: &[Row], channel: Channel) -> Result<(), LedgerError> {
        let run = self.reading.run;
        let people: Vec<&Address> = sent(rows)
            .filter(|(_, _, message)| message.needs_open_window(channel))
            .map(|(_, recipient, _)| &recipient.phone)
            .collect();
        if people.is_empty() {
            return Ok(());
        }
        let wrote = match self.reading.history {
            Some(history) => {
                let asked = history.last_replies(&run.gateway, channel, &people);
                asked.await?
            }
            None => HashMap::new(),
        };
        let from = run.starts_at.max(run.now);
        let is_closed = |to: &&&Address| {
            let last = wrote.get(to.expose());
            last.is_none_or(|at| from.duration_since(*at) >= REPLY_WINDOW)
        };
        self.closed_windows += people.iter().filter(is_closed).count();
        self.free_texts += people.len();
        Ok(())
    }

    fn into_problems(mut self) -> Problems {
        if self.closed_windows > 0 {
            let (closed, all) = (self.closed_windows, self.free_texts);
            let problem = Problem::warning(format!(
                "{closed} of {all} people have not written within 24 hours of the start, by our own \
                 record: unless they do, they are skipped as `window_closed`"
            ));
            self.problems.push(problem.help(
                "an approved template reaches everybody: a part of `type: template` instead of text",
            ));
        }
        for problem in self.breaches.into_problems(self.reading.list) {
            self.problems.push(problem);
        }
        self.problems
    }
}

/// Skips the people on a do-not-contact list.
pub(crate) fn skip_suppressed(rows: &mut [Row], suppressed: &HashSet<Address>) {
    for row in rows.iter_mut().filter(|_| !suppressed.is_empty()) {
        let Verdict::Send { recipient, .. } = &row.verdict else {
            continue;
        };
        if suppressed.contains(&recipient.phone) {
            row.verdict = Verdict::Skip {
                key: Some(recipient.key.clone()),
                phone: Some(recipient.phone.clone()),
                reason: SkipReason::Suppressed,
                detail: "stands on a do-not-contact list of the campaign".to_owned(),
            };
        }
    }
}

/// Skips the people who have opted out by now of what `gateway` sends.
pub(crate) async fn skip_opted_out(
    rows: &mut [Row],
    history: &dyn Ledger,
    gateway: &str,
) -> Result<(), LedgerError> {
    let opted_out = history.suppressed(gateway, &phones(rows)).await?;
    for row in rows.iter_mut().filter(|_| !opted_out.is_empty()) {
        let Verdict::Send { recipient, .. } = &row.verdict else {
            continue;
        };
        if let Some(suppression) = opted_out.get(recipient.phone.expose()) {
            row.verdict = Verdict::Skip {
                key: Some(recipient.key.clone()),
                phone: Some(recipient.phone.clone()),
                reason: SkipReason::OptedOut,
                detail: suppression.in_words(),
            };
        }
    }
    Ok(())
}

/// The rows that are to be sent, with whom and what.
fn sent(rows: &[Row]) -> impl Iterator<Item = (&Row, &Recipient, &Message)> {
    rows.iter().filter_map(|row| match &row.verdict {
        Verdict::Send { recipient, message } => Some((row, recipient, message)),
        Verdict::Skip { .. } => None,
    })
}

/// Who is to be sent to.
fn phones(rows: &[Row]) -> Vec<&Address> {
    sent(rows)
        .map(|(_, recipient, _)| &recipient.phone)
        .collect()
}

/// Skips the people for whom no hour is allowed, wherever their phone may be.
pub(crate) fn skip_unreachable(rows: &mut [Row], window: &Window, from: Timestamp) {
    for row in rows {
        let Verdict::Send { recipient, .. } = &row.verdict else {
            continue;
        };
        let zone = recipient.timezone.as_deref().and_then(zone::find);
        if let Err(never) = window.next_open(from, zone.as_ref(), &recipient.phone) {
            row.verdict = Verdict::Skip {
                key: Some(recipient.key.clone()),
                phone: Some(recipient.phone.clone()),
                reason: SkipReason::NoWindow,
                detail: never.to_string(),
            };
        }
    }
}

/// The people of these rows who were written to before.
async fn known(
    reading: &Reading<'_>,
    rows: &[Row],
) -> Result<HashMap<String, KnownChat>, LedgerError> {
    match reading.history {
        Some(history) => history.known(&reading.run.gateway, &phones(rows)).await,
        None => Ok(HashMap::new()),
    }
}

/// Gives each row its line: the one that wrote to the person before, else the next in turn.
fn plan(
    rows: Vec<Row>,
    known: &HashMap<String, KnownChat>,
    lines: &mut Lines,
    breaches: &mut FirstBreaches,
) -> Vec<NewDelivery> {
    let mut planned = Vec::with_capacity(rows.len());
    for row in rows {
        planned.push(match row.verdict {
            Verdict::Send { recipient, message } => {
                let before = known.get(recipient.phone.expose());
                let (line, touch) = match (before, lines.channel) {
                    (Some(chat), None) if Channel::parse(&chat.line).is_none() => {
                        (chat.line.clone(), Touch::FollowUp)
                    }
                    (_, None) => {
                        breaches.look(row.line, &message);
                        (lines.next(), Touch::First)
                    }
                    (chat, Some(channel)) => {
                        let line = channel.to_string();
                        let is_known = chat.is_some_and(|chat| chat.is_by(&line));
                        let touch = if is_known {
                            Touch::FollowUp
                        } else {
                            Touch::First
                        };
                        (line, touch)
                    }
                };
                NewDelivery {
                    row: row.number,
                    recipient_key: Some(recipient.key),
                    phone: Some(recipient.phone),
                    timezone: recipient.timezone,
                    plan: Planned::Send {
                        message,
                        line,
                        touch,
                    },
                }
            }
            Verdict::Skip {
                key,
                phone,
                reason,
                detail,
            } => NewDelivery {
                row: row.number,
                recipient_key: key,
                phone,
                timezone: None,
                plan: Planned::Skip { reason, detail },
            },
        });
    }
    planned
}

/// Lines in turn.
struct Lines {
    all: Vec<String>,
    turn: usize,
    /// In their place, where the account has channels.
    channel: Option<Channel>,
}

impl Lines {
    fn new(terms: &Terms) -> Self {
        Self {
            channel: terms.channel,
            all: terms
                .lines
                .iter()
                .map(|line| line.expose().to_owned())
                .collect(),
            turn: 0,
        }
    }

    fn next(&mut self) -> String {
        let line = self.all.get(self.turn).cloned().unwrap_or_default();
        self.turn = (self.turn + 1) % self.all.len().max(1);
        line
    }
}

/// Breaches of the first-message rules: one problem per part, however many rows share it.
#[derive(Default)]
struct FirstBreaches(BTreeMap<Option<usize>, (Breach, u64, u64)>);

impl FirstBreaches {
    fn look(&mut self, line: u64, message: &Message) {
        for breach in message.first_message_breaches() {
            self.0
                .entry(breach.part())
                .or_insert_with(|| (breach, line, 0))
                .2 += 1;
        }
    }

    fn into_problems(self, list: &str) -> impl Iterator<Item = Problem> {
        self.0
            .into_iter()
            .map(move |(part, (breach, line, people))| {
                let part = part.map_or(0, |part| part + 1);
                let place = Place {
                    file: list.to_owned(),
                    line: u32::try_from(line).unwrap_or(u32::MAX),
                    column: 1,
                    width: 0,
                    excerpt: None,
                };
                let problem = Problem::error(format!(
                    "part {part} of the message: {breach}; {people} {} not been written to yet",
                    if people == 1 {
                        "person has"
                    } else {
                        "people have"
                    }
                ));
                let problem = problem.at(place).label("the first such row");
                match breach.remedy() {
                    Some(remedy) => problem.help(remedy),
                    None => problem,
                }
            })
    }
}
