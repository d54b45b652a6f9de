//! The end of a rehearsal whose phones are looked at: the sandbox stays, and what people answer in
//! it is heard as it would be of a real one, until whoever rehearses has seen enough.

use std::sync::Arc;
use std::time::Duration;

use super::interrupts::Interrupts;
use super::rehearsal::Rehearsal;
use super::{App, Stop};
use crate::engine::ears::Ears;
use crate::engine::limiter::Guard;
use crate::engine::listener::Listener;
use crate::engine::receipts::Looker;
use crate::ledger::{Ledger, RunRecord};

/// Between two looks at what was answered; somebody waits in front of the screen.
const EVERY: Duration = Duration::from_millis(500);

/// Says who opts out. Answers are kept as everywhere; what was said in a rehearsal counts there
/// alone.
pub(super) async fn hear_until(
    app: &App,
    ledger: &Arc<dyn Ledger>,
    (rehearsal, run): (&Rehearsal, &RunRecord),
    mut end: Interrupts,
) -> Result<(), Stop> {
    app.out.note(&format!(
        "The phones stay at {} and answers are heard. Ctrl-C ends the rehearsal.",
        rehearsal.page
    ));
    let looker = Looker {
        ledger: ledger.clone(),
        gateway: rehearsal.ready.gateway.clone(),
        clock: app.clock.clone(),
        guard: Guard::default(),
    };
    let listener = Listener::new(looker, &run.gateway, &Ears::default(), 0).await?;
    let before = answers(app, &**ledger, run).await?;
    let (mut opted_out, mut to_review) = before;
    loop {
        // An answer that cannot be read now is read at the next look: the sandbox is in this
        // process, and only ends with it.
        if listener.once().await?.is_ok_and(|new| new > 0) {
            let now = answers(app, &**ledger, run).await?;
            if now.0 > opted_out {
                app.out.note(&format!(
                    "{} of this rehearsal's people have opted out. For real, nothing more would \
                     go to them, from any campaign: `sendoff status {}` names them.",
                    now.0, run.run
                ));
            }
            if now.1 > to_review {
                app.out.note(&format!(
                    "{} of the answers may mean STOP, and a person is to say so: `sendoff \
                     suppress review`.",
                    now.1
                ));
            }
            (opted_out, to_review) = now;
        }
        tokio::select! {
            // cancel-safe: a signal that is not received here stays for the next call
            () = end.next() => return Ok(()),
            // cancel-safe: a timer
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// How many opted out, and how many answers a person is to judge.
async fn answers(app: &App, ledger: &dyn Ledger, run: &RunRecord) -> Result<(u64, u64), Stop> {
    let facts = ledger.facts(&run.run, app.clock.now()).await?;
    Ok((facts.answers.opted_out, facts.answers.to_review))
}
