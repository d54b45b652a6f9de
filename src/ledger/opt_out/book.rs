//! What a word changes, whoever says it and in whatever order: the same on both databases, in one
//! transaction of each. Which word counts is [`crate::domain::opt_out`]'s.

use std::collections::{BTreeMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::rows::{EventRow, HeardReply, KnownReply, Origin, SuppressionRow, Word};
use super::{
    Arrival, Asked, KeptReply, Lifted, Lifting, NewReply, NewSuppression, ReplyId, Said,
    Suppressing, Suppression,
};
use crate::domain::address::Address;
use crate::domain::opt_out::{self, Heard, Source, Voice};
use crate::domain::run::RunId;
use crate::ledger::LedgerError;
use crate::ledger::rows::{instant, named, stored};

/// A START is not believed to be later than this after it was heard: no mistake of a provider's
/// clock makes a STOP that follows an old one.
const AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// What a transaction about opting out can do. The rows that it reads are its own until its end.
pub(in crate::ledger) trait OptOutTx: Send {
    /// Waits for every attempt that is being begun, and lets none begin before the end of this
    /// transaction.
    fn hold_opt_outs(&mut self) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// What is known of these people in this scope.
    fn suppression_rows(
        &mut self,
        phones: &[&str],
        scope: &str,
    ) -> impl Future<Output = Result<Vec<SuppressionRow>, LedgerError>> + Send;

    /// Puts rows in the place of those with the same phone, scope and voice.
    fn put_suppressions(
        &mut self,
        rows: &[SuppressionRow],
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    fn note_opt_outs(
        &mut self,
        rows: &[EventRow],
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    fn known_reply(
        &mut self,
        gateway: &str,
        event_id: &str,
    ) -> impl Future<Output = Result<Option<KnownReply>, LedgerError>> + Send;

    /// The newest message to this person that left by this gateway before then.
    fn reply_origin(
        &mut self,
        reply: &NewReply,
    ) -> impl Future<Output = Result<Option<Origin>, LedgerError>> + Send;

    /// `None`: another process has kept it at this moment.
    fn insert_reply(
        &mut self,
        reply: &HeardReply<'_>,
    ) -> impl Future<Output = Result<Option<ReplyId>, LedgerError>> + Send;

    /// What these people wrote and nobody has judged is judged.
    fn settle_reviews(
        &mut self,
        phones: &[&str],
        now: Timestamp,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;
}

const EVERYWHERE: &str = "";

/// Rows by person and voice, and which of them have changed.
struct Book {
    rows: BTreeMap<(String, &'static str), SuppressionRow>,
    changed: HashSet<(String, &'static str)>,
    events: Vec<EventRow>,
    scope: String,
}

impl Book {
    async fn open(
        tx: &mut impl OptOutTx,
        phones: &[&str],
        scope: &str,
    ) -> Result<Self, LedgerError> {
        let mut rows = BTreeMap::new();
        for row in tx.suppression_rows(phones, scope).await? {
            let voice = named(Voice::parse(&row.voice), &row.voice)?;
            rows.insert((row.phone.clone(), voice.as_str()), row);
        }
        Ok(Self {
            rows,
            changed: HashSet::new(),
            events: Vec::new(),
            scope: scope.to_owned(),
        })
    }

    fn row(&mut self, phone: &str, voice: Voice) -> &mut SuppressionRow {
        self.rows
            .entry((phone.to_owned(), voice.as_str()))
            .or_insert_with(|| SuppressionRow::new(phone, &self.scope, voice))
    }

    /// By which source this voice has somebody on the list.
    fn listed(&self, phone: &str, voice: Voice) -> Result<Option<Source>, LedgerError> {
        match self.rows.get(&(phone.to_owned(), voice.as_str())) {
            Some(row) if row.standing()?.is_suppressed() => row.source().map(Some),
            Some(_) | None => Ok(None),
        }
    }

    fn note(&mut self, phone: &str, voice: Voice, event: EventRow) {
        self.changed.insert((phone.to_owned(), voice.as_str()));
        self.events.push(event);
    }

    async fn close(self, tx: &mut impl OptOutTx) -> Result<(), LedgerError> {
        let Self {
            rows,
            changed,
            events,
            ..
        } = self;
        let rows: Vec<SuppressionRow> = rows
            .into_iter()
            .filter(|(key, _)| changed.contains(key))
            .map(|(_, row)| row)
            .collect();
        if !rows.is_empty() {
            tx.put_suppressions(&rows).await?;
        }
        if !events.is_empty() {
            tx.note_opt_outs(&events).await?;
        }
        Ok(())
    }
}

/// Puts people on the list, everywhere; one answer for each.
pub(in crate::ledger) async fn suppress(
    tx: &mut impl OptOutTx,
    people: &[NewSuppression],
    now: Timestamp,
) -> Result<Vec<Suppressing>, LedgerError> {
    if people.is_empty() {
        return Ok(Vec::new());
    }
    tx.hold_opt_outs().await?;
    let phones: Vec<&str> = people.iter().map(|one| one.phone.expose()).collect();
    let mut book = Book::open(tx, &phones, EVERYWHERE).await?;
    let mut answers = Vec::with_capacity(people.len());
    for one in people {
        answers.push(add(&mut book, one, now)?);
    }
    book.close(tx).await?;
    tx.settle_reviews(&phones, now).await?;
    Ok(answers)
}

fn add(book: &mut Book, one: &NewSuppression, now: Timestamp) -> Result<Suppressing, LedgerError> {
    let phone = one.phone.expose();
    let voice = one.source.voice();
    let by_this = book.listed(phone, voice)?;
    let by_another = match one.source {
        // An operator's own word stands beside the person's, whatever the person says next.
        Source::Operator => None,
        Source::Import | Source::Api => book.listed(phone, Voice::Person)?,
        Source::Reply => book.listed(phone, Voice::Operator)?,
    };
    if let Some(source) = by_this.or(by_another) {
        return Ok(Suppressing::Already(source));
    }
    let scope = book.scope.clone();
    let row = book.row(phone, voice);
    // Of words in one hand the last counts, whatever the clock shows and the list says.
    let at = one.at.unwrap_or(now).min(now);
    let before = row.standing()?;
    let at = before.started_at.map_or(at, |started| at.max(started));
    let word = Word {
        source: one.source,
        reason: one.reason.as_deref(),
        at,
        run_id: None,
        event_id: None,
    };
    row.stop(&word)?;
    let event = word.noted((phone, &scope), Said::Stop, now);
    book.note(phone, voice, event);
    Ok(Suppressing::Added)
}

/// Takes somebody off the list.
pub(in crate::ledger) async fn lift(
    tx: &mut impl OptOutTx,
    phone: &Address,
    lifting: &Lifting,
    now: Timestamp,
) -> Result<Lifted, LedgerError> {
    tx.hold_opt_outs().await?;
    let number = phone.expose();
    let mut book = Book::open(tx, &[number], EVERYWHERE).await?;
    let by_person = book.listed(number, Voice::Person)?.is_some();
    if by_person && lifting.asked == Asked::Operator {
        let row = book.row(number, Voice::Person);
        return Ok(Lifted::SaidByPerson(Suppression {
            phone: phone.clone(),
            source: row.source()?,
            reason: row.reason.clone(),
            at: instant(row.at.unwrap_or_default())?,
            run: None,
            event_id: row.event_id.clone(),
        }));
    }
    let mut lifted = Lifted::NotListed;
    for voice in Voice::ALL {
        if book.listed(number, voice)?.is_none() {
            continue;
        }
        let row = book.row(number, voice);
        // After whatever was said, also by a clock that is ahead.
        let after = row.at.unwrap_or_default() + 1;
        let word = Word {
            source: Source::Operator,
            reason: Some(&lifting.reason),
            at: now.max(instant(after)?),
            run_id: None,
            event_id: None,
        };
        let by = match lifting.asked {
            Asked::Operator => Voice::Operator,
            Asked::Person => Voice::Person,
        };
        row.start(&word, by)?;
        let event = word.noted((number, EVERYWHERE), Said::Start, now);
        book.note(number, voice, event);
        lifted = Lifted::Done;
    }
    book.close(tx).await?;
    Ok(lifted)
}

/// Keeps an answer and obeys it, or neither.
pub(in crate::ledger) async fn keep_reply(
    tx: &mut impl OptOutTx,
    reply: &NewReply,
    now: Timestamp,
) -> Result<KeptReply, LedgerError> {
    let heard = opt_out::hear(&reply.text);
    let obeyed = match heard {
        Heard::Stop => Some(Said::Stop),
        Heard::Start => Some(Said::Start),
        Heard::Review | Heard::Nothing => None,
    };
    if obeyed.is_some() {
        tx.hold_opt_outs().await?;
    }
    if let Some(known) = tx.known_reply(&reply.gateway, &reply.event_id).await? {
        return known.told();
    }
    let origin = tx.reply_origin(reply).await?;
    let kept = HeardReply {
        reply,
        heard,
        received_at: now.as_millisecond(),
        handled_at: obeyed.map(|_| now.as_millisecond()),
        origin: origin.as_ref(),
    };
    let Some(id) = tx.insert_reply(&kept).await? else {
        let known = tx.known_reply(&reply.gateway, &reply.event_id).await?;
        let gone = || LedgerError::Damaged("an answer is there and is not".to_owned());
        return known.ok_or_else(gone)?.told();
    };
    if let Some(said) = obeyed {
        obey(tx, reply, (said, origin.as_ref()), now).await?;
    }
    Ok(KeptReply {
        id,
        heard,
        arrival: Arrival::New,
        run: origin
            .map(|origin| stored(RunId::parse(&origin.run)))
            .transpose()?,
    })
}

impl KnownReply {
    fn told(self) -> Result<KeptReply, LedgerError> {
        Ok(KeptReply {
            id: self.id,
            heard: named(Heard::parse(&self.heard), &self.heard)?,
            arrival: Arrival::Known,
            run: self.run.map(|run| stored(RunId::parse(&run))).transpose()?,
        })
    }
}

async fn obey(
    tx: &mut impl OptOutTx,
    reply: &NewReply,
    (said, origin): (Said, Option<&Origin>),
    now: Timestamp,
) -> Result<(), LedgerError> {
    let phone = reply.phone.expose();
    let scope = opt_out::reach(&reply.gateway).unwrap_or(EVERYWHERE);
    let mut book = Book::open(tx, &[phone], scope).await?;
    let latest = now.saturating_add(AHEAD).unwrap_or(now);
    let word = Word {
        source: Source::Reply,
        reason: Some(reply.text.trim()),
        at: match said {
            Said::Stop => reply.at,
            Said::Start => reply.at.min(latest),
        },
        run_id: origin.map(|origin| origin.run_id),
        event_id: Some(&reply.event_id),
    };
    let row = book.row(phone, Voice::Person);
    match said {
        Said::Stop => row.stop(&word)?,
        Said::Start => row.start(&word, Voice::Person)?,
    };
    let event = word.noted((phone, scope), said, now);
    book.note(phone, Voice::Person, event);
    book.close(tx).await?;
    if said == Said::Stop {
        tx.settle_reviews(&[phone], now).await?;
    }
    Ok(())
}
