//! One row of the list: everything that is kept of it, against its checksums and against where
//! its history leads.

use std::collections::BTreeSet;

use super::kept::{Flaw, KeptAttempt, KeptDelivery, KeptMessage, Readable, Rows, number};
use super::run::Frame;
use super::stands::Stands;
use super::{Finding, shown};
use crate::domain::address::Address;
use crate::domain::delivery::DeliveryState;
use crate::domain::digest::Digest;
use crate::domain::history::{Attempt, DeliveryEvent, Event, FrozenRow, Standing, fixed_sum};

/// Attempts of one delivery that are named as missing; a damaged count may say millions.
const MISSING: usize = 3;

/// What a row of the list adds to the proof of its run.
#[derive(Debug, Default)]
pub struct Checked {
    /// The checksum that is kept of its frozen row.
    pub sum: Option<i64>,
    pub state: Option<DeliveryState>,
    /// Attempts that have ended, in whatever way.
    pub attempts: u64,
    pub events: u64,
    /// Files that its message names.
    pub files: Vec<Digest>,
    /// The line of a row that is to be sent.
    pub line: Option<String>,
}

/// Looks at everything that is kept of one row of the list.
pub fn check_delivery(frame: &Frame<'_>, rows: &Rows, found: &mut Vec<Finding>) -> Checked {
    let mut desk = Desk::new(frame, rows, found);
    let mut checked = Checked {
        attempts: desk.count(rows.attempts.len()),
        events: desk.count(rows.events.len()),
        ..Checked::default()
    };
    let message = desk.take("messages", rows.message.as_ref());
    let delivery = desk.take("deliveries", rows.delivery.as_ref());
    let attempts = desk.attempts(rows);
    let events = desk.events(rows);
    if let Some(message) = message {
        checked.sum = Some(message.sum);
        desk.message(message, &mut checked);
    }
    if let Some(delivery) = delivery {
        checked.state = delivery.state().ok();
        desk.fixed(delivery);
    }
    if let (Some(message), Some(delivery)) = (message, delivery) {
        desk.frozen(message, delivery);
        if message.content.is_some() {
            checked.line = Some(delivery.line.clone());
        }
        let history = attempts.zip(events);
        if let Some((attempts, events)) = history {
            desk.standing(message, delivery, &attempts, &events);
        }
    }
    checked
}

/// Notes what is found about one row of the list.
struct Desk<'a> {
    frame: &'a Frame<'a>,
    row: u64,
    recipient: Option<String>,
    found: &'a mut Vec<Finding>,
}

impl<'a> Desk<'a> {
    fn new(frame: &'a Frame<'a>, rows: &Rows, found: &'a mut Vec<Finding>) -> Self {
        let phone = rows.message.as_ref().and_then(|row| row.as_ref().ok());
        let phone = phone.and_then(|row| Address::stored(row.phone.as_deref()?).ok());
        Self {
            frame,
            row: frame.row_of(rows.id),
            recipient: phone.map(|phone| phone.masked()),
            found,
        }
    }

    #[expect(clippy::unused_self, reason = "one way to count, beside what counts")]
    fn count(&self, n: usize) -> u64 {
        u64::try_from(n).unwrap_or(u64::MAX)
    }

    fn find(&mut self, table: &'static str, what: impl Into<String>) {
        self.found.push(Finding {
            table,
            row: Some(self.row),
            recipient: self.recipient.clone(),
            what: what.into(),
        });
    }

    fn flaw(&mut self, table: &'static str, flaw: &Flaw) {
        self.find(table, flaw.to_string());
    }

    /// A row that must be there and readable.
    fn take<'r, T>(&mut self, table: &'static str, row: Option<&'r Readable<T>>) -> Option<&'r T> {
        match row {
            None => self.find(table, "the row is missing"),
            Some(Err(flaw)) => self.flaw(table, flaw),
            Some(Ok(row)) => return Some(row),
        }
        None
    }

