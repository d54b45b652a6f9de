//! The reports over a real ledger: a list is frozen, some of it sent, and the files are read
//! back the way a script would.

use std::collections::BTreeMap;
use std::io;

use jiff::{SignedDuration, Timestamp};

use super::super::*;
use crate::domain::address::Address;
use crate::domain::campaign::Terms;
use crate::domain::delivery::SkipReason;
use crate::domain::digest::Digest;
use crate::domain::key::IdempotencyKey;
use crate::domain::message::{Message, Part};
use crate::domain::outcome::{Class, Failure};
use crate::domain::run::RunId;
use crate::ledger::sqlite::{Durability, SqliteLedger};
use crate::ledger::{
    Admission, Begin, Claim, ClaimRequest, Fixed, Limits, NewDelivery, NewRun, Next, Outlook,
    Owner, Planned, Record, Write as Change,
};

const LINE: &str = "+15555550100";

fn now() -> Timestamp {
    "2026-11-20T16:00:00Z".parse().unwrap()
}

fn after(ms: i64) -> Timestamp {
    now() + SignedDuration::from_millis(ms)
}

fn row(number: u64, key: Option<&str>, phone: Option<&str>, plan: Planned) -> NewDelivery {
    NewDelivery {
        row: number,
        recipient_key: key.map(str::to_owned),
        phone: phone.map(|phone| Address::stored(phone).unwrap()),
        timezone: None,
        plan,
    }
}

fn send() -> Planned {
    Planned::Send {
        message: Message::of(vec![Part::Text {
            value: "Hi".into(),
            subject: None,
        }]),
        line: LINE.into(),
        touch: crate::domain::cap::Touch::First,
    }
}

fn invalid() -> Planned {
    Planned::Skip {
        reason: SkipReason::InvalidPhone,
        detail: "=the cell\n'Mobile' is empty".into(),
    }
}

async fn frozen(ledger: &SqliteLedger, rows: Vec<NewDelivery>) -> RunRecord {
    let run = NewRun {
        run: RunId::parse("review-request@once").unwrap(),
        gateway: "chert".into(),
        account: None,
        terms: Terms::default(),
        now: now(),
        starts_at: now(),
    };
    let mut freeze = ledger.freeze(&run).await.unwrap();
    freeze.add(rows).await.unwrap();
    freeze.seal(vec![]).await.unwrap()
}

async fn claimed(ledger: &SqliteLedger, run: &RunRecord, owner: &Owner, most: u32) -> Vec<Claim> {
    let request = ClaimRequest {
        run,
        owner,
        only: None,
        now: now(),
        lease_until: after(60_000),
        most,
        horizon: after(60_000),
        limits: Limits::default(),
        in_hand: BTreeMap::new(),
        sated: false,
    };
    let claimed = ledger.claim(&request, &|_| Admission::Now).await.unwrap();
    claimed.claims
}

fn begin(claim: &Claim) -> Change {
    Change::Begin(Box::new(Begin {
        id: claim.id,
        expected_attempt: claim.attempt,
        revision: claim.revision,
        fixed: Fixed {
            contact_id: None,
            chat_id: None,
            attachments: BTreeMap::new(),
            body_sha256: Digest::of(b"body"),
        },
        at: now(),
        lease_until: after(60_000),
        unanswered: None,
        under: Vec::new(),
    }))
}

fn record(claim: &Claim, next: Next, failure: Option<Failure>) -> Change {
    Change::Record(Box::new(Record {
        id: claim.id,
        attempt: claim.attempt + 1,
        begun_at: now(),
        ended_at: after(250),
        revision: claim.revision,
        class: Class::Retry,
        failure,
        next,
        chat: None,
        gate: None,
    }))
}

/// A ledger in which of seven rows one is sent, one failed, one uncertain, one waits, one is the
/// same person again, one has no phone and one is on the wire.
async fn sent_in_part(ledger: &SqliteLedger) -> RunRecord {
    let rows = vec![
        row(1, Some("C-1"), Some("+12025550101"), send()),
        row(2, Some("+12025550102"), Some("+12025550102"), send()),
        row(3, Some("=C3"), Some("+12025550103"), send()),
        row(4, Some("C-1"), Some("+12025550101"), send()),
        row(5, Some("C-5"), None, invalid()),
        row(6, Some("C-6"), Some("+12025550106"), send()),
        row(7, Some("C-7"), Some("+12025550107"), send()),
    ];
    let run = frozen(ledger, rows).await;
    let owner = Owner("a process".into());
    let claims = claimed(ledger, &run, &owner, 4).await;
    let [one, two, three, four] = &claims[..] else {
        panic!("{} claims", claims.len())
    };
    let begins: Vec<Change> = claims.iter().map(begin).collect();
    ledger.write(&owner, &begins).await.unwrap();
    let sent = Next::Sent {
        message_id: Some("msg_1".into()),
        chat_id: Some("chat_1".into()),
    };
    let failure = |code, text: &str| {
        Some(Failure {
            code,
            text: text.into(),
            ..Failure::default()
        })
    };
    let outcomes = [
        record(one, sent, None),
        record(
            two,
            Next::Failed,
            failure(Some(1004), "no such number, \"+…\""),
        ),
        record(three, Next::Uncertain, failure(None, "no answer came")),
    ];
    ledger.write(&owner, &outcomes).await.unwrap();
    assert_eq!(four.row, 6, "is left on the wire");
    run
}

