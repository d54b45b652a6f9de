//! Claiming: due deliveries are leased and their slots reserved in one transaction, so that
//! any number of processes keep one rate and none takes what another holds.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use sqlx::{FromRow, Sqlite, Transaction};

use super::super::{
    Admission, Admit, Candidate, Claim, ClaimRequest, Claimed, DeliveryId, KnownChat, LedgerError,
};
use super::arrivals::Arrivals;
use super::events::{self, Happened};
use super::rows::{instant, instants, named, number, stored};
use super::{SqliteLedger, statements as sql};
use crate::domain::delivery::{DeliveryState, Hold};
use crate::domain::history::DeliveryEvent;
use crate::domain::phone::Phone;
use crate::domain::run::RunState;

pub(super) type Tx = Transaction<'static, Sqlite>;

pub(super) async fn claim(
    ledger: &SqliteLedger,
    request: &ClaimRequest<'_>,
    admit: Admit<'_>,
) -> Result<Claimed, LedgerError> {
    let mut tx = ledger.begin().await?;
    let state: String = sqlx::query_scalar(sql::RUN_STATE)
        .bind(request.run.id)
        .fetch_one(&mut *tx)
        .await?;
    let state = named(RunState::parse(&state), &state)?;
    let mut claimed = Claimed {
        claims: Vec::new(),
        state,
        next_at: None,
        moved: 0,
    };
    if state != RunState::Running {
        return Ok(claimed);
    }
    let gates = Gates::load(&mut tx, request).await?;
    let lines: Vec<String> = sqlx::query_scalar(sql::RUN_LINES)
        .bind(request.run.id)
        .fetch_all(&mut *tx)
        .await?;
    let mut pace = Arrivals::load(&mut tx, request, &lines).await?;
    let open: Vec<String> = lines
        .iter()
        .filter(|line| gates.until(line).is_none())
        .cloned()
        .collect();
    let only = match request.only {
        Some(phone) => Some(only(&mut tx, request, phone, &gates).await?),
        None => None,
    };
    if pace.room(request, &open) > 0 {
        let ids = match &only {
            Some(one) => one
                .iter()
                .filter(|one| one.free_at <= request.now)
                .map(|one| one.id)
                .collect(),
            None => due(&mut tx, request, &open, &pace).await?,
        };
        let candidates = details(&mut tx, request, &ids).await?;
        let mut sorted = Sorted::default();
        for candidate in candidates {
            sorted.place(candidate, request, admit, &mut pace)?;
        }
        claimed.moved = number(stored(i64::try_from(sorted.moved.len()))?)?;
        sorted.settle(&mut tx, request, &mut claimed).await?;
        pace.store(&mut tx, request).await?;
    }
    claimed.next_at = match only {
        Some(one) => one.map(|one| one.free_at),
        None => next_at(&mut tx, request, &pace, &lines, &gates).await?,
    };
    tx.commit().await?;
    Ok(claimed)
}

/// Open waits that the provider asked for.
struct Gates {
    account: Option<Timestamp>,
    lines: HashMap<String, Timestamp>,
}

impl Gates {
    async fn load(tx: &mut Tx, request: &ClaimRequest<'_>) -> Result<Self, LedgerError> {
        let rows: Vec<(String, i64, String)> = sqlx::query_as(sql::OPEN_GATES)
            .bind(&request.run.gateway)
            .bind(request.now.as_millisecond())
            .fetch_all(&mut **tx)
            .await?;
        let mut lines = HashMap::new();
        for (line, until, _) in rows {
            lines.insert(line, instant(until)?);
        }
        Ok(Self {
            account: lines.remove(""),
            lines,
        })
    }

    /// Until when nothing may leave from `line`.
    fn until(&self, line: &str) -> Option<Timestamp> {
        self.account.max(self.lines.get(line).copied())
    }
}

/// When those are due that stand as they were frozen; `now`, unless that is before the run was
/// made. Then the clock has been set back since: what was to go at once still is.
fn due_by(request: &ClaimRequest<'_>) -> i64 {
    let run = request.run;
    let due = if run.created_at > request.now && run.starts_at <= run.created_at {
        request.now.max(run.starts_at)
    } else {
        request.now
    };
    due.as_millisecond()
}

/// The one delivery that a claim is limited to, while it is open.
struct Only {
    id: DeliveryId,
    /// When it may be claimed.
    free_at: Timestamp,
}

