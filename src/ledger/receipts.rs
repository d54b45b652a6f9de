//! Receipts: which sent messages are due to be looked at, and what the provider said of one. A
//! receipt is no part of a delivery's history: it is kept beside it and only ever goes forward. A
//! message that fails after it was taken is, and an event tells of it.
//!
//! A look is a request like a message is. It takes a slot of the account's rate in the same
//! transaction that hands it out, and only one that is free now: what messages have reserved is
//! theirs.

use jiff::Timestamp;

use super::arrivals::Slots;
use super::claim::ClaimTx;
use super::events::{self, Happened};
use super::rows::{instant, number, stored};
use super::{AccountLimits, DeliveryId, LedgerError, RunRecord, Turn};
use crate::domain::delivery::DeliveryState;
use crate::domain::history::DeliveryEvent;
use crate::domain::outcome::Failure;
use crate::domain::pace::micros;
use crate::domain::receipt;

/// In the place of the next look: there is none.
pub(super) const NEVER: i64 = i64::MAX;

/// Who asks for looks, and for how many.
#[derive(Debug, Clone)]
pub struct LookRequest<'a> {
    pub run: &'a RunRecord,
    pub now: Timestamp,
    /// What is due later than this is not handed out; not after `now`.
    pub due_by: Timestamp,
    /// Chance, 0 to 999.
    pub jitter: u32,
    /// At most so many.
    pub most: u32,
    /// The account's limits, which looks share with messages.
    pub account: AccountLimits,
}

/// What may be looked at now, and when it is worth asking for more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looks {
    pub due: Vec<DueReceipt>,
    pub next: NextLook,
}

/// When there is more to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextLook {
    /// Of everything that was sent all is known that will ever be.
    Never,
    /// The next look is due then.
    Due(Timestamp),
    /// One is due, and the account's rate has no slot free before this time.
    Room(Timestamp),
    /// One is due, and the provider wants the whole account to wait.
    Gate(Timestamp),
}

impl NextLook {
    /// The same by another clock.
    pub(super) fn map(self, clock: impl Fn(Timestamp) -> Timestamp) -> Self {
        match self {
            Self::Never => Self::Never,
            Self::Due(at) => Self::Due(clock(at)),
            Self::Room(at) => Self::Room(clock(at)),
            Self::Gate(at) => Self::Gate(clock(at)),
        }
    }
}

/// A message whose look is due. Its next look is set already: a crash before the answer is
/// recorded costs this look and no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueReceipt {
    pub id: DeliveryId,
    pub message_id: String,
    pub chat_id: Option<String>,
}

/// The provider's word that a message arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmed {
    pub id: DeliveryId,
    /// The delivery stands with this message, or nothing is changed.
    pub message_id: String,
    pub delivered_at: Option<Timestamp>,
    /// It was opened then.
    pub read_at: Option<Timestamp>,
}

impl Confirmed {
    pub(super) fn state(&self) -> DeliveryState {
        match self.read_at {
            Some(_) => DeliveryState::Read,
            None => DeliveryState::Delivered,
        }
    }
}

/// The provider's word that a message that it had taken was not delivered for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUp {
    pub id: DeliveryId,
    /// The delivery stands with this message, or nothing is changed.
    pub message_id: String,
    pub failure: Failure,
}

/// From which states a receipt leads to this one.
pub(super) fn moved_from(next: DeliveryState) -> Vec<&'static str> {
    receipt::moved_from(next)
        .map(DeliveryState::as_str)
        .collect()
}

/// A delivery that is due, its message and chat, and when that was sent.
pub(super) type DueRow = (DeliveryId, String, Option<String>, i64);

/// What a transaction about receipts can do, besides reserving slots as a claim does.
pub(super) trait LookTx: ClaimTx {
    /// When the next look of the run is due; nothing where there is none.
    fn next_look(
        &mut self,
        run_id: i64,
    ) -> impl Future<Output = Result<Option<i64>, LedgerError>> + Send;