async fn written(format: &dyn Format, ledger: &SqliteLedger, run: &RunRecord) -> String {
    let mut bytes = Vec::new();
    let subject = Subject {
        ledger,
        run,
        now: after(1_000),
    };
    format.write(subject, &mut bytes).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

async fn open(folder: &tempfile::TempDir) -> SqliteLedger {
    let path = folder.path().join("ledger.db");
    SqliteLedger::open(&path, Durability::None).await.unwrap()
}

#[tokio::test]
async fn every_row_of_the_list_has_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(&folder).await;
    let run = sent_in_part(&ledger).await;
    let csv = written(&Csv, &ledger, &run).await;
    insta::assert_snapshot!(csv, @r#"
    row,recipient,phone,line,state,reason,code,attempts,idempotency_key,message_id,chat_id,sent_at,delivered_at,read_at,detail,due_at
    1,C-1,+12025550101,+15555550100,sent,,,1,so1-e827c31aa38f4070fafe4847b8befaed9839d92a,msg_1,chat_1,2026-11-20T16:00:00.250Z,,,,
    2,+12025550102,+12025550102,+15555550100,failed,"no such number, ""+…""",1004,1,so1-3102d4c7bca2d2a02e98a8bc4544fe32c926b504,,,,,,"no such number, ""+…""",
    3,'=C3,+12025550103,+15555550100,uncertain,no answer came,,1,so1-64a93565165ba01c8345823cdf0851ba319eca74,,,,,,no answer came,
    4,C-1,+12025550101,,skipped,duplicate,,0,,,,,,,row 1 is the same person,
    5,C-5,,,skipped,invalid_phone,,0,,,,,,,'=the cell 'Mobile' is empty,
    6,C-6,+12025550106,+15555550100,sending,,,1,so1-1d8284971c3777d926165f7914acb4fba1036b4d,,,,,,,
    7,C-7,+12025550107,+15555550100,pending,,,0,so1-6a831ce9fdef025f6c989e963362bfe33e927ee0,,,,,,,2026-11-20T16:00:00.000Z
    "#);
    let key = |recipient| IdempotencyKey::derive(&run.run, recipient, 0, 0).to_string();
    let mut lines = ::csv::Reader::from_reader(csv.as_bytes());
    let keys: Vec<String> = lines
        .records()
        .map(|line| line.unwrap()[8].to_owned())
        .collect();
    let none = String::new();
    assert_eq!(
        keys,
        [
            key("C-1"),
            key("+12025550102"),
            key("=C3"),
            none.clone(),
            none,
            key("C-6"),
            key("C-7")
        ]
    );
}

#[tokio::test]
async fn the_totals_of_the_ledger_are_in_the_json() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(&folder).await;
    let run = sent_in_part(&ledger).await;
    let text = written(&Json, &ledger, &run).await;
    assert!(text.ends_with("}\n"));
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["run"], "review-request@once");
    assert_eq!(
        (&json["state"], &json["total"]),
        (&"running".into(), &7.into())
    );
    let counts = json["counts"].as_object().unwrap();
    assert_eq!(counts.values().map(|n| n.as_u64().unwrap()).sum::<u64>(), 7);
    for state in ["sent", "failed", "uncertain", "sending", "pending"] {
        assert_eq!(counts[state], 1, "{state}");
    }
    assert_eq!(json["skipped"]["duplicate"], 1);
    assert_eq!(json["skipped"]["invalid_phone"], 1);
    assert_eq!(json["failures"].as_array().unwrap().len(), 2);
    assert_eq!(json["holds"][0]["count"], 1);
    assert_eq!(json["last_sent_at"], "2026-11-20T16:00:00.250Z");
    let runs = ledger.runs().await.unwrap();
    let glances: Vec<Glance> = runs
        .into_iter()
        .map(|(run, counts)| Glance {
            run,
            counts,
            outlook: Outlook::default(),
        })
        .collect();
    let list = runs_json(&glances, &[], &[]);
    assert_eq!(list["runs"][0]["counts"], json["counts"]);
}

