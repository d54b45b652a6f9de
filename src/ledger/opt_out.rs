//! Who is not to be written to, by whose word and since when; what people answered. Words may be
//! heard in any order and more than once: the newest counts, as [`crate::domain::opt_out`] says.
//! How rows are kept is each database's.
//!
//! A word and what follows from it are one transaction. From its commit on no attempt to that
//! person is begun, by any process, on any gateway; one that was begun before is settled as
//! always.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use sqlx::FromRow;

use super::rows::{instant, instants, named, number, stored};
use super::{DeliveryId, LedgerError};
use crate::domain::opt_out::{self, Heard, Source, Standing, Voice};
use crate::domain::phone::Phone;
use crate::domain::run::RunId;

/// A START is not believed to be later than this after it was heard: no mistake of a provider's
/// clock makes a STOP that follows an old one.
const AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// An answer's number in the ledger.
pub type ReplyId = i64;

/// Somebody to be put on the list.
#[derive(Debug, Clone)]
pub struct NewSuppression {
    pub phone: Phone,
    pub source: Source,
    pub reason: Option<String>,
    /// Since when, where that was before now.
    pub at: Option<Timestamp>,
}

/// What became of a [`NewSuppression`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suppressing {
    Added,
    /// On the list already, by this source; nothing was changed.
    Already(Source),
}

/// Why somebody is not to be written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppression {
    pub phone: Phone,
    pub source: Source,
    /// What the person wrote, or what whoever keeps the list says.
    pub reason: Option<String>,
    pub at: Timestamp,
    /// The run whose message was answered.
    pub run: Option<RunId>,
    /// The provider's name for the answer.
    pub event_id: Option<String>,
}

impl Suppression {
    /// `said STOP on 2026-11-20 (UTC)`
    pub fn in_words(&self) -> String {
        let day = self.at.strftime("%Y-%m-%d");
        match self.source {
            Source::Reply => format!("said STOP on {day} (UTC)"),
            Source::Operator | Source::Import | Source::Api => {
                let reason = self.reason.as_deref().unwrap_or_default();
                let reason = if reason.is_empty() {
                    String::new()
                } else {
                    format!(": {reason}")
                };
                let how = match self.source {
                    Source::Import => "imported",
                    Source::Api => "added by another program",
                    Source::Operator | Source::Reply => "added by the operator",
                };
                format!("on the ledger's do-not-contact list, {how} on {day} (UTC){reason}")
            }
        }
    }
}

/// Taking somebody off the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifting {
    pub reason: String,
    pub asked: Asked,
}

/// Who wants somebody to be taken off the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The operator alone: what the person said is left as it is.
    Operator,
    /// The person, by another way than an answer.
    Person,
}

/// What became of a [`Lifting`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lifted {
    Done,
    NotListed,
    /// The person said so, and only the person takes it back. Nothing was changed.
    SaidByPerson(Suppression),
}

/// Something that was said about one person, in the order in which it became known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptOutEvent {
    pub what: Said,
    pub source: Source,
    pub reason: Option<String>,
    /// When it was said.
    pub at: Timestamp,
    /// When it became known here.
    pub noted_at: Timestamp,
    pub run: Option<RunId>,
    pub event_id: Option<String>,
    /// The gateway of the rehearsal in which it was said, and for which alone it counts.
    pub rehearsal: Option<String>,
}

/// What was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    Stop,
    Start,
}

impl Said {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "suppressed",
            Self::Start => "lifted",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Stop, Self::Start]
            .into_iter()
            .find(|said| said.as_str() == text)
    }
}

/// An answer as it comes from the provider.
#[derive(Debug, Clone)]
pub struct NewReply {
    /// The provider's name for it; heard again under the same name it changes nothing.
    pub event_id: String,
    pub gateway: String,
    pub phone: Phone,
    /// The line that it came to; empty where the provider has no lines.
    pub line: String,
    pub chat_id: Option<String>,
    pub text: String,
    /// When the person wrote it.
    pub at: Timestamp,
}

/// What became of a [`NewReply`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptReply {
    pub id: ReplyId,
    pub heard: Heard,
    pub arrival: Arrival,
    /// The newest run of the gateway whose message to this person left before it.
    pub run: Option<RunId>,
}

/// Whether an answer was heard before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    New,
    Known,
}

/// An answer as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub id: ReplyId,
    pub event_id: String,
    pub gateway: String,
    pub phone: Phone,
    pub line: String,
    pub chat_id: Option<String>,
    pub text: String,
    pub at: Timestamp,
    pub received_at: Timestamp,
    pub run: Option<RunId>,
    /// The row of that run's list.
    pub row: Option<u64>,
    pub heard: Heard,
    /// When it was obeyed, or when a person has judged it.
    pub handled_at: Option<Timestamp>,
}

/// What the people of a run answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answers {
    pub replies: u64,
    /// People who said STOP, whatever they said since.
    pub opted_out: u64,
    /// Answers that wait for a person to judge them.
    pub to_review: u64,
    /// The first who said STOP, by their first word.
    pub first: Vec<Reply>,
}