    /// Until when the whole account has to wait.
    fn account_gate(
        &mut self,
        gateway: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<i64>, LedgerError>> + Send;

    /// The longest due first.
    fn due_receipts(
        &mut self,
        run_id: i64,
        due_by: Timestamp,
        most: u32,
    ) -> impl Future<Output = Result<Vec<DueRow>, LedgerError>> + Send;

    fn move_looks(
        &mut self,
        looks: &[(DeliveryId, i64)],
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// A delivery that is sent with this message has failed; the attempts begun of it, if so.
    fn fail_later(
        &mut self,
        run_id: i64,
        given_up: &GivenUp,
    ) -> impl Future<Output = Result<Option<i64>, LedgerError>> + Send;
}

/// Hands out what is due, each with a slot, and sets its next look.
pub(super) async fn looks(
    tx: &mut impl LookTx,
    request: &LookRequest<'_>,
) -> Result<Looks, LedgerError> {
    let (run, gateway) = (request.run.id, &request.run.gateway);
    let none = |next| Looks {
        due: Vec::new(),
        next,
    };
    let next = match tx.next_look(run).await? {
        None => return Ok(none(NextLook::Never)),
        Some(at) => instant(at)?,
    };
    if next > request.due_by {
        return Ok(none(NextLook::Due(next)));
    }
    if let Some(until) = tx.account_gate(gateway, request.now).await? {
        return Ok(none(NextLook::Gate(instant(until)?)));
    }
    let slots = slots(tx, gateway, &request.account).await?;
    let now_us = micros(request.now);
    let (most, next_us) = free(&slots, now_us, request.most);
    if most == 0 {
        let at = stored(Timestamp::from_microsecond(next_us))?;
        return Ok(none(NextLook::Room(at)));
    }
    let found = tx.due_receipts(run, request.due_by, most).await?;
    let mut taken = slots;
    for _ in &found {
        taken.take(now_us);
    }
    if !found.is_empty() && !taken.changed().is_empty() {
        tx.set_arrivals(gateway, taken.changed()).await?;
    }
    let looks = next_looks(&found, request.now, request.jitter)?;
    if !looks.is_empty() {
        tx.move_looks(&looks).await?;
    }
    let next = match tx.next_look(run).await? {
        None => NextLook::Never,
        Some(at) => NextLook::Due(instant(at)?),
    };
    let due = found
        .into_iter()
        .map(|(id, message_id, chat_id, _)| DueReceipt {
            id,
            message_id,
            chat_id,
        });
    Ok(Looks {
        due: due.collect(),
        next,
    })
}

/// The slots of an account as they stand; nobody else takes one before the transaction ends.
async fn slots(
    tx: &mut impl LookTx,
    gateway: &str,
    account: &AccountLimits,
) -> Result<Slots, LedgerError> {
    let mut slots = Slots::new(account);
    let subjects = slots.subjects();
    if !subjects.is_empty() {
        slots.stored(tx.arrivals(gateway, &subjects).await?);
    }
    Ok(slots)
}

/// How many slots are free at one moment, at most `most`, and when the next one after them is.
fn free(slots: &Slots, now_us: i64, most: u32) -> (u32, i64) {
    let mut trial = slots.clone();
    let mut free = 0;
    while free < most && trial.next_us(now_us) <= now_us {
        trial.take(now_us);
        free += 1;
    }
    (free, trial.next_us(now_us))
}

/// Takes a slot for one request that is no message.
pub(super) async fn take_turn(
    tx: &mut impl LookTx,
    (gateway, account): (&str, &AccountLimits),
    (now, until): (Timestamp, Timestamp),
) -> Result<Turn, LedgerError> {
    if let Some(gate) = tx.account_gate(gateway, now).await? {
        return Ok(Turn::NotBefore(instant(gate)?));
    }
    let mut slots = slots(tx, gateway, account).await?;
    let slot_us = slots.next_us(micros(now));
    if slot_us > micros(until) {
        return Ok(Turn::NotBefore(stored(Timestamp::from_microsecond(
            slot_us,
        ))?));
    }
    slots.take(slot_us);
    if !slots.changed().is_empty() {
        tx.set_arrivals(gateway, slots.changed()).await?;
    }
    Ok(Turn::At { slot_us })
}

/// When each is looked at again. `jitter` is the caller's chance; each gets a different one.
fn next_looks(
    rows: &[DueRow],
    now: Timestamp,
    jitter: u32,
) -> Result<Vec<(DeliveryId, i64)>, LedgerError> {
    rows.iter()
        .map(|(id, _, _, sent_at)| {
            let own: u32 = number(id % 1_000)?;
            let jitter = (jitter % 1_000 + own * 389) % 1_000;
            let next = receipt::next_look(instant(*sent_at)?, now, jitter);
            Ok((*id, next.map_or(NEVER, Timestamp::as_millisecond)))
        })
        .collect()
}

/// Whether it stood as sent with this message, and has failed now.
pub(super) async fn give_up(
    tx: &mut impl LookTx,
    run: &RunRecord,
    given_up: &GivenUp,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let Some(attempt) = tx.fail_later(run.id, given_up).await? else {
        return Ok(false);
    };
    let what = DeliveryEvent::FailedLater {
        code: given_up.failure.code,
        text: given_up.failure.text.clone(),
    };
    let event = Happened::to_delivery(given_up.id, number(attempt)?, now, &what)?;
    events::note(tx, run.id, vec![event]).await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::pace::{Limit, Rate};

    proptest! {
        /// Looks take what is free now and nothing that is reserved: with the last of them taken,
        /// a message waits for no more than one interval longer than the burst allows.
        #[test]
        fn looks_take_only_what_is_free(
            count in 1u32..200,
            burst in 1u32..20,
            reserved in prop::option::of(-3_000_000i64..3_000_000),
            most in 0u32..50,
        ) {
            let limit = Limit {
                rate: Rate::per_second(NonZeroU32::new(count).unwrap()),
                burst: NonZeroU32::new(burst).unwrap(),
            };
            let now = 1_000_000_000;
            let mut slots = Slots::new(&AccountLimits::from(limit));
            let subjects = slots.subjects();
            let tat = reserved.map(|ahead| now + ahead);
            slots.stored(tat.map(|tat| (subjects[0].clone(), tat)).into_iter().collect());
            let was = slots.next_us(now) - now;
            let (taken, _) = free(&slots, now, most);
            prop_assert!(taken <= most.min(burst));
            if was > 0 {
                prop_assert!(taken == 0, "took what was reserved");
            }
            for _ in 0..taken {
                slots.take(now);
            }
            let wait = slots.next_us(now) - now;
            prop_assert!(wait <= was.max(limit.rate.interval_us()));
        }
    }
}