async fn only(
    tx: &mut Tx,
    request: &ClaimRequest<'_>,
    phone: &Phone,
    gates: &Gates,
) -> Result<Option<Only>, LedgerError> {
    type OnlyRow = (DeliveryId, String, String, i64, Option<i64>, Option<bool>);
    let row: Option<OnlyRow> = sqlx::query_as(sql::ONLY)
        .bind(request.run.id)
        .bind(phone.expose())
        .fetch_optional(&mut **tx)
        .await?;
    let Some((id, line, state, due_at, lease_until, orphaned)) = row else {
        return Ok(None);
    };
    let lease_end = lease_until.filter(|_| orphaned != Some(true));
    let due_at = if state == DeliveryState::Pending.as_str() && due_at != due_by(request) {
        due_at
    } else {
        i64::MIN
    };
    let free_at = due_at
        .max(lease_end.unwrap_or(i64::MIN))
        .max(request.now.as_millisecond());
    let gate = gates.until(&line).unwrap_or(Timestamp::MIN);
    Ok(Some(Only {
        id,
        free_at: instant(free_at)?.max(gate),
    }))
}

/// Ids worth a closer look, attempts without an outcome first, then the longest due.
async fn due(
    tx: &mut Tx,
    request: &ClaimRequest<'_>,
    open: &[String],
    pace: &Arrivals,
) -> Result<Vec<DeliveryId>, LedgerError> {
    let room = pace.room(request, open);
    let now = request.now.as_millisecond();
    let mut ids: Vec<DeliveryId> = Vec::new();
    let mut found: Vec<(i64, DeliveryId)> = Vec::new();
    for line in open {
        // A line is asked for what it may send itself, so that a long queue on one line never
        // hides the others.
        let most = pace.room(request, std::slice::from_ref(line));
        let unanswered: Vec<DeliveryId> = sqlx::query_scalar(sql::UNANSWERED)
            .bind(request.run.id)
            .bind(line)
            .bind(now)
            .bind(most)
            .fetch_all(&mut **tx)
            .await?;
        ids.extend(unanswered);
        let rows: Vec<(DeliveryId, i64)> = sqlx::query_as(sql::DUE)
            .bind(request.run.id)
            .bind(line)
            .bind(now)
            .bind(most)
            .bind(due_by(request))
            .fetch_all(&mut **tx)
            .await?;
        found.extend(rows.into_iter().map(|(id, due_at)| (due_at, id)));
    }
    ids.sort_unstable();
    found.sort_unstable();
    ids.extend(found.into_iter().map(|(_, id)| id));
    if request.limits.line.is_none() {
        ids.truncate(usize::try_from(room).unwrap_or(usize::MAX));
    }
    Ok(ids)
}

#[derive(FromRow)]
struct CandidateRow {
    id: i64,
    line: String,
    state: String,
    attempt: i64,
    tries: i64,
    revision: i64,
    first_attempt_at: Option<i64>,
    fixed: Option<String>,
    begun_at: Option<i64>,
    unanswered_at: Option<i64>,
    aged_ms: i64,
    row: i64,
    recipient_key: Option<String>,
    phone: String,
    timezone: Option<String>,
    content: String,
    chat_id: Option<String>,
    chat_line: Option<String>,
    gate_until: Option<i64>,
}

async fn details(
    tx: &mut Tx,
    request: &ClaimRequest<'_>,
    ids: &[DeliveryId],
) -> Result<Vec<CandidateRow>, LedgerError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    Ok(sqlx::query_as(sql::CANDIDATES)
        .bind(stored(serde_json::to_string(ids))?)
        .bind(&request.run.gateway)
        .fetch_all(&mut **tx)
        .await?)
}

impl CandidateRow {
    fn is_unanswered(&self) -> bool {
        self.state == DeliveryState::Sending.as_str()
    }

    fn into_claim(self, phone: Phone, slot_us: i64) -> Result<Claim, LedgerError> {
        let unanswered = self.is_unanswered();
        let chat = match (self.chat_id, self.chat_line) {
            (Some(chat_id), Some(line)) => Some(KnownChat { chat_id, line }),
            _ => None,
        };
        Ok(Claim {
            id: self.id,
            row: number(self.row)?,
            recipient_key: self.recipient_key.unwrap_or(self.phone),
            phone,
            line: self.line,
            message: stored(serde_json::from_str(&self.content))?,
            attempt: number(self.attempt)?,
            tries: number(self.tries)?,
            revision: number(self.revision)?,
            first_attempt_at: instants(self.first_attempt_at)?,
            fixed: self
                .fixed
                .map(|text| stored(serde_json::from_str(&text)))
                .transpose()?,
            chat,
            begun_at: instants(self.begun_at)?,
            unanswered_since: if unanswered {
                let since = self.unanswered_at.or(self.begun_at);
                instants(since.map(|since| since - self.aged_ms))?
            } else {
                None
            },
            slot_us,
        })
    }
}

/// Candidates by what is to happen with them.
#[derive(Default)]
struct Sorted {
    claims: Vec<Claim>,
    moved: Vec<serde_json::Value>,
    skipped: Vec<serde_json::Value>,
    /// Attempts without an answer that have to wait for their recipient's gate.
    doubts: Vec<serde_json::Value>,
    happened: Vec<Happened>,
}

