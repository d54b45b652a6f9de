//! Handles the events that are kept: each by one rule for its kind, in whatever order they come,
//! and as often as they are handled. What they change is the ledger's: a receipt never leads
//! backwards, an answer is kept once and obeyed with it.
//!
//! Some come too early: before the answer to the message's own request was recorded, or before it
//! was looked for. They wait for a while and are then let go.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::crash_points;
use crate::domain::address::Address;
use crate::domain::channel::Channel;
use crate::domain::receipt::Receipt;
use crate::engine::clock::Clock;
use crate::engine::receipts::{self, Kept};
use crate::gateway::huechat::events::{Event, Notice, Reply, Sender};
use crate::ledger::{Arrival, KEPT_FOR, KeptEvent, Ledger, LedgerError, NewEvent, NewReply};

/// Events that are read in one step.
const AT_ONCE: u32 = 100;
/// The ledger is asked at least so often: for what waits, and what another process has kept.
const EVERY: Duration = Duration::from_secs(2);
/// After a ledger that could not be asked; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Between two times that old events are taken out.
const CLEAN_EVERY: Duration = Duration::from_hours(1);
/// An event about something that is not known is looked at again after half of its age, for this
/// long: an answer that was lost is looked for after a minute, and then found or not.
const PATIENCE: SignedDuration = SignedDuration::from_mins(15);
const SHORTEST: SignedDuration = SignedDuration::from_secs(2);
/// An event that came later than now, by more than clocks differ by: one of them was set back.
const AHEAD: SignedDuration = SignedDuration::from_mins(1);

/// The events of a ledger.
#[derive(Debug)]
pub struct Inbox {
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    news: Notify,
}

/// What handling came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Handled {
    /// Events that are handled now.
    pub events: u64,
    /// Answers among them that were not known.
    pub answers: u64,
    /// Messages that are known to have arrived, or to be opened, or to have failed.
    pub receipts: u64,
    /// Events that cannot be handled yet.
    pub put_off: u64,
}

impl Handled {
    fn add(&mut self, more: Self) {
        self.events += more.events;
        self.answers += more.answers;
        self.receipts += more.receipts;
        self.put_off += more.put_off;
    }
}

