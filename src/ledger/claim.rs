//! Claiming: due deliveries are leased and their slots reserved in one transaction, so that
//! any number of processes keep one rate and none takes what another holds. How rows are found
//! and leased is each database's.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::arrivals::Arrivals;
use super::budget::Budget;
use super::caps::CapTx;
use super::events::{self, Happened};
use super::opt_out::Left;
use super::rows::{
    self, CandidateRow, GateRow, OnlyRow, instants, last_by_address, number, stored,
};
use super::shapes::HeldBack;
use super::tx::SharedTx;
use super::{
    Admission, Admit, Candidate, Claim, ClaimRequest, Claimed, DeliveryId, Gate, Held, LedgerError,
};
use crate::domain::address::Address;
use crate::domain::cap::Touch;
use crate::domain::channel::{Channel, REPLY_WINDOW};
use crate::domain::delivery::{Hold, SkipReason};
use crate::domain::history::DeliveryEvent;
use crate::domain::run::RunState;

/// A line, and how many deliveries of it are worth a look.
pub(super) type Share = (String, u32);

/// The same for each kind of delivery, in the order of [`Touch::ALL`].
pub(super) type Shares = (String, [u32; 3]);

/// Of a line, when the next delivery of a kind is due, or free again.
pub(super) type NextPending = (String, Touch, i64);

/// What a claim's transaction can do. Whatever it finds free stays so until its end.
pub(super) trait ClaimTx: SharedTx + CapTx {
    /// The run's state; it does not change before the transaction ends.
    fn run_state(
        &mut self,
        run_id: i64,
    ) -> impl Future<Output = Result<RunState, LedgerError>> + Send;

    fn open_gates(
        &mut self,
        request: &ClaimRequest<'_>,
    ) -> impl Future<Output = Result<Vec<GateRow>, LedgerError>> + Send;

    /// The lines that the run sends from, sorted.
    fn lines(
        &mut self,
        run_id: i64,
    ) -> impl Future<Output = Result<Vec<String>, LedgerError>> + Send;

    /// Stored arrival times, of no use to anybody else before the transaction ends.
    fn arrivals(
        &mut self,
        gateway: &str,
        subjects: &[String],
    ) -> impl Future<Output = Result<Vec<(String, i64)>, LedgerError>> + Send;

