//! A run in a ledger that a test opens itself. Sends nothing.

use jiff::Timestamp;
use sendoff::domain::address::Address;
use sendoff::domain::campaign::Terms;
use sendoff::domain::cap::Touch;
use sendoff::domain::message::{Message, Part};
use sendoff::domain::run::RunId;
use sendoff::ledger::{Ledger, NewDelivery, NewRun, Planned, RunRecord};

use super::{LINES, phone};

/// A run to so many people, from both lines by turns, due at once.
pub(crate) async fn freeze(
    ledger: &dyn Ledger,
    people: usize,
    terms: Terms,
    now: Timestamp,
) -> RunRecord {
    let run = NewRun {
        run: RunId::parse("spring@once").unwrap(),
        gateway: "chert".to_owned(),
        account: None,
        terms,
        now,
        starts_at: now,
    };
    let rows = (0..people).map(|n| NewDelivery {
        row: u64::try_from(n).unwrap() + 1,
        recipient_key: None,
        phone: Some(Address::stored(&phone(n)).unwrap()),
        timezone: None,
        plan: Planned::Send {
            message: Message::of(vec![Part::Text {
                value: "Your table is ready.".to_owned(),
                subject: None,
            }]),
            line: LINES[n % 2].to_owned(),
            touch: Touch::First,
        },
    });
    let mut freeze = ledger.freeze(&run).await.unwrap();
    freeze.add(rows.collect()).await.unwrap();
    freeze.seal(Vec::new()).await.unwrap()
}