impl Sorted {
    fn place(
        &mut self,
        row: CandidateRow,
        request: &ClaimRequest<'_>,
        admit: Admit<'_>,
        pace: &mut Arrivals,
    ) -> Result<(), LedgerError> {
        // With limits of their own, the lines together offer more than was asked for.
        if self.claims.len() >= usize::try_from(request.most).unwrap_or(usize::MAX) {
            return Ok(());
        }
        let phone = stored(Phone::from_e164(&row.phone))?;
        let candidate = Candidate {
            phone: &phone,
            timezone: row.timezone.as_deref(),
            begun: row.is_unanswered(),
        };
        if let Some(until) = instants(row.gate_until)?.filter(|until| *until > request.now) {
            // The provider's word about this person, whatever the campaign says.
            if row.is_unanswered() {
                self.doubts
                    .push(serde_json::json!([row.id, until.as_millisecond()]));
                return Ok(());
            }
            return self.hold(&row, request, until, Hold::Retry);
        }
        match admit(candidate) {
            Admission::Now => {
                if let Some(slot_us) = pace.take(&row.line, request) {
                    self.claims.push(row.into_claim(phone, slot_us)?);
                }
            }
            Admission::Hold { until, hold } => self.hold(&row, request, until, hold)?,
            Admission::Skip(reason) => {
                self.skipped
                    .push(serde_json::json!([row.id, reason.as_str()]));
                self.happened(&row, request, &DeliveryEvent::Skipped { reason })?;
            }
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
        self.moved.push(hold_row(row.id, until, hold));
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
        tx: &mut Tx,
        request: &ClaimRequest<'_>,
        claimed: &mut Claimed,
    ) -> Result<(), LedgerError> {
        claimed.moved += u64::try_from(self.skipped.len()).unwrap_or(0);
        claimed.moved += u64::try_from(self.doubts.len()).unwrap_or(0);
        events::note(tx, request.run.id, &self.happened).await?;
        for (statement, rows) in [
            (sql::HOLD_BACK, self.moved),
            (sql::SKIP, self.skipped),
            (sql::HOLD_DOUBT, self.doubts),
        ] {
            if !rows.is_empty() {
                let rows = serde_json::Value::Array(rows).to_string();
                sqlx::query(statement).bind(rows).execute(&mut **tx).await?;
            }
        }
        if !self.claims.is_empty() {
            let ids: Vec<DeliveryId> = self.claims.iter().map(|claim| claim.id).collect();
            sqlx::query(sql::LEASE)
                .bind(&request.owner.0)
                .bind(request.lease_until.as_millisecond())
                .bind(stored(serde_json::to_string(&ids))?)
                .execute(&mut **tx)
                .await?;
        }
        claimed.claims = self.claims;
        Ok(())
    }
}

fn hold_row(id: DeliveryId, until: Timestamp, hold: Hold) -> serde_json::Value {
    serde_json::json!([id, until.as_millisecond(), hold.as_str()])
}

/// When it is worth asking again; nothing where nothing is open.
async fn next_at(
    tx: &mut Tx,
    request: &ClaimRequest<'_>,
    pace: &Arrivals,
    lines: &[String],
    gates: &Gates,
) -> Result<Option<Timestamp>, LedgerError> {
    let unanswered: Vec<(String, i64)> = sqlx::query_as(sql::NEXT_UNANSWERED)
        .bind(request.run.id)
        .fetch_all(&mut **tx)
        .await?;
    let mut due: BTreeMap<String, i64> = unanswered.into_iter().collect();
    for line in lines {
        if let Some(at) = next_pending(tx, request, line).await? {
            due.entry(line.clone())
                .and_modify(|earliest| *earliest = at.min(*earliest))
                .or_insert(at);
        }
    }
    let mut earliest: Option<Timestamp> = None;
    for (line, at) in due {
        let slot = stored(Timestamp::from_microsecond(pace.slot(&line, request)))?;
        let gate = gates.until(&line).unwrap_or(Timestamp::MIN);
        let at = instant(at)?.max(slot).max(gate);
        earliest = Some(earliest.map_or(at, |earliest| earliest.min(at)));
    }
    Ok(earliest)
}

/// When a pending delivery of a line is due, or free again.
async fn next_pending(
    tx: &mut Tx,
    request: &ClaimRequest<'_>,
    line: &str,
) -> Result<Option<i64>, LedgerError> {
    let now = request.now.as_millisecond();
    let free: Option<i64> = sqlx::query_scalar(sql::NEXT_FREE)
        .bind(request.run.id)
        .bind(line)
        .bind(now)
        .fetch_optional(&mut **tx)
        .await?;
    if free.is_some_and(|due_at| due_at <= now || due_at == due_by(request)) {
        return Ok(free.map(|due_at| due_at.min(now)));
    }
    let given_back: Option<i64> = sqlx::query_scalar(sql::NEXT_GIVEN_BACK)
        .bind(request.run.id)
        .bind(line)
        .bind(now)
        .fetch_one(&mut **tx)
        .await?;
    Ok(free.into_iter().chain(given_back).min())
}
