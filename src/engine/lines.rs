//! Lines that are held because they take no part in messaging: whether they do again, asked of the
//! provider once for each look, whichever process it is that looks. Why a line is held is
//! [`super::settle`]'s; a line without capacity is not looked at, its wait ends by itself.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::clock::Clock;
use super::dispatch::Engine;
use super::gates::Gates;
use super::limiter::Guard;
use super::settle::later;
use crate::domain::outcome::Outcome;
use crate::gateway::{Gateway, Line};
use crate::ledger::{Gate, Held, Ledger, LedgerError, Look};

/// From one look at an inactive line to the next: a person sets it right, in minutes at best.
pub(super) const LINE_LOOK_AFTER: SignedDuration = SignedDuration::from_mins(5);
/// A look whose process was killed is anybody's after so long; more than an exchange takes.
const LOOK_LASTS: SignedDuration = SignedDuration::from_secs(45);

/// Looks at the lines of one gateway, for one run of this process.
#[derive(Debug)]
pub(super) struct LineWatch {
    watched: Watched,
    looking: Option<AbortOnDropHandle<()>>,
}

#[derive(Debug, Clone)]
struct Watched {
    ledger: Arc<dyn Ledger>,
    gateway: Arc<dyn Gateway>,
    clock: Arc<dyn Clock>,
    guard: Guard,
    name: String,
    /// What this process holds back by itself.
    gates: Arc<Gates>,
}

impl LineWatch {
    pub(super) fn new(engine: &Engine, gates: &Arc<Gates>) -> Self {
        Self {
            watched: Watched {
                ledger: engine.ledger.clone(),
                gateway: engine.gateway.clone(),
                clock: engine.clock.clone(),
                guard: engine.guard.clone(),
                name: engine.run.gateway.clone(),
                gates: gates.clone(),
            },
            looking: None,
        }
    }

    /// Looks at all that are held, due or not: whoever starts a process may have set them right.
    pub(super) async fn look_at_all(&self, stop: &CancellationToken) -> Result<(), LedgerError> {
        tokio::select! {
            // cancel-safe: a look changes nothing at the provider, and another one is due soon
            () = stop.cancelled() => Ok(()),
            // cancel-safe: as above
            looked = self.watched.look(Look::All) => looked,
        }
    }

    /// Has a look taken where one is due, beside everything else.
    pub(super) fn follow(&mut self, gates: &[Gate], now: Timestamp) {
        let due = |gate: &Gate| gate.inactive_since.is_some() && gate.until <= now;
        let busy = self.looking.as_ref().is_some_and(|one| !one.is_finished());
        if busy || !gates.iter().any(due) {
            return;
        }
        let watched = self.watched.clone();
        self.looking = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            // Whatever is the matter with the ledger, the run itself meets it.
            if let Err(error) = watched.look(Look::Due).await {
                tracing::warn!(%error, "held lines could not be looked at");
            }
        })));
    }
}

impl Watched {
    /// A crash on the way leaves the lines held, and the look to whoever is next.
    async fn look(&self, which: Look) -> Result<(), LedgerError> {
        let now = self.clock.now();
        let until = later(now, LOOK_LASTS);
        let held = self.ledger.take_look(&self.name, which, now, until).await?;
        if held.is_empty() {
            return Ok(());
        }
        self.guard.ready().await;
        let ours = self.gateway.lines().await;
        for line in held {
            match said(&ours, &line) {
                Said::Back => self.let_go(&line).await?,
                Said::Held(why) => self.hold(line, why).await?,
                // Held on, for the reason that is known.
                Said::Nothing => self.hold(line, "").await?,
            }
        }
        Ok(())
    }

    async fn let_go(&self, line: &str) -> Result<(), LedgerError> {
        let now = self.clock.now();
        self.ledger.line_is_back(&self.name, line, now).await?;
        self.gates.reopen(line);
        tracing::info!(line, "the line is active again; its people are written to");
        Ok(())
    }

    async fn hold(&self, line: String, why: &'static str) -> Result<(), LedgerError> {
        let now = self.clock.now();
        let gate = Gate {
            gateway: self.name.clone(),
            held: Held::Line(line),
            until: later(now, LINE_LOOK_AFTER),
            inactive_since: Some(now),
            reason: why.to_owned(),
        };
        self.ledger.hold(&gate, now).await?;
        self.gates.extend(&gate, now, Instant::now());
        Ok(())
    }
}

/// What the provider says of a line that is held.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Back,
    Held(&'static str),
    /// It could not be asked.
    Nothing,
}

fn said(ours: &Result<Vec<Line>, Outcome>, line: &str) -> Said {
    let ours = match ours {
        Ok(ours) => ours,
        Err(outcome) => {
            tracing::warn!(why = outcome.why(), "the lines cannot be looked at");
            return Said::Nothing;
        }
    };
    match ours.iter().find(|one| one.phone.expose() == line) {
        Some(one) if one.active => Said::Back,
        Some(_) => Said::Held("the provider says that the line is not active"),
        None => Said::Held("the provider no longer has the line among this account's"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::Failure;
    use crate::domain::phone::Phone;

    #[test]
    fn only_an_active_line_is_let_go() {
        let line = |phone: &str, active| Line {
            id: String::new(),
            phone: Phone::from_e164(phone).unwrap(),
            active,
        };
        let ours = Ok(vec![
            line("+15555550100", true),
            line("+15555550101", false),
        ]);
        assert_eq!(said(&ours, "+15555550100"), Said::Back);
        let inactive = said(&ours, "+15555550101");
        assert!(matches!(inactive, Said::Held(why) if why.contains("not active")));
        let gone = said(&ours, "+15555550102");
        assert!(matches!(gone, Said::Held(why) if why.contains("no longer")));
        let silent = Err(Outcome::StopRun {
            failure: Failure::default(),
        });
        assert_eq!(said(&silent, "+15555550100"), Said::Nothing);
    }
}