    fn message(&mut self, message: &KeptMessage, checked: &mut Checked) {
        if message.run_id != self.frame.id {
            self.find("messages", "run_id names another run");
        }
        if number("row", message.row) != Ok(self.row) {
            let what = format!(
                "row is {}, but it stands in the place of {}",
                message.row, self.row
            );
            self.find("messages", what);
        }
        if (message.addressed == 1) != message.content.is_some() || message.addressed >> 1 != 0 {
            self.find("messages", "addressed does not fit its content");
        }
        match message.message() {
            Err(flaw) => self.flaw("messages", &flaw),
            Ok(None) => {}
            Ok(Some(content)) => {
                checked.files = content.files();
                let phone = message.phone.as_deref().map(Address::stored);
                if !matches!(phone, Some(Ok(_))) {
                    let what = "phone is none, so that no idempotency key can be derived";
                    self.find("messages", what);
                }
            }
        }
    }

    /// The checksum of what was frozen; the line and the reason stand with the delivery.
    fn frozen(&mut self, message: &KeptMessage, delivery: &KeptDelivery) {
        if delivery.run_id != self.frame.id {
            self.find("deliveries", "run_id names another run");
        }
        match self.sum(message, delivery) {
            Err(flaw) => self.flaw("messages", &flaw),
            Ok(Some(sum)) if sum == message.sum => {}
            Ok(_) => self.find(
                "messages",
                "the frozen row (recipient, phone, message, line, reason) does not match its \
                 checksum",
            ),
        }
    }

    /// The checksum as it should be; `None` where a reason is missing that must be there.
    fn sum(&self, message: &KeptMessage, delivery: &KeptDelivery) -> Readable<Option<i64>> {
        let skipped = match (&message.content, delivery.reason()) {
            (Some(_), _) => None,
            (None, Ok(Some(reason))) => {
                Some((reason, delivery.detail.as_deref().unwrap_or_default()))
            }
            // The delivery's own state says what is wrong with it.
            (None, _) => return Ok(None),
        };
        let frozen = FrozenRow {
            run: self.frame.run,
            row: number("row", message.row)?,
            step: number("step", message.step)?,
            recipient_key: message.recipient_key.as_deref(),
            phone: message.phone.as_deref(),
            timezone: message.timezone.as_deref(),
            content: message.content.as_deref(),
            line: &delivery.line,
            skipped,
        };
        Ok(Some(frozen.sum()))
    }

    fn fixed(&mut self, delivery: &KeptDelivery) {
        if delivery.fixed.as_deref().map(fixed_sum) != delivery.fixed_sum {
            self.find(
                "deliveries",
                "fixed (what shapes the request) does not match fixed_sum",
            );
        }
    }

    /// The attempts by number; `None` where the history cannot be told from them.
    fn attempts(&mut self, rows: &Rows) -> Option<Vec<Attempt>> {
        let mut attempts = Vec::with_capacity(rows.attempts.len());
        let mut whole = true;
        for row in &rows.attempts {
            let read = row
                .as_ref()
                .map_err(Clone::clone)
                .and_then(|row| Ok((row, row.attempt()?)));
            match read {
                Err(flaw) => {
                    self.flaw("attempts", &flaw);
                    whole = false;
                }
                Ok((row, attempt)) => {
                    whole &= self.attempt(row, &attempt);
                    attempts.push(attempt);
                }
            }
        }
        whole.then_some(attempts)
    }

    fn attempt(&mut self, row: &KeptAttempt, attempt: &Attempt) -> bool {
        let sound = row.is_sound(attempt);
        if !sound {
            let what = format!("attempt {} does not match its checksum", attempt.attempt);
            self.find("attempts", what);
        }
        sound
    }

    fn events(&mut self, rows: &Rows) -> Option<Vec<Event<DeliveryEvent>>> {
        let mut events = Vec::with_capacity(rows.events.len());
        let mut whole = true;
        for row in &rows.events {
            match row.as_ref().map_err(Clone::clone) {
                Ok(row) if row.run_id != self.frame.id => {
                    let what = format!("event {} names another run", row.seq);
                    self.find("events", what);
                    whole = false;
                }
                // The run's own look at its events says so.
                Ok(row) if !row.is_sound() => whole = false,
                Ok(row) => match row.event() {
                    Ok(event) => events.push(event),
                    Err(_) => whole = false,
                },
                Err(_) => whole = false,
            }
        }
        whole.then_some(events)
    }

