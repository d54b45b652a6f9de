//! The caps of the day as they are kept: the writer counts each first attempt in the transaction
//! that begins it, and holds back what there is no room for. What a claim makes of them is
//! [`super::budget`]'s, what a cap allows [`crate::domain::cap`]'s.
//!
//! On PostgreSQL the writer locks the rows of all caps of its group at once, in order, after its
//! deliveries and before anything that they bring about; a claim reads them without a lock. Nobody
//! who holds a cap waits for a delivery, and so nobody waits in a circle.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use super::events::Happened;
use super::rows::{instants, number, touch};
use super::shapes::HeldBack;
use super::write::{News, WriteTx};
use super::{Begin, CapState, DeliveryId, LedgerError, Owner, RunRecord, Under, Write};
use crate::domain::cap::{Cap, Day, Room, Subject, Touch, Used};
use crate::domain::delivery::Hold;
use crate::domain::history::DeliveryEvent;

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

/// The caps that the attempts of a group are counted by.
pub(super) async fn hold_caps(tx: &mut impl WriteTx, group: &[Write]) -> Result<Caps, LedgerError> {
    let begins = group.iter().filter_map(|write| match write {
        Write::Begin(begin) => Some(&**begin),
        Write::Record(_) | Write::Release(_) | Write::Settle(_) => None,
    });
    let asked: Vec<Asked> = asked(begins.clone());
    if asked.is_empty() {
        return Ok(Caps::default());
    }
    let keys: Vec<Key> = keys(begins).into_iter().collect();
    tx.hold_caps(&keys).await?;
    // Read behind the lock: what others have counted is committed.
    Caps::new(tx.used(&asked).await?)
}

/// Attempts that must not begin, because a cap has no room for them: taken out of `begins` and
/// given back, to be due when there is some. Several that were claimed at once, here or elsewhere,
/// are let through one by one, in their order.
pub(super) async fn hold_capped(
    tx: &mut impl WriteTx,
    owner: &Owner,
    begins: &mut Vec<&Begin>,
    (news, caps): (&mut News, &Caps),
) -> Result<HashMap<DeliveryId, Timestamp>, LedgerError> {
    let (mut trial, mut over) = (caps.clone(), HashMap::new());
    begins.retain(|begin| {
        let closed = trial.closed(begin);
        if let Some((until, hold)) = closed {
            over.insert(begin.id, (until, hold, begin.at));
        } else {
            trial.take(begin);
        }
        closed.is_none()
    });
    if over.is_empty() {
        return Ok(HashMap::new());
    }
    let mut ids: Vec<DeliveryId> = over.keys().copied().collect();
    ids.sort_unstable();
    let (mut moved, mut waits) = (Vec::new(), HashMap::new());
    for (id, run_id) in tx.own_fresh(owner, &ids).await? {
        let Some(&(until, hold, at)) = over.get(&id) else {
            continue;
        };
        moved.push(HeldBack {
            id,
            until: until.as_millisecond(),
            hold,
        });
        let what = DeliveryEvent::Held { until, hold };
        news.add(run_id, Happened::to_delivery(id, 0, at, &what)?);
        waits.insert(id, until);
    }
    if !moved.is_empty() {
        tx.hold_back(&moved).await?;
    }
    Ok(waits)
}
