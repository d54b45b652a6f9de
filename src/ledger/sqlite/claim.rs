//! Claiming: due deliveries are leased and their slots reserved in one transaction, so that
//! any number of processes keep one rate and none takes what another holds.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use sqlx::{FromRow, Sqlite, Transaction};

use super::super::{
    Admission, Admit, Candidate, Claim, ClaimRequest, Claimed, DeliveryId, KnownChat, LedgerError,
};
use super::rows::{instant, instants, named, number, stored};
use super::{SqliteLedger, statements as sql};
use crate::domain::delivery::{DeliveryState, Hold};
use crate::domain::pace::{Limit, micros};
use crate::domain::phone::Phone;
use crate::domain::run::RunState;

type Tx = Transaction<'static, Sqlite>;

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
    let gates = open_gates(&mut tx, request).await?;
    if let Some(until) = gates.get("") {
        claimed.next_at = Some(*until);
        return Ok(claimed);
    }
    let lines: Vec<String> = sqlx::query_scalar(sql::RUN_LINES)
        .bind(request.run.id)
        .fetch_all(&mut *tx)
        .await?;
    let mut pace = Arrivals::load(&mut tx, request).await?;
    let (open, held): (Vec<String>, Vec<String>) = lines
        .into_iter()
        .partition(|line| !gates.contains_key(line));
    let only = match request.only {
        Some(phone) => Some(only(&mut tx, request, phone).await?),
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
        None => next_at(&mut tx, request, &pace, (&open, &held), &gates).await?,
    };
    tx.commit().await?;
    Ok(claimed)
}

