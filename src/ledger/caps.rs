//! The daily caps inside a transaction: a claim looks at them, so that it takes nobody it has no
//! room for; the writer keeps them, by counting each first attempt in the transaction that begins
//! it. What a cap allows is [`crate::domain::cap`]'s.
//!
//! On PostgreSQL the writer locks the rows of all caps of its group at once, in order, after its
//! deliveries and before anything that they bring about; a claim reads them without a lock. Nobody
//! who holds a cap waits for a delivery, and so nobody waits in a circle.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::rows::{instants, number, touch};
use super::{Begin, CapState, ClaimRequest, LedgerError, RunRecord, Under};
use crate::domain::cap::{Cap, Day, Room, Subject, Touch, Used};
use crate::domain::delivery::Hold;

/// A cap's name in the ledger: its gateway and its subject.
pub(super) type Key = (String, String);

/// What is stored of a cap for a day: when anybody was last counted, and the newest day, not after
/// it, on which somebody was, with its place among such days (from 0) and how many.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct UsedRow {
    pub(super) gateway: String,
    pub(super) subject: String,
    pub(super) asked_day: i64,
    last_at: Option<i64>,
    day: Option<i64>,
    nth: Option<i64>,
    taken: Option<i64>,
}

impl UsedRow {
    pub(super) fn used(&self) -> Result<Used, LedgerError> {
        let nth: u32 = self.nth.map(number).transpose()?.unwrap_or(0);
        let (taken, days_before) = match self.day {
            None => (0, 0),
            Some(day) if day == self.asked_day => {
                (self.taken.map(number).transpose()?.unwrap_or(0), nth)
            }
            Some(_) => (0, nth.saturating_add(1)),
        };
        Ok(Used {
            taken,
            days_before,
            last_at: instants(self.last_at)?,
        })
    }
}

/// People that were newly counted: on which day, how many, and when the last of them.
#[derive(Debug)]
pub(super) struct Count {
    pub(super) key: Key,
    pub(super) day: Day,
    /// The day's place among those of its cap.
    pub(super) nth: u32,
    pub(super) more: u32,
    pub(super) last_at: i64,
    /// When there is room again, if there is none after them.
    pub(super) until_at: Option<i64>,
}

/// A question for what is used up.
pub(super) type Asked = (Key, Day);

/// A transaction that sees caps.
pub(super) trait CapTx: Send {
    /// What is used up of each; in no order.
    fn used(
        &mut self,
        asked: &[Asked],
    ) -> impl Future<Output = Result<Vec<UsedRow>, LedgerError>> + Send;
}

/// What is to be asked for about caps.
pub(super) fn questions(gateway: &str, caps: &[(Subject, Cap)], now: Timestamp) -> Vec<Asked> {
    let key = |subject: &Subject| (gateway.to_owned(), subject.to_string());
    caps.iter()
        .map(|(subject, cap)| (key(subject), cap.day(now)))
        .collect()
}

/// The answers, in the order of the caps.
pub(super) fn states(
    caps: &[(Subject, Cap)],
    rows: &[UsedRow],
    now: Timestamp,
) -> Result<Vec<CapState>, LedgerError> {
    let mut used = HashMap::new();
    for row in rows {
        used.insert(row.subject.as_str(), row.used()?);
    }
    let states = caps.iter().map(|(subject, cap)| {
        let used = used.get(subject.to_string().as_str()).copied();
        let used = used.unwrap_or_default();
        CapState {
            subject: subject.clone(),
            cap: cap.clone(),
            used,
            room: cap.room(used, now),
        }
    });
    Ok(states.collect())
}

/// When caps have room again that had none when they last counted anybody, by subject.
pub(super) type Until = HashMap<String, i64>;