    fn standing(
        &mut self,
        message: &KeptMessage,
        delivery: &KeptDelivery,
        attempts: &[Attempt],
        events: &[Event<DeliveryEvent>],
    ) {
        let stands = match Stands::of(delivery) {
            Ok(stands) => stands,
            Err(flaw) => return self.flaw("deliveries", &flaw),
        };
        let skipped = (message.content.is_none())
            .then(|| stands.standing.reason.zip(delivery.detail.clone()))
            .flatten();
        let mut led = Stands::frozen(Standing::frozen(self.frame.starts_at, skipped));
        if !self.is_complete(&stands, attempts) {
            return;
        }
        for number in 0..=stands.standing.attempts {
            if number > 0 {
                let known = attempts.iter().find(|attempt| attempt.attempt == number);
                if !self.began(&mut led, &stands, known) {
                    return;
                }
            }
            for event in events.iter().filter(|event| event.attempt == number) {
                led.apply(event);
            }
        }
        let on_the_wire =
            stands.standing.state == DeliveryState::Sending && delivery.lease_owner.is_some();
        if self.frame.cancelled && !on_the_wire {
            led.standing.cancel();
        }
        self.receipts(delivery, &stands);
        self.compare(&stands, &led);
    }

    /// Whether the attempts are 1, 2, … up to the delivery's own count. Only the last may be
    /// missing, and only while it is on the wire.
    fn is_complete(&mut self, stands: &Stands, attempts: &[Attempt]) -> bool {
        let begun = stands.standing.attempts;
        let before = self.found.len();
        let there: BTreeSet<u32> = attempts.iter().map(|attempt| attempt.attempt).collect();
        let ended = if stands.standing.state == DeliveryState::Sending {
            begun.saturating_sub(1)
        } else {
            begun
        };
        let missing = (1..=ended).filter(|number| !there.contains(number));
        for number in missing.take(MISSING) {
            let what = format!("attempt {number} of {begun} is missing");
            self.find("attempts", what);
        }
        for attempt in attempts.iter().filter(|one| one.attempt > begun) {
            let what = format!(
                "attempt {} is there, but only {begun} were begun",
                attempt.attempt
            );
            self.find("attempts", what);
        }
        self.found.len() == before
    }

    /// The beginning of an attempt, and its end where there is one.
    fn began(&mut self, led: &mut Stands, stands: &Stands, known: Option<&Attempt>) -> bool {
        let begun_at = known.map_or(stands.begun_at, |attempt| Some(attempt.begun_at));
        led.begin(begun_at);
        let Some(attempt) = known else { return true };
        if attempt.revision != led.standing.revision {
            let what = format!(
                "attempt {} used the key of revision {}, but {} was the one then",
                attempt.attempt, attempt.revision, led.standing.revision
            );
            self.find("attempts", what);
            return false;
        }
        led.end(attempt);
        true
    }

    /// A receipt is later than the history, and there where the state says so.
    fn receipts(&mut self, delivery: &KeptDelivery, stands: &Stands) {
        let missing = match stands.standing.state {
            DeliveryState::Delivered => delivery.delivered_at.is_none(),
            DeliveryState::Read => delivery.read_at.is_none(),
            DeliveryState::Pending
            | DeliveryState::Sending
            | DeliveryState::Sent
            | DeliveryState::Failed
            | DeliveryState::Uncertain
            | DeliveryState::Skipped
            | DeliveryState::Cancelled => false,
        };
        if missing {
            self.find("deliveries", "state names a receipt that is not there");
        }
    }

    fn compare(&mut self, stands: &Stands, led: &Stands) {
        let (is, should) = (stands.columns(), led.columns());
        for ((column, is), (_, should)) in is.into_iter().zip(should) {
            if is != should {
                let what = format!(
                    "{column} is {}, but its history leads to {}",
                    shown(is.as_deref()),
                    shown(should.as_deref())
                );
                self.find("deliveries", what);
            }
        }
    }
}
