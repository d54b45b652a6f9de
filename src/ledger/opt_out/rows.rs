//! What is kept of people who opted out and of answers, row by row, and its way to the domain. How
//! a row is asked for is each database's.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use jiff::Timestamp;
use sqlx::FromRow;

use super::{Answers, NewReply, OptOutEvent, Reply, Said, Suppression};
use crate::domain::address::Address;
use crate::domain::channel::Channel;
use crate::domain::delivery::SkipReason;
use crate::domain::opt_out::{Heard, Source, Standing, Voice};
use crate::domain::run::RunId;
use crate::ledger::rows::{instant, instants, named, number, stored};
use crate::ledger::{DeliveryId, LedgerError};

/// People of a run who opted out and are named.
pub(in crate::ledger) const NAMED: i64 = 20;

pub(in crate::ledger) fn answers(
    (replies, opted_out, to_review): (i64, i64, i64),
    first: Vec<ReplyRow>,
) -> Result<Answers, LedgerError> {
    Ok(Answers {
        replies: number(replies)?,
        opted_out: number(opted_out)?,
        to_review: number(to_review)?,
        first: first
            .into_iter()
            .map(Reply::try_from)
            .collect::<Result<_, _>>()?,
    })
}

/// What one voice has said about one person, as it is stored.
#[derive(Debug, Clone, FromRow)]
pub(in crate::ledger) struct SuppressionRow {
    pub(in crate::ledger) phone: String,
    /// Empty: everywhere.
    pub(in crate::ledger) scope: String,
    pub(in crate::ledger) voice: String,
    pub(in crate::ledger) at: Option<i64>,
    pub(in crate::ledger) source: Option<String>,
    pub(in crate::ledger) reason: Option<String>,
    pub(in crate::ledger) run_id: Option<i64>,
    pub(in crate::ledger) event_id: Option<String>,
    pub(in crate::ledger) lifted_at: Option<i64>,
    pub(in crate::ledger) lifted_by: Option<String>,
    pub(in crate::ledger) lift_reason: Option<String>,
}

impl SuppressionRow {
    pub(super) fn new(phone: &str, scope: &str, voice: Voice) -> Self {
        Self {
            phone: phone.to_owned(),
            scope: scope.to_owned(),
            voice: voice.as_str().to_owned(),
            at: None,
            source: None,
            reason: None,
            run_id: None,
            event_id: None,
            lifted_at: None,
            lifted_by: None,
            lift_reason: None,
        }
    }

    pub(super) fn standing(&self) -> Result<Standing, LedgerError> {
        Ok(Standing {
            stopped_at: instants(self.at)?,
            started_at: instants(self.lifted_at)?,
        })
    }

    pub(super) fn source(&self) -> Result<Source, LedgerError> {
        let text = self.source.as_deref().unwrap_or_default();
        named(Source::parse(text), text)
    }

    /// True where it is news.
    pub(super) fn stop(&mut self, word: &Word<'_>) -> Result<bool, LedgerError> {
        let news = self.standing()?.stop(word.at);
        if news {
            self.at = Some(word.at.as_millisecond());
            self.source = Some(word.source.as_str().to_owned());
            self.reason = word.reason.map(str::to_owned);
            self.run_id = word.run_id;
            self.event_id = word.event_id.map(str::to_owned);
        }
        Ok(news)
    }

    pub(super) fn start(&mut self, word: &Word<'_>, by: Voice) -> Result<bool, LedgerError> {
        let news = self.standing()?.start(word.at);
        if news {
            self.lifted_at = Some(word.at.as_millisecond());
            self.lifted_by = Some(by.as_str().to_owned());
            self.lift_reason = word.reason.map(str::to_owned);
        }
        Ok(news)
    }
}

/// One voice's word of a moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word<'a> {
    pub(super) source: Source,
    pub(super) reason: Option<&'a str>,
    pub(super) at: Timestamp,
    pub(super) run_id: Option<i64>,
    pub(super) event_id: Option<&'a str>,
}

impl Word<'_> {
    pub(super) fn noted(
        &self,
        (phone, scope): (&str, &str),
        what: Said,
        now: Timestamp,
    ) -> EventRow {
        EventRow {
            phone: phone.to_owned(),
            scope: scope.to_owned(),
            what: what.as_str().to_owned(),
            source: self.source.as_str().to_owned(),
            reason: self.reason.map(str::to_owned),
            at: self.at.as_millisecond(),
            noted_at: now.as_millisecond(),
            run_id: self.run_id,
            event_id: self.event_id.map(str::to_owned),
        }
    }
}

/// A line of the history, as it is stored.
#[derive(Debug)]
pub(in crate::ledger) struct EventRow {
    pub(in crate::ledger) phone: String,
    pub(in crate::ledger) scope: String,
    pub(in crate::ledger) what: String,
    pub(in crate::ledger) source: String,
    pub(in crate::ledger) reason: Option<String>,
    pub(in crate::ledger) at: i64,
    pub(in crate::ledger) noted_at: i64,
    pub(in crate::ledger) run_id: Option<i64>,
    pub(in crate::ledger) event_id: Option<String>,
}

/// Somebody on the list, as a reader finds them.
#[derive(Debug, FromRow)]
pub(in crate::ledger) struct ListedRow {
    phone: String,
    source: String,
    reason: Option<String>,
    at: i64,
    run: Option<String>,
    event_id: Option<String>,
}