    fn set_arrivals(
        &mut self,
        gateway: &str,
        changed: &BTreeMap<String, i64>,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// The open delivery to one person.
    fn only(
        &mut self,
        request: &ClaimRequest<'_>,
        phone: &Address,
    ) -> impl Future<Output = Result<Option<OnlyRow>, LedgerError>> + Send;

    /// Attempts without an outcome whose lease is over.
    fn unanswered(
        &mut self,
        request: &ClaimRequest<'_>,
        shares: &[Share],
    ) -> impl Future<Output = Result<Vec<DeliveryId>, LedgerError>> + Send;

    /// Pending ones that are due and nobody's, with their due times; the longest due of a line
    /// and a kind.
    fn due(
        &mut self,
        request: &ClaimRequest<'_>,
        shares: &[Shares],
    ) -> impl Future<Output = Result<Vec<(i64, DeliveryId)>, LedgerError>> + Send;

    /// When each of these people has last written over a channel; in no order.
    fn last_replies(
        &mut self,
        gateway: &str,
        channel: Channel,
        people: &[String],
    ) -> impl Future<Output = Result<Vec<(String, i64)>, LedgerError>> + Send;

    /// In the order of the ids.
    fn candidates(
        &mut self,
        gateway: &str,
        ids: &[DeliveryId],
    ) -> impl Future<Output = Result<Vec<CandidateRow>, LedgerError>> + Send;

    fn lease(
        &mut self,
        request: &ClaimRequest<'_>,
        ids: &[DeliveryId],
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// By line, when an attempt without an outcome may be asked for.
    fn next_unanswered(
        &mut self,
        request: &ClaimRequest<'_>,
    ) -> impl Future<Output = Result<Vec<(String, i64)>, LedgerError>> + Send;

    /// By line and kind, when a pending delivery is due, or free again.
    fn next_pending(
        &mut self,
        request: &ClaimRequest<'_>,
        lines: &[String],
    ) -> impl Future<Output = Result<Vec<NextPending>, LedgerError>> + Send;
}

pub(super) async fn claim(
    tx: &mut impl ClaimTx,
    request: &ClaimRequest<'_>,
    admit: Admit<'_>,
) -> Result<Claimed, LedgerError> {
    let mut claimed = Claimed {
        claims: Vec::new(),
        state: tx.run_state(request.run.id).await?,
        next_at: None,
        moved: 0,
        gates: Vec::new(),
    };
    if claimed.state != RunState::Running {
        return Ok(claimed);
    }
    for row in tx.open_gates(request).await? {
        claimed.gates.push(rows::gate(&request.run.gateway, row)?);
    }
    let gates = Gates::new(&claimed.gates, request.now);
    let lines = tx.lines(request.run.id).await?;
    let subjects = Arrivals::subjects(request, &lines);
    let gateway = &request.run.gateway;
    let mut room = Room {
        pace: Arrivals::new(tx.arrivals(gateway, &subjects).await?),
        caps: Budget::look(tx, request, &lines).await?,
    };
    let open: Vec<String> = lines
        .iter()
        .filter(|line| gates.until(line).is_none())
        .cloned()
        .collect();
    let only = match request.only {
        Some(phone) => Some(only(tx, request, phone, &gates).await?),
        None => None,
    };
    if room.pace.room(request, &open) > 0 {
        let ids = match &only {
            Some(one) => one
                .iter()
                .filter(|one| one.free_at <= request.now)
                .map(|one| one.id)
                .collect(),
            None => due(tx, request, &open, &room).await?,
        };
        let mut sorted = Sorted::default();
        if !ids.is_empty() {
            let candidates = tx.candidates(gateway, &ids).await?;
            sorted.opted_out = opted_out(tx, &candidates).await?;
            sorted.windows = windows(tx, gateway, &candidates).await?;
            for candidate in candidates {
                sorted.place(candidate, request, admit, &mut room)?;
            }
        }
        sorted.settle(tx, request, &mut claimed).await?;
        if !room.pace.changed().is_empty() {
            tx.set_arrivals(gateway, room.pace.changed()).await?;
        }
    }
    claimed.next_at = match only {
        Some(one) => one.map(|one| one.free_at),
        None => next_at(tx, request, &room, (&lines, &gates)).await?,
    };
    Ok(claimed)
}

/// What the limits and the caps have room for.
struct Room {
    pace: Arrivals,
    caps: Budget,
}

impl Room {
    /// Of each kind, how many deliveries from a line.
    fn shares(&self, line: &str, request: &ClaimRequest<'_>) -> Shares {
        let most = self
            .pace
            .room(request, std::slice::from_ref(&line.to_owned()));
        let of = |touch| self.caps.left(line, touch).min(most);
        (line.to_owned(), Touch::ALL.map(of))
    }
}

/// A line that is to be looked at keeps its people waiting for so long at least: whoever claims
/// looks, and asks again then.
const LOOK_UNDER_WAY: SignedDuration = SignedDuration::from_secs(1);

/// Open waits that the provider asked for.
struct Gates {
    account: Option<Timestamp>,
    lines: HashMap<String, Timestamp>,
}

impl Gates {
    fn new(open: &[Gate], now: Timestamp) -> Self {
        let looked_at = now.saturating_add(LOOK_UNDER_WAY).unwrap_or(now);
        let (mut account, mut lines) = (None, HashMap::new());
        for gate in open {
            match &gate.held {
                Held::Account => account = Some(gate.until),
                Held::Line(line) => {
                    let looked_at = gate.inactive_since.map(|_| looked_at);
                    let until = looked_at.map_or(gate.until, |at| gate.until.max(at));
                    lines.insert(line.clone(), until);
                }
                Held::Recipient(_) => {}
            }
        }
        Self { account, lines }
    }

    /// Until when nothing may leave from `line`.
    fn until(&self, line: &str) -> Option<Timestamp> {
        self.account.max(self.lines.get(line).copied())
    }
}

/// The one delivery that a claim is limited to, while it is open.
struct Only {
    id: DeliveryId,
    /// When it may be claimed.
    free_at: Timestamp,
}

async fn only(
    tx: &mut impl ClaimTx,
    request: &ClaimRequest<'_>,
    phone: &Address,
    gates: &Gates,
) -> Result<Option<Only>, LedgerError> {
    let Some(row) = tx.only(request, phone).await? else {
        return Ok(None);
    };
    let gate = gates.until(&row.line).unwrap_or(Timestamp::MIN);
    Ok(Some(Only {
        id: row.id,
        free_at: row.free_at(request)?.max(gate),
    }))
}

/// Ids worth a closer look, attempts without an outcome first, then the longest due.
async fn due(
    tx: &mut impl ClaimTx,
    request: &ClaimRequest<'_>,
    open: &[String],
    room: &Room,
) -> Result<Vec<DeliveryId>, LedgerError> {
    // A line is asked for what it may send itself, so that a long queue on one line never
    // hides the others; and by kind, so that those who wait for a cap never hide those who are
    // under none, and none of a long list is looked at that there is no room for.
    let shares: Vec<Shares> = open.iter().map(|line| room.shares(line, request)).collect();
    let begun: Vec<Share> = shares
        .iter()
        .map(|(line, [again, ..])| (line.clone(), *again))
        .collect();
    let mut ids = tx.unanswered(request, &begun).await?;
    let mut found = tx.due(request, &shares).await?;
    ids.sort_unstable();
    found.sort_unstable();
    ids.extend(found.into_iter().map(|(_, id)| id));
    if request.limits.line.is_none() {
        let room = room.pace.room(request, open);
        ids.truncate(usize::try_from(room).unwrap_or(usize::MAX));
    }
    Ok(ids)
}

/// By whose word candidates are not to be written to. Whoever opts out after this is found when
/// the attempt is to begin.
async fn opted_out(
    tx: &mut impl ClaimTx,
    candidates: &[CandidateRow],
) -> Result<HashMap<DeliveryId, String>, LedgerError> {
    let ids: Vec<DeliveryId> = candidates
        .iter()
        .filter(|candidate| candidate.opted_out)
        .map(|candidate| candidate.id)
        .collect();
    let mut details = HashMap::new();
    if !ids.is_empty() {
        for row in tx.opted_out(&ids).await? {
            let detail = row.detail()?;
            details.entry(row.id).or_insert(detail);
        }
    }
    Ok(details)
}

/// Until when those may be written to whose message needs that they have written first.
async fn windows(
    tx: &mut impl ClaimTx,
    gateway: &str,
    candidates: &[CandidateRow],
) -> Result<HashMap<DeliveryId, Timestamp>, LedgerError> {
    let mut windows = HashMap::new();
    let mut people: BTreeMap<Channel, Vec<String>> = BTreeMap::new();
    for candidate in candidates.iter().filter(|one| !one.is_unanswered()) {
        if let Some(channel) = candidate.needs_open_window()? {
            windows.insert(candidate.id, Timestamp::MIN);
            people
                .entry(channel)
                .or_default()
                .push(candidate.phone.clone());
        }
    }
    for (channel, people) in people {
        let wrote = last_by_address(tx.last_replies(gateway, channel, &people).await?)?;
        for candidate in candidates.iter().filter(|one| one.line == channel.as_str()) {
            let (Some(until), Some(at)) = (
                windows.get_mut(&candidate.id),
                wrote.get(&candidate.phone).copied(),
            ) else {
                continue;
            };
            *until = at.saturating_add(REPLY_WINDOW).unwrap_or(at);
        }
    }
    Ok(windows)
}

/// Candidates by what is to happen with them.
#[derive(Default)]
struct Sorted {
    opted_out: HashMap<DeliveryId, String>,
    windows: HashMap<DeliveryId, Timestamp>,
    claims: Vec<Claim>,
    moved: Vec<HeldBack>,
    skipped: Vec<Left>,
    /// Attempts without an answer that have to wait for their recipient's gate.
    doubts: Vec<HeldBack>,
    happened: Vec<Happened>,
}

impl Sorted {
    fn place(
        &mut self,
        row: CandidateRow,
        request: &ClaimRequest<'_>,
        admit: Admit<'_>,
        room: &mut Room,
    ) -> Result<(), LedgerError> {
        // With limits of their own, the lines together offer more than was asked for.
        if self.claims.len() >= usize::try_from(request.most).unwrap_or(usize::MAX) {
            return Ok(());
        }
        if let Some(detail) = self.opted_out.remove(&row.id) {
            return self.leave_out(&row, request, SkipReason::OptedOut, Some(detail));
        }
        let phone = stored(Address::stored(&row.phone))?;
        let candidate = Candidate {
            phone: &phone,
            timezone: row.timezone.as_deref(),
            begun: row.is_unanswered(),
            window_until: self.windows.get(&row.id).copied(),
            now: request.now,
        };
        if let Some(until) = instants(row.gate_until)?.filter(|until| *until > request.now) {
            // The provider's word about this person, whatever the campaign says.
            let hold = Hold::Retry;
            if row.is_unanswered() {
                self.doubts.push(held_back(row.id, until, hold));
                return Ok(());
            }
            return self.hold(&row, request, until, hold);
        }
        match admit(candidate) {
            Admission::Now => self.take(row, phone, request, room)?,
            Admission::Hold { until, hold } => self.hold(&row, request, until, hold)?,
            Admission::Skip(reason) => self.leave_out(&row, request, reason, None)?,
        }
        Ok(())
    }

    fn leave_out(
        &mut self,
        row: &CandidateRow,
        request: &ClaimRequest<'_>,
        reason: SkipReason,
        detail: Option<String>,
    ) -> Result<(), LedgerError> {
        let what = DeliveryEvent::Skipped {
            reason,
            detail: detail.clone(),
        };
        self.skipped.push(Left {
            id: row.id,
            reason,
            detail,
        });
        self.happened(row, request, &what)
    }

    /// Claims it, if there is room. Who is out of room stays as they are: there may be a long list
    /// of them. One who was asked for alone waits, and says so.
    fn take(
        &mut self,
        row: CandidateRow,
        phone: Address,
        request: &ClaimRequest<'_>,
        room: &mut Room,
    ) -> Result<(), LedgerError> {
        let touch = row.touch();
        if let Some((until, hold)) = room.caps.closed(&row.line, touch) {
            if request.only.is_some() {
                self.hold(&row, request, until, hold)?;
            }
        } else if let Some(slot_us) = room.pace.take(&row.line, request) {
            room.caps.take(&row.line, touch);
            let window_until = self.windows.get(&row.id).copied();
            self.claims.push(Claim {
                window_until,
                ..row.into_claim(phone, slot_us)?
            });
        }
        Ok(())
    }

    fn hold(
        &mut self,
        row: &CandidateRow,
        request: &ClaimRequest<'_>,
        until: Timestamp,
        hold: Hold,
    ) -> Result<(), LedgerError> {
        self.moved.push(held_back(row.id, until, hold));
        self.happened(row, request, &DeliveryEvent::Held { until, hold })
    }

    fn happened(
        &mut self,
        row: &CandidateRow,
        request: &ClaimRequest<'_>,
        what: &DeliveryEvent,
    ) -> Result<(), LedgerError> {
        let attempt = number(row.attempt)?;
        self.happened
            .push(Happened::to_delivery(row.id, attempt, request.now, what)?);
        Ok(())
    }

    async fn settle(
        self,
        tx: &mut impl ClaimTx,
        request: &ClaimRequest<'_>,
        claimed: &mut Claimed,
    ) -> Result<(), LedgerError> {
        let moved = self.moved.len() + self.skipped.len() + self.doubts.len();
        claimed.moved = u64::try_from(moved).unwrap_or(u64::MAX);
        if !self.moved.is_empty() {
            tx.hold_back(&self.moved).await?;
        }
        if !self.skipped.is_empty() {
            tx.skip(&self.skipped).await?;
        }
        if !self.doubts.is_empty() {
            tx.hold_doubts(&self.doubts).await?;
        }
        if !self.claims.is_empty() {
            let ids: Vec<DeliveryId> = self.claims.iter().map(|claim| claim.id).collect();
            tx.lease(request, &ids).await?;
        }
        events::note(tx, request.run.id, self.happened).await?;
        claimed.claims = self.claims;
        Ok(())
    }
}

fn held_back(id: DeliveryId, until: Timestamp, hold: Hold) -> HeldBack {
    HeldBack {
        id,
        until: until.as_millisecond(),
        hold,
    }
}

/// When it is worth asking again; nothing where nothing is open.
async fn next_at(
    tx: &mut impl ClaimTx,
    request: &ClaimRequest<'_>,
    room: &Room,
    (lines, gates): (&[String], &Gates),
) -> Result<Option<Timestamp>, LedgerError> {
    let mut due: BTreeMap<String, i64> = BTreeMap::new();
    let unanswered = tx.next_unanswered(request).await?;
    let pending = tx.next_pending(request, lines).await?;
    let (now, frozen_due) = (request.now, request.frozen_due().as_millisecond());
    let pending = pending.into_iter().map(|(line, touch, at)| {
        let due = at == frozen_due;
        let at = if due { now.as_millisecond() } else { at };
        let closed = room.caps.closed(&line, touch);
        let opens = closed.map_or(i64::MIN, |(until, _)| until.as_millisecond());
        (line, at.max(opens))
    });
    for (line, at) in unanswered.into_iter().chain(pending) {
        due.entry(line)
            .and_modify(|earliest| *earliest = at.min(*earliest))
            .or_insert(at);
    }
    // Slots are asked for while part of those that were reserved before are still to come: asked
    // for when they are due, each would be late by as long as the asking takes.
    let quarters = if request.sated { 2 } else { 3 };
    let ahead = request.horizon.duration_since(now) / 4 * quarters;
    let mut earliest: Option<Timestamp> = None;
    for (line, at) in due {
        let slot = stored(Timestamp::from_microsecond(room.pace.slot(&line, request)))?;
        let slot = slot.saturating_sub(ahead).unwrap_or(slot);
        let gate = gates.until(&line).unwrap_or(Timestamp::MIN);
        let at = rows::instant(at)?.max(slot).max(gate);
        earliest = Some(earliest.map_or(at, |earliest| earliest.min(at)));
    }
    Ok(earliest)
}