/// People of a run who opted out and are named.
pub(super) const NAMED: i64 = 20;

pub(super) fn answers(
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
pub(super) struct SuppressionRow {
    pub(super) phone: String,
    /// Empty: everywhere.
    pub(super) scope: String,
    pub(super) voice: String,
    pub(super) at: Option<i64>,
    pub(super) source: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) run_id: Option<i64>,
    pub(super) event_id: Option<String>,
    pub(super) lifted_at: Option<i64>,
    pub(super) lifted_by: Option<String>,
    pub(super) lift_reason: Option<String>,
}

impl SuppressionRow {
    fn new(phone: &str, scope: &str, voice: Voice) -> Self {
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

    fn standing(&self) -> Result<Standing, LedgerError> {
        Ok(Standing {
            stopped_at: instants(self.at)?,
            started_at: instants(self.lifted_at)?,
        })
    }

    fn source(&self) -> Result<Source, LedgerError> {
        let text = self.source.as_deref().unwrap_or_default();
        named(Source::parse(text), text)
    }

    /// True where it is news.
    fn stop(&mut self, word: &Word<'_>) -> Result<bool, LedgerError> {
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

    fn start(&mut self, word: &Word<'_>, by: Voice) -> Result<bool, LedgerError> {
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
struct Word<'a> {
    source: Source,
    reason: Option<&'a str>,
    at: Timestamp,
    run_id: Option<i64>,
    event_id: Option<&'a str>,
}

impl Word<'_> {
    fn noted(&self, (phone, scope): (&str, &str), what: Said, now: Timestamp) -> EventRow {
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
pub(super) struct EventRow {
    pub(super) phone: String,
    pub(super) scope: String,
    pub(super) what: String,
    pub(super) source: String,
    pub(super) reason: Option<String>,
    pub(super) at: i64,
    pub(super) noted_at: i64,
    pub(super) run_id: Option<i64>,
    pub(super) event_id: Option<String>,
}

/// Somebody on the list, as a reader finds them.
#[derive(Debug, FromRow)]
pub(super) struct ListedRow {
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
            phone: stored(Phone::from_e164(&row.phone))?,
            source: named(Source::parse(&row.source), &row.source)?,
            reason: row.reason,
            at: instant(row.at)?,
            run: row.run.map(|run| stored(RunId::parse(&run))).transpose()?,
            event_id: row.event_id,
        })
    }
}

/// By phone; where a person is on the list by both voices, their own word, which comes first.
pub(super) fn by_phone(rows: Vec<ListedRow>) -> Result<HashMap<String, Suppression>, LedgerError> {
    let mut all = HashMap::with_capacity(rows.len());
    for row in rows {
        let phone = row.phone.clone();
        if let std::collections::hash_map::Entry::Vacant(place) = all.entry(phone) {
            place.insert(row.try_into()?);
        }
    }
    Ok(all)
}

/// Something that was said, as a reader finds it.
#[derive(Debug, FromRow)]
pub(super) struct ToldRow {
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
pub(super) struct ReplyRow {
    id: i64,
    event_id: String,
    gateway: String,
    phone: String,
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
            phone: stored(Phone::from_e164(&row.phone))?,
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
pub(super) struct HeardReply<'a> {
    pub(super) reply: &'a NewReply,
    pub(super) heard: Heard,
    pub(super) received_at: i64,
    pub(super) handled_at: Option<i64>,
    pub(super) origin: Option<&'a Origin>,
}

/// The delivery that an answer is one to.
#[derive(Debug, FromRow)]
pub(super) struct Origin {
    pub(super) run_id: i64,
    pub(super) delivery_id: DeliveryId,
    pub(super) run: String,
}

/// An answer that is known by its name.
#[derive(Debug, FromRow)]
pub(super) struct KnownReply {
    id: i64,
    heard: String,
    run: Option<String>,
}

/// What a transaction about opting out can do. The rows that it reads are its own until its end.
pub(super) trait OptOutTx: Send {
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
pub(super) async fn suppress(
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
pub(super) async fn lift(
    tx: &mut impl OptOutTx,
    phone: &Phone,
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
pub(super) async fn keep_reply(
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

/// A pending delivery to somebody who is not to be written to.
#[derive(Debug, FromRow)]
pub(super) struct OptedOutRow {
    pub(super) id: DeliveryId,
    pub(super) run_id: i64,
    pub(super) attempt: i64,
    pub(super) lease_owner: Option<String>,
    phone: String,
    source: String,
    reason: Option<String>,
    at: i64,
}

impl OptedOutRow {
    /// By whose word, for the history.
    pub(super) fn detail(&self) -> Result<String, LedgerError> {
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
pub(super) struct Left {
    pub(super) id: DeliveryId,
    pub(super) reason: crate::domain::delivery::SkipReason,
    pub(super) detail: Option<String>,
}