impl TryFrom<ListedRow> for Suppression {
    type Error = LedgerError;
    fn try_from(row: ListedRow) -> Result<Self, LedgerError> {
        Ok(Self {
            phone: stored(Address::stored(&row.phone))?,
            source: named(Source::parse(&row.source), &row.source)?,
            reason: row.reason,
            at: instant(row.at)?,
            run: row.run.map(|run| stored(RunId::parse(&run))).transpose()?,
            event_id: row.event_id,
        })
    }
}

/// By phone; where a person is on the list by both voices, their own word, which comes first.
pub(in crate::ledger) fn by_phone(
    rows: Vec<ListedRow>,
) -> Result<HashMap<String, Suppression>, LedgerError> {
    let mut all = HashMap::with_capacity(rows.len());
    for row in rows {
        let phone = row.phone.clone();
        if let Entry::Vacant(place) = all.entry(phone) {
            place.insert(row.try_into()?);
        }
    }
    Ok(all)
}

/// Something that was said, as a reader finds it.
#[derive(Debug, FromRow)]
pub(in crate::ledger) struct ToldRow {
    scope: String,
    what: String,
    source: String,
    reason: Option<String>,
    at: i64,
    noted_at: i64,
    run: Option<String>,
    event_id: Option<String>,
}

impl TryFrom<ToldRow> for OptOutEvent {
    type Error = LedgerError;
    fn try_from(row: ToldRow) -> Result<Self, LedgerError> {
        Ok(Self {
            what: named(Said::parse(&row.what), &row.what)?,
            source: named(Source::parse(&row.source), &row.source)?,
            reason: row.reason,
            at: instant(row.at)?,
            noted_at: instant(row.noted_at)?,
            run: row.run.map(|run| stored(RunId::parse(&run))).transpose()?,
            event_id: row.event_id,
            rehearsal: Some(row.scope).filter(|scope| !scope.is_empty()),
        })
    }
}

#[derive(Debug, FromRow)]
pub(in crate::ledger) struct ReplyRow {
    id: i64,
    event_id: String,
    gateway: String,
    phone: String,
    channel: String,
    line: String,
    chat_id: Option<String>,
    text: String,
    at: i64,
    received_at: i64,
    run: Option<String>,
    row: Option<i64>,
    heard: String,
    handled_at: Option<i64>,
}

impl TryFrom<ReplyRow> for Reply {
    type Error = LedgerError;
    fn try_from(row: ReplyRow) -> Result<Self, LedgerError> {
        Ok(Self {
            id: row.id,
            event_id: row.event_id,
            gateway: row.gateway,
            phone: stored(Address::stored(&row.phone))?,
            channel: match row.channel.as_str() {
                "" => None,
                name => Some(named(Channel::parse(name), name)?),
            },
            line: row.line,
            chat_id: row.chat_id,
            text: row.text,
            at: instant(row.at)?,
            received_at: instant(row.received_at)?,
            run: row.run.map(|run| stored(RunId::parse(&run))).transpose()?,
            row: row.row.map(number).transpose()?,
            heard: named(Heard::parse(&row.heard), &row.heard)?,
            handled_at: instants(row.handled_at)?,
        })
    }
}

/// An answer with what was made of it.
#[derive(Debug)]
pub(in crate::ledger) struct HeardReply<'a> {
    pub(in crate::ledger) reply: &'a NewReply,
    pub(in crate::ledger) heard: Heard,
    pub(in crate::ledger) received_at: i64,
    pub(in crate::ledger) handled_at: Option<i64>,
    pub(in crate::ledger) origin: Option<&'a Origin>,
}

/// The delivery that an answer is one to.
#[derive(Debug, FromRow)]
pub(in crate::ledger) struct Origin {
    pub(in crate::ledger) run_id: i64,
    pub(in crate::ledger) delivery_id: DeliveryId,
    pub(in crate::ledger) run: String,
}

/// An answer that is known by its name.
#[derive(Debug, FromRow)]
pub(in crate::ledger) struct KnownReply {
    pub(super) id: i64,
    pub(super) heard: String,
    pub(super) run: Option<String>,
}

/// A pending delivery to somebody who is not to be written to.
#[derive(Debug, FromRow)]
pub(in crate::ledger) struct OptedOutRow {
    pub(in crate::ledger) id: DeliveryId,
    pub(in crate::ledger) run_id: i64,
    pub(in crate::ledger) attempt: i64,
    pub(in crate::ledger) lease_owner: Option<String>,
    phone: String,
    source: String,
    reason: Option<String>,
    at: i64,
}

impl OptedOutRow {
    /// By whose word, for the history.
    pub(in crate::ledger) fn detail(&self) -> Result<String, LedgerError> {
        let listed = ListedRow {
            phone: self.phone.clone(),
            source: self.source.clone(),
            reason: self.reason.clone(),
            at: self.at,
            run: None,
            event_id: None,
        };
        Ok(Suppression::try_from(listed)?.in_words())
    }
}

/// A delivery that is left out, and by whose word where the reason does not say that.
#[derive(Debug)]
pub(in crate::ledger) struct Left {
    pub(in crate::ledger) id: DeliveryId,
    pub(in crate::ledger) reason: SkipReason,
    pub(in crate::ledger) detail: Option<String>,
}