/// When the next of these is due for which there is room, by line and kind.
pub(super) fn next_due(
    run: &RunRecord,
    due: Vec<(String, i64, i64)>,
    until: &Until,
) -> Result<Option<i64>, LedgerError> {
    let campaign = Subject::Campaign(run.run.campaign().to_owned()).to_string();
    let mut next: Option<i64> = None;
    for (line, kind, mut at) in due {
        let touch = touch(kind)?;
        if touch != Touch::Again {
            at = at.max(until.get(&campaign).copied().unwrap_or(at));
        }
        if touch == Touch::First {
            let line = Subject::Line(line).to_string();
            at = at.max(until.get(&line).copied().unwrap_or(at));
        }
        next = Some(next.map_or(at, |next| next.min(at)));
    }
    Ok(next)
}

/// The caps of a run by its own terms.
pub(super) fn of_run(run: &RunRecord) -> Vec<(Subject, Cap)> {
    let subject = Subject::Campaign(run.run.campaign().to_owned());
    let cap = run.terms.cap.clone();
    cap.map(|cap| (subject, cap)).into_iter().collect()
}

/// The room that a claim finds, to be used up as it goes.
#[derive(Debug, Default)]
pub(super) struct Budget {
    campaign: Option<Left>,
    /// By line.
    first: HashMap<String, Left>,
}

#[derive(Debug, Clone, Copy)]
struct Left {
    n: u32,
    /// When it is worth asking again, once nothing is left.
    again_at: Timestamp,
    hold: Hold,
}

impl Budget {
    /// Only looks: whoever begins an attempt looks again.
    pub(super) async fn look(
        tx: &mut impl CapTx,
        request: &ClaimRequest<'_>,
        lines: &[String],
    ) -> Result<Self, LedgerError> {
        let limits = &request.limits;
        let campaign = Subject::Campaign(request.run.run.campaign().to_owned());
        let day = limits.day.iter().map(|cap| (campaign.clone(), cap.clone()));
        let first = limits.first_touch.iter().flat_map(|cap| {
            let of_line = |line: &String| (Subject::Line(line.clone()), cap.clone());
            lines.iter().map(of_line).collect::<Vec<_>>()
        });
        let all: Vec<(Subject, Cap)> = day.chain(first).collect();
        if all.is_empty() {
            return Ok(Self::default());
        }
        let asked = questions(&request.run.gateway, &all, request.now);
        let states = states(&all, &tx.used(&asked).await?, request.now)?;
        let mut budget = Self::default();
        for CapState { subject, room, .. } in states {
            let left = Left::of(request, &subject, room);
            match subject {
                Subject::Campaign(_) => budget.campaign = Some(left),
                Subject::Line(line) => {
                    budget.first.insert(line, left);
                }
            }
        }
        Ok(budget)
    }

    /// The caps that somebody is under who is written to from `line`.
    fn under(&self, line: &str, touch: Touch) -> impl Iterator<Item = &Left> {
        let campaign = (touch != Touch::Again).then_some(self.campaign.as_ref());
        let first = (touch == Touch::First).then(|| self.first.get(line));
        campaign.flatten().into_iter().chain(first.flatten())
    }

    /// How many of a kind may be taken from a line.
    pub(super) fn left(&self, line: &str, touch: Touch) -> u32 {
        let least = self.under(line, touch).map(|left| left.n).min();
        least.unwrap_or(u32::MAX)
    }

    /// Where nothing is left: until when, and why.
    pub(super) fn closed(&self, line: &str, touch: Touch) -> Option<(Timestamp, Hold)> {
        self.under(line, touch)
            .filter(|left| left.n == 0)
            .map(|left| (left.again_at, left.hold))
            .max_by_key(|(at, _)| *at)
    }

    pub(super) fn take(&mut self, line: &str, touch: Touch) {
        let campaign = self.campaign.as_mut().filter(|_| touch != Touch::Again);
        let first = (touch == Touch::First)
            .then(|| self.first.get_mut(line))
            .flatten();
        for left in campaign.into_iter().chain(first) {
            left.n = left.n.saturating_sub(1);
        }
    }
}

/// What was claimed before and may not be counted yet is worth another look this soon.
const SOON: SignedDuration = SignedDuration::from_secs(1);

