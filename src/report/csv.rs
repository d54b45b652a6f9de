//! Every delivery of a run as a line of CSV, for spreadsheets and scripts. Reads page by page,
//! so that memory stays flat whatever the list; a run that goes on meanwhile is reported row by
//! row as it is when its page is read.

use std::io::{self, Write};

use ::csv::{ErrorKind, Writer};
use async_trait::async_trait;
use jiff::Timestamp;

use super::json::instant;
use super::layout::clean;
use super::{Format, ReportError, Subject};
use crate::domain::address::Address;
use crate::domain::delivery::{DeliveryState, Hold, SkipReason};
use crate::domain::key::IdempotencyKey;
use crate::domain::run::RunId;
use crate::ledger::{DeliveryRecord, Ledger};

/// The columns, in order. New ones are only ever added at the end.
pub const HEADER: [&str; 16] = [
    "row",
    "recipient",
    "phone",
    "line",
    "state",
    "reason",
    "code",
    "attempts",
    "idempotency_key",
    "message_id",
    "chat_id",
    "sent_at",
    "delivered_at",
    "read_at",
    "detail",
    "due_at",
];

/// Deliveries in memory at a time.
const PAGE: u32 = 2_000;

/// `report RUN --format csv`
#[derive(Debug, Clone, Copy)]
pub struct Csv;

#[async_trait]
impl Format for Csv {
    async fn write(
        &self,
        subject: Subject<'_>,
        out: &mut (dyn Write + Send),
    ) -> Result<(), ReportError> {
        csv(subject.ledger, &subject.run.run, out).await
    }
}

/// Writes the header and one line for each row of the list, in the list's order, and flushes.
pub async fn csv(
    ledger: &dyn Ledger,
    run: &RunId,
    out: impl Write + Send,
) -> Result<(), ReportError> {
    let mut lines = Writer::from_writer(out);
    lines.write_record(HEADER).map_err(output)?;
    let mut after = None;
    loop {
        let page = ledger.deliveries(run, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        for delivery in &page {
            lines.write_record(cells(run, delivery)).map_err(output)?;
        }
    }
    Ok(lines.flush()?)
}

/// Keeps the kind of an I/O error, so that a broken pipe is still known as one. No other error
/// can come: every line has as many cells as the header.
fn output(error: ::csv::Error) -> ReportError {
    let text = error.to_string();
    ReportError::Output(if let ErrorKind::Io(error) = error.into_kind() {
        error
    } else {
        io::Error::other(text)
    })
}

fn cells(run: &RunId, delivery: &DeliveryRecord) -> [String; HEADER.len()] {
    let or_empty = |at: Option<Timestamp>| at.map(instant).unwrap_or_default();
    let detail = clean(delivery.detail.as_deref().unwrap_or_default());
    [
        delivery.row.to_string(),
        guarded(delivery.recipient_key.as_deref().unwrap_or_default()),
        delivery
            .phone
            .as_ref()
            .map(|phone| phone.expose().to_owned())
            .unwrap_or_default(),
        guarded(&delivery.line),
        delivery.state.as_str().to_owned(),
        guarded(&reason(delivery, &detail)),
        delivery
            .code
            .map(|code| code.to_string())
            .unwrap_or_default(),
        delivery.attempts.to_string(),
        key(run, delivery).map_or_else(String::new, |key| key.to_string()),
        guarded(delivery.message_id.as_deref().unwrap_or_default()),
        guarded(delivery.chat_id.as_deref().unwrap_or_default()),
        or_empty(delivery.sent_at),
        or_empty(delivery.delivered_at),
        or_empty(delivery.read_at),
        guarded(&detail),
        or_empty(Some(delivery.due_at).filter(|_| delivery.state == DeliveryState::Pending)),
    ]
}

/// Why the delivery stands where it stands: the skip reason or the hold by its name, a failure
/// in its words, and of one that was sent, that nobody will ask any more whether it arrived.
fn reason(delivery: &DeliveryRecord, detail: &str) -> String {
    match delivery.state {
        DeliveryState::Skipped => delivery.reason.map_or("", SkipReason::as_str).to_owned(),
        DeliveryState::Pending => delivery.hold.map_or("", Hold::as_str).to_owned(),
        DeliveryState::Failed | DeliveryState::Uncertain => detail.to_owned(),
        DeliveryState::Sent if delivery.no_confirmation => "no_confirmation".to_owned(),
        DeliveryState::Sending
        | DeliveryState::Sent
        | DeliveryState::Delivered
        | DeliveryState::Read
        | DeliveryState::Cancelled => String::new(),
    }
}

/// The key that the message goes out under; `None` for a row that was left out when the run was
/// frozen, so that the row it doubles is the only one with that key.
fn key(run: &RunId, delivery: &DeliveryRecord) -> Option<IdempotencyKey> {
    let frozen_out = delivery.attempts == 0
        && match delivery.reason {
            None | Some(SkipReason::Expired | SkipReason::WindowClosed) => false,
            // Left out later, it keeps its line.
            Some(SkipReason::OptedOut) => delivery.line.is_empty(),
            Some(
                SkipReason::Suppressed
                | SkipReason::Duplicate
                | SkipReason::InvalidPhone
                | SkipReason::InvalidEmail
                | SkipReason::MissingValue
                | SkipReason::RenderError
                | SkipReason::Filtered
                | SkipReason::NoWindow,
            ) => true,
        };
    let recipient = delivery.recipient_key.as_deref().filter(|_| !frozen_out)?;
    Some(IdempotencyKey::derive(
        run,
        recipient,
        delivery.step,
        delivery.revision,
    ))
}

/// Foreign text that a spreadsheet would run as a formula gets an apostrophe in front, and so
/// does text that begins with one: taking one apostrophe away always gives the text back.
/// A phone in E.164 stays as it is; it can only ever be read as a number.
pub(super) fn guarded(text: &str) -> String {
    let risky = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\'']);
    if risky && Address::stored(text).is_err() {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_formula_is_disarmed_and_a_phone_is_not() {
        assert_eq!(guarded("=HYPERLINK(\"x\")"), "'=HYPERLINK(\"x\")");
        assert_eq!(guarded("+1+cmd|' /C calc'!A0"), "'+1+cmd|' /C calc'!A0");
        assert_eq!(guarded("-7"), "'-7");
        assert_eq!(guarded("@SUM(A1)"), "'@SUM(A1)");
        assert_eq!(guarded("+12025550143"), "+12025550143");
        assert_eq!(guarded("C-1007"), "C-1007");
    }

    proptest! {
        #[test]
        fn a_guarded_cell_is_no_formula_and_gives_its_text_back(text in "[-=+@'\t\r\na0-9]{0,6}") {
            let cell = guarded(&text);
            prop_assert_eq!(cell.strip_prefix('\'').unwrap_or(&cell), &text);
            prop_assert!(!cell.starts_with(['=', '-', '@', '\t', '\r', '\n']));
            prop_assert!(!cell.starts_with('+') || Address::stored(&cell).is_ok());
        }
    }
}