/// What became of one event.
enum Fate {
    /// With a note for whoever looks at it later.
    Done(&'static str),
    Answer,
    Receipt(&'static str),
    /// It is about something that this ledger does not know, or not yet.
    Unknown(&'static str),
}

impl Inbox {
    pub fn new(ledger: Arc<dyn Ledger>, clock: Arc<dyn Clock>) -> Self {
        Self {
            ledger,
            clock,
            news: Notify::new(),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Keeps an event. False: it is kept already.
    pub(super) async fn keep(&self, event: &NewEvent<'_>) -> Result<bool, LedgerError> {
        let is_new = self.ledger.keep_event(event, self.now()).await?;
        if is_new {
            self.news.notify_one();
        }
        Ok(is_new)
    }

    /// How many events of these gateways wait.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn left(&self, gateways: &[String]) -> Result<u64, LedgerError> {
        let mut left = 0;
        for gateway in gateways {
            left += self.ledger.events_left(gateway).await?;
        }
        Ok(left)
    }

    /// Handles what comes until it is told to end; what waits from before first. What cannot be
    /// handled by then waits for the next start.
    pub async fn work(&self, gateways: &[String], end: &CancellationToken) {
        let mut pause = FIRST_PAUSE;
        let mut cleaned: Option<Instant> = None;
        while !end.is_cancelled() {
            let mut wait = EVERY;
            match self.handle_all(gateways, end).await {
                Ok(_) => pause = FIRST_PAUSE,
                Err(error) => {
                    tracing::warn!(%error, "events wait for the ledger");
                    wait = pause;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
            if cleaned.is_none_or(|at| at.elapsed() >= CLEAN_EVERY) {
                cleaned = Some(Instant::now());
                if let Err(error) = self.clean().await {
                    tracing::warn!(%error, "old events could not be taken out");
                }
            }
            tokio::select! {
                // cancel-safe: nothing is held while waiting
                () = end.cancelled() => {}
                // cancel-safe: a word that was not taken stays
                () = self.news.notified() => {}
                // cancel-safe: a timer
                () = sleep(wait) => {}
            }
        }
    }

    /// Handles what is due of these gateways.
    ///
    /// # Errors
    /// The ledger's; what was handled by then stays handled.
    pub async fn handle_all(
        &self,
        gateways: &[String],
        end: &CancellationToken,
    ) -> Result<Handled, LedgerError> {
        let mut all = Handled::default();
        for gateway in gateways {
            all.add(self.handle(gateway, end).await?);
        }
        Ok(all)
    }

    /// Takes out events that were handled long ago.
    async fn clean(&self) -> Result<(), LedgerError> {
        let before = self.now().checked_sub(KEPT_FOR);
        let before = before.unwrap_or(Timestamp::MIN);
        let gone = self.ledger.forget_events(before).await?;
        if gone > 0 {
            tracing::debug!(gone, "old events were taken out");
        }
        Ok(())
    }

    async fn handle(&self, gateway: &str, end: &CancellationToken) -> Result<Handled, LedgerError> {
        let mut all = Handled::default();
        loop {
            let now = self.now();
            let waiting = self.ledger.waiting_events(gateway, now, AT_ONCE).await?;
            if waiting.is_empty() {
                return Ok(all);
            }
            for event in &waiting {
                if end.is_cancelled() {
                    return Ok(all);
                }
                all.add(self.handle_one(gateway, event).await?);
            }
        }
    }

    async fn handle_one(&self, gateway: &str, kept: &KeptEvent) -> Result<Handled, LedgerError> {
        let fate = self.apply(gateway, kept).await?;
        crash_points::reach("event.applied").await;
        let (mut handled, note) = match fate {
            Fate::Done(note) => (Handled::default(), note),
            Fate::Answer => (
                Handled {
                    answers: 1,
                    ..Handled::default()
                },
                "an answer",
            ),
            Fate::Receipt(note) => (
                Handled {
                    receipts: 1,
                    ..Handled::default()
                },
                note,
            ),
            Fate::Unknown(note) => {
                if let Some(until) = again(kept.received_at, self.now()) {
                    self.ledger
                        .put_off_event(gateway, &kept.event_id, until)
                        .await?;
                    return Ok(Handled {
                        put_off: 1,
                        ..Handled::default()
                    });
                }
                tracing::warn!(gateway, event = kept.event_id, note, "an event is let go");
                (Handled::default(), note)
            }
        };
        handled.events = 1;
        let now = self.now();
        self.ledger
            .event_handled(gateway, &kept.event_id, note, now)
            .await?;
        Ok(handled)
    }

    async fn apply(&self, gateway: &str, kept: &KeptEvent) -> Result<Fate, LedgerError> {
        let Ok(event) = Event::read(kept.body.as_bytes()) else {
            return Ok(Fate::Done("no event"));
        };
        match event.notice {
            Notice::Reply(reply) => self.hear(gateway, reply, kept.received_at).await,
            Notice::Receipt {
                message_id,
                receipt,
                ..
            } => self.receipt(gateway, message_id, receipt).await,
            Notice::Other { listed: true } => Ok(Fate::Done("nothing that is kept here")),
            Notice::Other { listed: false } => {
                let (kind, event) = (event.kind, event.id);
                tracing::info!(gateway, kind, event, "an event of a kind that is not known");
                Ok(Fate::Done("of a kind that is not known"))
            }
            Notice::Unreadable { why } => {
                let (kind, event) = (event.kind, event.id);
                tracing::warn!(gateway, kind, event, why, "an event cannot be read");
                Ok(Fate::Done(why))
            }
        }
    }

    /// What somebody wrote goes through the same door whoever tells it.
    async fn hear(
        &self,
        gateway: &str,
        reply: Reply,
        received_at: Timestamp,
    ) -> Result<Fate, LedgerError> {
        let from = self.whose(gateway, reply.from, reply.channel).await?;
        let Some(phone) = from else {
            return Ok(Fate::Unknown(
                "from a contact that this ledger does not know",
            ));
        };
        let reply = NewReply {
            event_id: reply.message_id,
            gateway: gateway.to_owned(),
            phone,
            channel: reply.channel,
            line: String::new(),
            chat_id: reply.conversation_id,
            text: reply.text,
            at: reply.at.unwrap_or(received_at),
        };
        let kept = self.ledger.keep_reply(&reply, self.now()).await?;
        Ok(match kept.arrival {
            Arrival::New => Fate::Answer,
            Arrival::Known => Fate::Done("an answer that was known"),
        })
    }

    /// A contact is somebody's address of the kind that the channel goes to.
    async fn whose(
        &self,
        gateway: &str,
        from: Sender,
        channel: Option<Channel>,
    ) -> Result<Option<Address>, LedgerError> {
        let id = match from {
            Sender::Address(address) => return Ok(Some(address)),
            Sender::Contact(id) => id,
        };
        let known = self.ledger.whose_contact(gateway, &id).await?;
        let is_right = |address: &Address| {
            channel.is_none_or(|channel| channel.is_mail() == address.phone().is_none())
        };
        Ok(known.into_iter().find(is_right))
    }

    async fn receipt(
        &self,
        gateway: &str,
        message_id: String,
        receipt: Receipt,
    ) -> Result<Fate, LedgerError> {
        if matches!(receipt, Receipt::UnderWay | Receipt::Unknown) {
            return Ok(Fate::Done("nothing new about the message"));
        }
        let found = self.ledger.delivery_of(gateway, &message_id).await?;
        let Some((run, id)) = found else {
            return Ok(Fate::Unknown(
                "about a message that this ledger does not know",
            ));
        };
        let Some(run) = self.ledger.run(&run).await? else {
            return Ok(Fate::Done("about a message of a run that is gone"));
        };
        let is_failure = matches!(receipt, Receipt::Failed { .. });
        let about = (id, message_id);
        let kept = receipts::keep(&*self.ledger, &run, about, receipt, self.now()).await?;
        Ok(match kept {
            Some(Kept::Failed) => Fate::Receipt("the message has failed"),
            Some(Kept::Delivered) => Fate::Receipt("the message was delivered"),
            Some(Kept::Read) => Fate::Receipt("the message was read"),
            None if is_failure => Fate::Done("a failure of a message that stands otherwise"),
            None => Fate::Done("a receipt that was known"),
        })
    }
}

/// When an event that cannot be handled yet is looked at again; `None`: it is not.
fn again(received_at: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let age = now.duration_since(received_at);
    if age >= PATIENCE || age <= -AHEAD {
        return None;
    }
    now.checked_add((age / 2).max(SHORTEST)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_too_early_is_looked_at_ever_less_often_and_then_let_go() {
        let came = Timestamp::from_second(1_800_000_000).unwrap();
        let mut now = came;
        let mut looks = 0;
        while let Some(next) = again(came, now) {
            assert!(next >= now + SHORTEST);
            now = next;
            looks += 1;
        }
        assert!(now >= came + PATIENCE);
        assert!(looks < 20, "{looks}");
        assert_eq!(again(came, came - SignedDuration::from_hours(1)), None);
    }
}
