//! The group-committing writer's transaction: attempts begun and outcomes recorded, many at
//! once. What each kind of change means for the others; how a row is changed is each database's.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;

use super::caps::{CapTx, Caps, Count, Key, hold_capped, hold_caps};
use super::events::{self, Happened};
use super::opt_out::Left;
use super::rows::{GatedRow, instant, number};
use super::runs::{self, Unanswered};
use super::shapes::{AttemptRow, Begun, HeldBack, Lost, Moved, Numbered, gate_key};
use super::tx::SharedTx;
use super::{
    Begin, DeliveryId, Gate, LedgerError, NewChat, Next, Owner, Record, Release, Settle, Verdict,
    Write, Written,
};
use crate::domain::delivery::SkipReason;
use crate::domain::history::DeliveryEvent;

/// What a transaction of the writer can do. Every change names the state, the attempt and where
/// it matters the owner that it expects, and says which deliveries were so.
pub(super) trait WriteTx: SharedTx + CapTx {
    /// Nobody else counts anything of these caps before the transaction ends.
    fn hold_caps(&mut self, keys: &[Key]) -> impl Future<Output = Result<(), LedgerError>> + Send;

    fn count_caps(
        &mut self,
        counts: &[Count],
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Those of an owner's claims that are still its own and in a running run, with the run.
    fn own_fresh(
        &mut self,
        owner: &Owner,
        ids: &[DeliveryId],
    ) -> impl Future<Output = Result<Vec<(DeliveryId, i64)>, LedgerError>> + Send;

    fn any_gate(
        &mut self,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, LedgerError>> + Send;

    /// Claims of an owner, with their attempts, that an open gate holds.
    fn gated(
        &mut self,
        owner: &Owner,
        claims: &[Numbered],
        now: Timestamp,
    ) -> impl Future<Output = Result<Vec<GatedRow>, LedgerError>> + Send;

    /// Ends a doubt; the run of the delivery, where it was the owner's to end.
    fn settle(
        &mut self,
        owner: &Owner,
        settle: &Settle,
    ) -> impl Future<Output = Result<Option<i64>, LedgerError>> + Send;

    /// The same for attempts that the owner is about to repeat.
    fn keep_lost_before(
        &mut self,
        owner: &Owner,
        rows: &[Lost],
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    fn begin(
        &mut self,
        owner: &Owner,
        rows: &[Begun],
    ) -> impl Future<Output = Result<Vec<DeliveryId>, LedgerError>> + Send;

    /// Claims that could not begin because the run is not running any more.
    fn give_back(
        &mut self,
        owner: &Owner,
        rows: &[Begun],
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Before [`WriteTx::record`]: whether one is late shows only before the delivery changes.
    /// Says which were kept: not one that is known already, nor one that was never begun.
    fn keep_attempts(
        &mut self,
        rows: &[AttemptRow<'_>],
    ) -> impl Future<Output = Result<Vec<DeliveryId>, LedgerError>> + Send;

    fn record(
        &mut self,
        rows: &[AttemptRow<'_>],
    ) -> impl Future<Output = Result<Vec<DeliveryId>, LedgerError>> + Send;

    /// Attempts without an answer among deliveries of cancelled runs that nobody holds.
    fn unanswered_among(
        &mut self,
        ids: &[DeliveryId],
    ) -> impl Future<Output = Result<Vec<Unanswered>, LedgerError>> + Send;

    /// What comes back to a run that was cancelled meanwhile, and that nobody holds, is not taken
    /// up again.
    fn end_in_cancelled(
        &mut self,
        ids: &[DeliveryId],
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Chats to remember, one for each person of a gateway.
    fn keep_chats(
        &mut self,
        chats: &[NewChat],
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// A gate that was asked for then.
    fn extend_gate(
        &mut self,
        gate: &Gate,
        asked_at: Timestamp,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    fn release_as_it_was(
        &mut self,
        owner: &Owner,
        claims: &[Numbered],
    ) -> impl Future<Output = Result<Vec<DeliveryId>, LedgerError>> + Send;

    /// Still without an answer: to be looked at again at the row's time.
    fn release_doubts(
        &mut self,
        owner: &Owner,
        rows: &[(Numbered, i64)],
    ) -> impl Future<Output = Result<Vec<DeliveryId>, LedgerError>> + Send;

    /// Those that were moved, with their run.
    fn release(
        &mut self,
        owner: &Owner,
        rows: &[Moved<'_>],
    ) -> impl Future<Output = Result<Vec<(DeliveryId, i64)>, LedgerError>> + Send;
}

/// All changes of a group, in order; one answer for each.
pub(super) async fn write_group(
    tx: &mut impl WriteTx,
    owner: &Owner,
    group: &[Write],
) -> Result<Vec<Written>, LedgerError> {
    let mut written = Vec::with_capacity(group.len());
    let mut happened = News::default();
    let before = hold_caps(tx, group).await?;
    let mut caps = before.clone();
    let mut rest = group;
    while !rest.is_empty() {
        let (round, later) = rest.split_at(distinct(rest));
        written.extend(write_round(tx, owner, round, (&mut happened, &mut caps)).await?);
        rest = later;
    }
    let counts = caps.since(&before);
    if !counts.is_empty() {
        tx.count_caps(&counts).await?;
    }
    for (run_id, happened) in happened.0 {
        events::note(tx, run_id, happened).await?;
    }
    Ok(written)
}

/// What happened in a transaction, by run: noted at its end, and in the order of the runs, so
/// that two processes never wait for each other.
#[derive(Default)]
pub(super) struct News(BTreeMap<i64, Vec<Happened>>);

impl News {
    pub(super) fn add(&mut self, run_id: i64, one: Happened) {
        self.0.entry(run_id).or_default().push(one);
    }
}

/// The delivery that a change is about.
pub(super) fn delivery(write: &Write) -> DeliveryId {
    match write {
        Write::Begin(begin) => begin.id,
        Write::Record(record) => record.id,
        Write::Release(release) => release.id,
        Write::Settle(settle) => settle.id,
    }
}

/// How many changes from the first on are about different deliveries. Only among those does
/// the order not matter, and only then does each have an answer of its own.
fn distinct(group: &[Write]) -> usize {
    let mut seen = HashSet::with_capacity(group.len());
    group
        .iter()
        .take_while(|write| seen.insert(delivery(write)))
        .count()
}

/// Changes of different deliveries, kind by kind.
async fn write_round(
    tx: &mut impl WriteTx,
    owner: &Owner,
    group: &[Write],
    (news, caps): (&mut News, &mut Caps),
) -> Result<Vec<Written>, LedgerError> {
    let (mut begins, mut records, mut releases) = (Vec::new(), Vec::new(), Vec::new());
    let (mut gates, mut chats) = (Vec::new(), Vec::new());
    let mut done = HashSet::new();
    for one in group {
        match one {
            Write::Begin(begin) => begins.push(&**begin),
            Write::Record(record) => {
                gates.extend(record.gate.as_ref().map(|gate| (gate, record.ended_at)));
                chats.extend(&record.chat);
                records.push(&**record);
            }
            Write::Release(release) => {
                gates.extend(release.gate.as_ref().map(|gate| (gate, release.at)));
                releases.push(&**release);
            }
            Write::Settle(settle) => {
                if settle_one(tx, owner, settle, news).await? {
                    chats.extend(&settle.chat);
                    done.insert(settle.id);
                    if !settle.verdict.state().is_settled() {
                        end_in_cancelled(tx, &[settle.id]).await?;
                    }
                }
            }
        }
    }
    done.extend(record_all(tx, &records).await?);
    keep_chats(tx, &chats).await?;
    // Before any attempt begins: a wait that has just been asked for holds it too.
    gates.sort_by_key(|(gate, _)| (&gate.gateway, gate_key(gate)));
    for (gate, asked_at) in gates {
        tx.extend_gate(gate, asked_at).await?;
    }
    let left = leave_opted_out(tx, owner, &begins, news).await?;
    begins.retain(|begin| !left.contains(&begin.id));
    let mut held = hold_gated(tx, owner, &begins, news).await?;
    begins.retain(|begin| !held.contains_key(&begin.id));
    held.extend(hold_capped(tx, owner, &mut begins, (news, caps)).await?);
    done.extend(begin_all(tx, owner, &begins).await?);
    for begin in begins.iter().filter(|begin| done.contains(&begin.id)) {
        caps.take(begin);
    }
    done.extend(release_all(tx, owner, &releases, news).await?);
    Ok(group
        .iter()
        .map(delivery)
        .map(|id| match held.get(&id) {
            Some(&until) => Written::Held { until },
            None if left.contains(&id) => Written::LeftOut,
            None if done.contains(&id) => Written::Done,
            None => Written::Late,
        })
        .collect())
}

/// Attempts that must not begin, because their people have opted out since the claim. One that
/// has begun and is without an answer may be with the person already: it is settled as always.
async fn leave_opted_out(
    tx: &mut impl WriteTx,
    owner: &Owner,
    begins: &[&Begin],
    news: &mut News,
) -> Result<HashSet<DeliveryId>, LedgerError> {
    let claims: HashMap<DeliveryId, &Begin> = begins.iter().map(|one| (one.id, *one)).collect();
    if claims.is_empty() {
        return Ok(HashSet::new());
    }
    let ids: Vec<DeliveryId> = begins.iter().map(|begin| begin.id).collect();
    let (mut left, mut out) = (HashSet::new(), Vec::new());
    for row in tx.opted_out(&ids).await? {
        let Some(begin) = claims.get(&row.id) else {
            continue;
        };
        let claimed = row.lease_owner.as_ref() == Some(&owner.0)
            && row.attempt == i64::from(begin.expected_attempt);
        if !claimed || !left.insert(row.id) {
            continue;
        }
        let (reason, detail) = (SkipReason::OptedOut, Some(row.detail()?));
        let what = DeliveryEvent::Skipped {
            reason,
            detail: detail.clone(),
        };
        let event = Happened::to_delivery(row.id, begin.expected_attempt, begin.at, &what)?;
        news.add(row.run_id, event);
        out.push(Left {
            id: row.id,
            reason,
            detail,
        });
    }
    if !out.is_empty() {
        tx.skip(&out).await?;
    }
    Ok(left)
}

/// Attempts that must not begin, because a gate was closed after their claim: given back, to be
/// due when it opens.
async fn hold_gated(
    tx: &mut impl WriteTx,
    owner: &Owner,
    begins: &[&Begin],
    news: &mut News,
) -> Result<HashMap<DeliveryId, Timestamp>, LedgerError> {
    let Some(now) = begins.iter().map(|begin| begin.at).min() else {
        return Ok(HashMap::new());
    };
    if !tx.any_gate(now).await? {
        return Ok(HashMap::new());
    }
    let claims: Vec<Numbered> = begins
        .iter()
        .map(|begin| (begin.id, begin.expected_attempt.into()))
        .collect();
    let gated = tx.gated(owner, &claims, now).await?;
    let (mut gated_until, mut moved, mut doubts) = (HashMap::new(), Vec::new(), Vec::new());
    for row in gated {
        let (until, hold) = (instant(row.until_at)?, row.hold());
        gated_until.insert(row.id, until);
        let back = HeldBack {
            id: row.id,
            until: row.until_at,
            hold,
        };
        if row.is_unanswered() {
            doubts.push(back);
            continue;
        }
        moved.push(back);
        let what = DeliveryEvent::Held { until, hold };
        let event = Happened::to_delivery(row.id, number(row.attempt)?, now, &what)?;
        news.add(row.run_id, event);
    }
    if !moved.is_empty() {
        tx.hold_back(&moved).await?;
    }
    if !doubts.is_empty() {
        tx.hold_doubts(&doubts).await?;
    }
    Ok(gated_until)
}

/// Whether it was still this owner's to settle.
async fn settle_one(
    tx: &mut impl WriteTx,
    owner: &Owner,
    settle: &Settle,
    news: &mut News,
) -> Result<bool, LedgerError> {
    let Some(run_id) = tx.settle(owner, settle).await? else {
        return Ok(false);
    };
    let lost = Lost::new(settle.id, settle.attempt, settle.revision, settle.begun_at);
    tx.keep_lost(&[lost]).await?;
    let what = match &settle.verdict {
        Verdict::Found {
            message_id,
            chat_id,
        } => DeliveryEvent::Found {
            message_id: message_id.clone(),
            chat_id: chat_id.clone(),
        },
        Verdict::Uncertain { why } => DeliveryEvent::LeftUncertain { why: why.clone() },
        Verdict::GivenUp { why } => DeliveryEvent::GivenUp { why: why.clone() },
        Verdict::PutBack { why, due_at, tries } => DeliveryEvent::PutBack {
            why: why.clone(),
            due_at: *due_at,
            tries: *tries,
        },
    };
    let event = Happened::to_delivery(settle.id, settle.attempt, settle.at, &what)?;
    news.add(run_id, event);
    Ok(true)
}

async fn begin_all(
    tx: &mut impl WriteTx,
    owner: &Owner,
    begins: &[&Begin],
) -> Result<Vec<DeliveryId>, LedgerError> {
    if begins.is_empty() {
        return Ok(Vec::new());
    }
    let mut rows = Vec::with_capacity(begins.len());
    let mut lost = Vec::new();
    for begin in begins {
        rows.push(Begun::new(begin)?);
        if let Some(begun_at) = begin.unanswered {
            let (attempt, revision) = (begin.expected_attempt, begin.revision);
            lost.push(Lost::new(begin.id, attempt, revision, begun_at));
        }
    }
    if !lost.is_empty() {
        tx.keep_lost_before(owner, &lost).await?;
    }
    let begun = tx.begin(owner, &rows).await?;
    if begun.len() < begins.len() {
        tx.give_back(owner, &rows).await?;
        let done: HashSet<DeliveryId> = begun.iter().copied().collect();
        let ids = begins.iter().map(|begin| begin.id);
        let not_begun: Vec<DeliveryId> = ids.filter(|id| !done.contains(id)).collect();
        end_in_cancelled(tx, &not_begun).await?;
    }
    Ok(begun)
}

async fn record_all(
    tx: &mut impl WriteTx,
    records: &[&Record],
) -> Result<HashSet<DeliveryId>, LedgerError> {
    if records.is_empty() {
        return Ok(HashSet::new());
    }
    let mut rows: Vec<AttemptRow<'_>> = records
        .iter()
        .map(|record| AttemptRow::new(record))
        .collect();
    let kept: HashSet<DeliveryId> = tx.keep_attempts(&rows).await?.into_iter().collect();
    rows.retain(|row| kept.contains(&row.record.id));
    let recorded: HashSet<DeliveryId> = tx.record(&rows).await?.into_iter().collect();
    let open: Vec<DeliveryId> = records
        .iter()
        .filter(|record| !record.next.state().is_settled() && recorded.contains(&record.id))
        .map(|record| record.id)
        .collect();
    end_in_cancelled(tx, &open).await?;
    Ok(recorded)
}

/// Nobody takes these up again if their run was cancelled meanwhile.
async fn end_in_cancelled(tx: &mut impl WriteTx, ids: &[DeliveryId]) -> Result<(), LedgerError> {
    if ids.is_empty() {
        return Ok(());
    }
    let unanswered = tx.unanswered_among(ids).await?;
    runs::keep_lost(tx, unanswered).await?;
    tx.end_in_cancelled(ids).await
}

/// A person stays with the line that wrote first, in the chat that was named last.
async fn keep_chats(tx: &mut impl WriteTx, chats: &[&NewChat]) -> Result<(), LedgerError> {
    let mut by_person: BTreeMap<(&str, &str), NewChat> = BTreeMap::new();
    for chat in chats {
        by_person
            .entry((&chat.gateway, chat.phone.expose()))
            .and_modify(|kept| kept.chat_id.clone_from(&chat.chat_id))
            .or_insert_with(|| (*chat).clone());
    }
    if by_person.is_empty() {
        return Ok(());
    }
    let chats: Vec<NewChat> = by_person.into_values().collect();
    tx.keep_chats(&chats).await
}

async fn release_all(
    tx: &mut impl WriteTx,
    owner: &Owner,
    releases: &[&Release],
    news: &mut News,
) -> Result<Vec<DeliveryId>, LedgerError> {
    let (mut unchanged, mut doubts, mut changed) = (Vec::new(), Vec::new(), Vec::new());
    for &release in releases {
        let claim = (release.id, i64::from(release.attempt));
        match &release.next {
            None => unchanged.push(claim),
            Some(Next::Unanswered { again_at, .. }) => {
                doubts.push((claim, again_at.as_millisecond()));
            }
            Some(next) => changed.push(Moved::new(release, next)),
        }
    }
    let mut given_back = Vec::with_capacity(releases.len());
    if !unchanged.is_empty() {
        given_back.extend(tx.release_as_it_was(owner, &unchanged).await?);
    }
    if !doubts.is_empty() {
        given_back.extend(tx.release_doubts(owner, &doubts).await?);
    }
    end_in_cancelled(tx, &given_back).await?;
    if !changed.is_empty() {
        given_back.extend(put_back(tx, owner, &changed, news).await?);
    }
    Ok(given_back)
}

/// Claims given back to another place than they came from, without an attempt.
async fn put_back(
    tx: &mut impl WriteTx,
    owner: &Owner,
    changed: &[Moved<'_>],
    news: &mut News,
) -> Result<Vec<DeliveryId>, LedgerError> {
    let moved: HashMap<DeliveryId, i64> = tx.release(owner, changed).await?.into_iter().collect();
    for one in changed {
        let release = one.release;
        if let Some(&run_id) = moved.get(&release.id) {
            let (attempt, what) = (release.attempt, unprepared(one));
            let event = Happened::to_delivery(release.id, attempt, release.at, &what)?;
            news.add(run_id, event);
        }
    }
    Ok(moved.into_keys().collect())
}

fn unprepared(moved: &Moved<'_>) -> DeliveryEvent {
    let (failure, wait) = (&moved.release.failure, &moved.wait);
    if let (None, Some(until), Some(hold), false) = (failure, wait.due_at, wait.hold, wait.anew) {
        return DeliveryEvent::Held { until, hold };
    }
    DeliveryEvent::Unprepared {
        state: moved.next.state(),
        due_at: wait.due_at,
        hold: wait.hold,
        tries: wait.tries,
        anew: wait.anew,
        failure: failure.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(id: DeliveryId) -> Write {
        Write::Settle(Box::new(Settle {
            id,
            attempt: 1,
            revision: 0,
            begun_at: Timestamp::UNIX_EPOCH,
            at: Timestamp::UNIX_EPOCH,
            verdict: Verdict::Uncertain { why: String::new() },
            chat: None,
        }))
    }

    #[test]
    fn a_round_ends_before_a_delivery_comes_again() {
        let group = [1, 2, 3, 2, 4].map(begin);
        assert_eq!(distinct(&group), 3);
        assert_eq!(distinct(&group[3..]), 2);
    }
}