#[tokio::test]
async fn the_summary_of_a_real_ledger_adds_up() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(&folder).await;
    let run = sent_in_part(&ledger).await;
    let view = View {
        now: after(1_000),
        timezone: TimeZone::UTC,
        style: Style::PLAIN,
    };
    insta::assert_snapshot!(written(&Text { view }, &ledger, &run).await, @r#"
    review-request@once was interrupted: no process is on it.
    Sent to 1 of the 7 rows in the list.

      Gateway    chert
      Started    today, 16:00:00 (UTC)
      Last sent  today, 16:00:00

      Sent              1   14.3%  the provider took it
      Failed            1   14.3%  refused for good, or every attempt failed
      Uncertain         1   14.3%  may have been sent, nothing can tell
      Skipped           2   28.6%  left out on purpose
      On the wire       1   14.3%  begun, no answer yet
      Waiting           1   14.3%  not sent yet
      Rows in the list  7

    Left out on purpose
      1  already further up in the list (duplicate)
      1  no usable phone number (invalid_phone)

    Failed: 1
      1  code 1004  no such number, "+…"

    Uncertain: 1
      1  no answer came
      row 3       +1202•••0103
      It may have been sent: the request left, and no answer said whether it was
      taken. Sending again could mean sending twice, so that never happens by
      itself. The conversation with the recipient shows what arrived.

    Still to come
      1  waiting for their turn
      1  without an answer, to be asked again with the same key

    What to do next
      Send the rest; nobody gets it twice, even while another process is sending:
        sendoff resume review-request@once
      Put back what failed, when its cause is put right; `resume` sends it:
        sendoff retry review-request@once
      Say of each uncertain one what its conversation shows, `sent` or `unsent`:
        sendoff resolve review-request@once --row 3 --as sent
      Read what happened to one person:
        sendoff explain review-request@once --row 3
      See every row with its state and reason:
        sendoff report review-request@once --format csv -o review-request-once.csv
    "#);
}

#[tokio::test]
async fn a_long_list_is_read_page_by_page_without_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(&folder).await;
    let rows = (1..=4_001).map(|n| row(n, None, None, invalid())).collect();
    let run = frozen(&ledger, rows).await;
    let csv = written(&Csv, &ledger, &run).await;
    let numbers: Vec<u64> = ::csv::Reader::from_reader(csv.as_bytes())
        .records()
        .map(|line| line.unwrap()[0].parse().unwrap())
        .collect();
    assert_eq!(numbers, (1..=4_001).collect::<Vec<u64>>());
    assert_eq!(csv.lines().count(), 4_002);
}

#[tokio::test]
async fn an_empty_list_is_a_header() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(&folder).await;
    let run = frozen(&ledger, vec![]).await;
    let csv = written(&Csv, &ledger, &run).await;
    assert_eq!(csv, format!("{}\n", CSV_HEADER.join(",")));
}

/// Takes a few bytes, then the reader is gone.
struct Gone(usize);

impl Write for Gone {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let taken = self.0.min(bytes.len());
        self.0 -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_reader_that_leaves_is_told_apart_from_a_broken_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(&folder).await;
    let rows = (1..=500).map(|n| row(n, None, None, invalid())).collect();
    let run = frozen(&ledger, rows).await;
    let error = csv(&ledger, &run.run, Gone(10)).await.unwrap_err();
    let ReportError::Output(error) = error else {
        panic!("{error}")
    };
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn the_page_shows_everybody_and_gives_nobody_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let ledger = SqliteLedger::open(&path, Durability::None).await.unwrap();
    let run = sent_in_part(&ledger).await;
    let mut page = Vec::new();
    let html = Html {
        view: View {
            now: after(1_000),
            timezone: TimeZone::UTC,
            style: Style::PLAIN,
        },
    };
    let subject = Subject {
        ledger: &ledger,
        run: &run,
        now: after(1_000),
    };
    html.write(subject, &mut page).await.unwrap();
    let page = String::from_utf8(page).unwrap();
    for words in [
        "7 rows of the list",
        "Who needs a look",
        "uncertain",
        "+1202•••01",
    ] {
        assert!(page.contains(words), "{words}:\n{page}");
    }
    assert!(!page.contains("+120255501"), "a whole phone number");
    for outside in ["<script", "http://", "https://", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
}