impl Left {
    /// What this process has claimed before may still be on its way to being counted.
    fn of(request: &ClaimRequest<'_>, subject: &Subject, room: Room) -> Self {
        let hold = subject.hold();
        match room {
            Room::Closed { until } => Self {
                n: 0,
                again_at: until,
                hold,
            },
            Room::Open(n) => {
                let in_hand = match subject {
                    Subject::Campaign(_) => request.in_hand.values().sum(),
                    Subject::Line(line) => request.in_hand.get(line).copied().unwrap_or(0),
                };
                let soon = request.now.saturating_add(SOON);
                Self {
                    n: n.saturating_sub(in_hand),
                    again_at: soon.unwrap_or(request.now),
                    hold,
                }
            }
        }
    }
}

/// The caps of a group of begins, as they stand in its transaction.
#[derive(Debug, Clone, Default)]
pub(super) struct Caps {
    used: HashMap<Asked, Used>,
    last_at: HashMap<Key, Timestamp>,
    until_at: HashMap<Key, Timestamp>,
}

/// The caps that a group comes under, each once, in the order in which everybody locks them.
pub(super) fn keys<'b>(begins: impl Iterator<Item = &'b Begin>) -> BTreeSet<Key> {
    begins
        .flat_map(|begin| &begin.under)
        .map(Under::key)
        .collect()
}

/// What has to be known of them.
pub(super) fn asked<'b>(begins: impl Iterator<Item = &'b Begin>) -> Vec<Asked> {
    let asked: BTreeSet<Asked> = begins
        .flat_map(|begin| {
            let day = |under: &Under| (under.key(), under.cap.day(begin.at));
            begin.under.iter().map(day)
        })
        .collect();
    asked.into_iter().collect()
}

impl Caps {
    pub(super) fn new(rows: Vec<UsedRow>) -> Result<Self, LedgerError> {
        let mut caps = Self::default();
        for row in rows {
            let used = row.used()?;
            let key = (row.gateway, row.subject);
            if let Some(last_at) = used.last_at {
                caps.last_at.insert(key.clone(), last_at);
            }
            caps.used.insert((key, number(row.asked_day)?), used);
        }
        Ok(caps)
    }

    /// Until when an attempt must not begin, and why; the longest wait of all its caps.
    pub(super) fn closed(&self, begin: &Begin) -> Option<(Timestamp, Hold)> {
        begin
            .under
            .iter()
            .filter_map(|under| {
                let key = under.key();
                let last_at = self.last_at.get(&key).copied();
                let asked = (key, under.cap.day(begin.at));
                let used = self.used.get(&asked).copied().unwrap_or_default();
                match under.cap.room(Used { last_at, ..used }, begin.at) {
                    Room::Closed { until } => Some((until, under.subject.hold())),
                    Room::Open(_) => None,
                }
            })
            .max_by_key(|(until, _)| *until)
    }

    /// Counts an attempt.
    pub(super) fn take(&mut self, begin: &Begin) {
        for under in &begin.under {
            let key = under.key();
            let last_at = self.last_at.entry(key.clone()).or_insert(begin.at);
            *last_at = begin.at.max(*last_at);
            let day = (key, under.cap.day(begin.at));
            let used = self.used.entry(day).or_default();
            used.taken = used.taken.saturating_add(1);
            let last_at = Some(*last_at);
            let room = under.cap.room(Used { last_at, ..*used }, begin.at);
            if let Room::Closed { until } = room {
                self.until_at.insert(under.key(), until);
            }
        }
    }

    /// What came to it, since `before`.
    pub(super) fn since(&self, before: &Self) -> Vec<Count> {
        let mut counts = BTreeMap::new();
        for ((key, day), used) in &self.used {
            let earlier = before.used.get(&(key.clone(), *day)).copied();
            let more = used.taken - earlier.unwrap_or_default().taken.min(used.taken);
            let Some(last_at) = self.last_at.get(key).filter(|_| more > 0) else {
                continue;
            };
            let count = Count {
                key: key.clone(),
                day: *day,
                nth: used.days_before,
                more,
                last_at: last_at.as_millisecond(),
                until_at: self.until_at.get(key).map(|until| until.as_millisecond()),
            };
            counts.insert((key.clone(), *day), count);
        }
        counts.into_values().collect()
    }
}