/// Open waits that the provider asked for, by line; `""` is the account.
async fn open_gates(
    tx: &mut Tx,
    request: &ClaimRequest<'_>,
) -> Result<HashMap<String, Timestamp>, LedgerError> {
    let rows: Vec<(String, i64, String)> = sqlx::query_as(sql::OPEN_GATES)
        .bind(&request.run.gateway)
        .bind(request.now.as_millisecond())
        .fetch_all(&mut **tx)
        .await?;
    rows.into_iter()
        .map(|(line, until, _)| Ok((line, instant(until)?)))
        .collect()
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
) -> Result<Option<Only>, LedgerError> {
    type OnlyRow = (DeliveryId, String, i64, Option<i64>, Option<bool>);
    let row: Option<OnlyRow> = sqlx::query_as(sql::ONLY)
        .bind(request.run.id)
        .bind(phone.expose())
        .fetch_optional(&mut **tx)
        .await?;
    let Some((id, state, due_at, lease_until, orphaned)) = row else {
        return Ok(None);
    };
    let lease_end = lease_until.filter(|_| orphaned != Some(true));
    let due_at = if state == DeliveryState::Pending.as_str() {
        due_at
    } else {
        i64::MIN
    };
    let free_at = due_at
        .max(lease_end.unwrap_or(i64::MIN))
        .max(request.now.as_millisecond());
    Ok(Some(Only {
        id,
        free_at: instant(free_at)?,
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
    let unanswered: Vec<(DeliveryId, String)> = sqlx::query_as(sql::UNANSWERED)
        .bind(request.run.id)
        .bind(now)
        .bind(room)
        .fetch_all(&mut **tx)
        .await?;
    let mut ids: Vec<DeliveryId> = unanswered
        .into_iter()
        .filter(|(_, line)| open.contains(line))
        .map(|(id, _)| id)
        .collect();
    let mut found: Vec<(i64, DeliveryId)> = Vec::new();
    for line in open {
        // A line is asked for what it may send itself, so that a long queue on one line never
        // hides the others.
        let rows: Vec<(DeliveryId, i64)> = sqlx::query_as(sql::DUE)
            .bind(request.run.id)
            .bind(line)
            .bind(now)
            .bind(pace.room(request, std::slice::from_ref(line)))
            .fetch_all(&mut **tx)
            .await?;
        found.extend(rows.into_iter().map(|(id, due_at)| (due_at, id)));
    }
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
    row: i64,
    recipient_key: Option<String>,
    phone: String,
    timezone: Option<String>,
    content: String,
    chat_id: Option<String>,
    chat_line: Option<String>,
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
            unanswered_since: if unanswered {
                instants(self.begun_at)?
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
}

impl Sorted {
    fn place(
        &mut self,
        row: CandidateRow,
        request: &ClaimRequest<'_>,
        admit: Admit<'_>,
        pace: &mut Arrivals,
    ) -> Result<(), LedgerError> {
        let phone = stored(Phone::from_e164(&row.phone))?;
        let candidate = Candidate {
            phone: &phone,
            timezone: row.timezone.as_deref(),
            begun: row.is_unanswered(),
        };
        match admit(candidate) {
            Admission::Now => {
                if let Some(slot_us) = pace.take(&row.line, request) {
                    self.claims.push(row.into_claim(phone, slot_us)?);
                }
            }
            Admission::Hold { until, hold } => self.moved.push(hold_row(row.id, until, hold)),
            Admission::Skip(reason) => {
                self.skipped
                    .push(serde_json::json!([row.id, reason.as_str()]));
            }
        }
        Ok(())
    }

    async fn settle(
        self,
        tx: &mut Tx,
        request: &ClaimRequest<'_>,
        claimed: &mut Claimed,
    ) -> Result<(), LedgerError> {
        claimed.moved += u64::try_from(self.skipped.len()).unwrap_or(0);
        for (statement, rows) in [(sql::HOLD_BACK, self.moved), (sql::SKIP, self.skipped)] {
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

/// The stored arrival times of the limits that hold for a run.
struct Arrivals {
    stored: HashMap<String, i64>,
    changed: BTreeMap<String, i64>,
}

const ACCOUNT: &str = "account";

fn line_subject(line: &str) -> String {
    format!("line {line}")
}

fn run_subject(request: &ClaimRequest<'_>) -> String {
    format!("run {}", request.run.run)
}

impl Arrivals {
    async fn load(tx: &mut Tx, request: &ClaimRequest<'_>) -> Result<Self, LedgerError> {
        let rows: Vec<(String, i64)> = sqlx::query_as(sql::ARRIVALS)
            .bind(&request.run.gateway)
            .fetch_all(&mut **tx)
            .await?;
        Ok(Self {
            stored: rows.into_iter().collect(),
            changed: BTreeMap::new(),
        })
    }

    fn tat(&self, subject: &str) -> Option<i64> {
        self.changed
            .get(subject)
            .or_else(|| self.stored.get(subject))
            .copied()
    }

    /// The limits that a message from `line` is under.
    fn subjects(line: &str, request: &ClaimRequest<'_>) -> Vec<(String, Limit)> {
        let limits = request.limits;
        let line = limits.line.map(|limit| (line_subject(line), limit));
        let run = limits.run.map(|limit| (run_subject(request), limit));
        let account = limits.account.map(|limit| (ACCOUNT.to_owned(), limit));
        [account, run, line].into_iter().flatten().collect()
    }

    /// The earliest moment at which every limit lets a message from `line` go.
    fn slot(&self, line: &str, request: &ClaimRequest<'_>) -> i64 {
        let now = micros(request.now);
        Self::subjects(line, request)
            .iter()
            .map(|(subject, limit)| limit.slot_us(self.tat(subject), now))
            .fold(now, i64::max)
    }

    /// Reserves the next slot, unless it lies past the horizon.
    fn take(&mut self, line: &str, request: &ClaimRequest<'_>) -> Option<i64> {
        let slot = self.slot(line, request);
        if slot > micros(request.horizon) {
            return None;
        }
        for (subject, limit) in Self::subjects(line, request) {
            let after = limit.after_us(self.tat(&subject), slot);
            self.changed.insert(subject, after);
        }
        Some(slot)
    }

    /// How many messages the limits have room for up to the horizon, at the most.
    fn room(&self, request: &ClaimRequest<'_>, open: &[String]) -> u32 {
        let mut trial = Self {
            stored: self.stored.clone(),
            changed: self.changed.clone(),
        };
        let mut room = 0;
        for line in open {
            while room < request.most && trial.take(line, request).is_some() {
                room += 1;
            }
        }
        room
    }

    async fn store(&self, tx: &mut Tx, request: &ClaimRequest<'_>) -> Result<(), LedgerError> {
        for (subject, tat) in &self.changed {
            sqlx::query(sql::SET_ARRIVAL)
                .bind(&request.run.gateway)
                .bind(subject)
                .bind(tat)
                .execute(&mut **tx)
                .await?;
        }
        Ok(())
    }
}

/// When it is worth asking again.
async fn next_at(
    tx: &mut Tx,
    request: &ClaimRequest<'_>,
    pace: &Arrivals,
    (open, held): (&[String], &[String]),
    gates: &HashMap<String, Timestamp>,
) -> Result<Option<Timestamp>, LedgerError> {
    let mut earliest: Option<Timestamp> = None;
    let mut consider = |at: Timestamp| earliest = Some(earliest.map_or(at, |e| e.min(at)));
    for line in open.iter().chain(held) {
        let due: Option<i64> = sqlx::query_scalar(sql::NEXT_DUE)
            .bind(request.run.id)
            .bind(line)
            .fetch_one(&mut **tx)
            .await?;
        let Some(due) = due else { continue };
        let slot = stored(Timestamp::from_microsecond(pace.slot(line, request)))?;
        let gate = gates.get(line).copied().unwrap_or(Timestamp::MIN);
        consider(instant(due)?.max(slot).max(gate));
    }
    let lease_end: Option<i64> = sqlx::query_scalar(sql::NEXT_LEASE_END)
        .bind(request.run.id)
        .fetch_one(&mut **tx)
        .await?;
    if let Some(end) = lease_end {
        consider(instant(end)?);
    }
    Ok(earliest)
}
