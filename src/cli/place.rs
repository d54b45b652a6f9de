//! Asks before anything is sent from a ledger that was put back from a backup, copied or moved:
//! it may not know of everybody who has the message already. How that is found out is the
//! ledger's.

use clap::Args;
use jiff::{SignedDuration, Timestamp};

use super::preflight::Ready;
use super::{App, Stop};
use crate::ledger::{Copied, Ledger, Sign};

/// The word of a person that a copied ledger is the one to send from.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Place {
    /// Send from a ledger that was restored from a backup, copied or moved here
    #[arg(long)]
    accept_copy: bool,
}

impl Place {
    /// The ledger is the one that was sent from before, or a person has said that it is to be.
    pub(super) async fn prove(
        self,
        app: &App,
        ledger: &dyn Ledger,
        ready: &Ready,
    ) -> Result<(), Stop> {
        let Some(copied) = ledger.take_place().await? else {
            return Ok(());
        };
        if !self.accept_copy {
            return Err(refusal(&copied, ready.gateway.key_retention()));
        }
        ledger.accept_copy(app.clock.now()).await?;
        app.out.note(&format!(
            "From now on '{}' is the ledger that is sent from here.",
            copied.store
        ));
        Ok(())
    }
}

fn refusal(copied: &Copied, kept: Option<SignedDuration>) -> Stop {
    Stop::could_not_start(what(copied)).help(format!(
        "{} {}",
        danger(&copied.sign, kept),
        remedy(&copied.sign)
    ))
}

/// What has become of the ledger.
pub(super) fn what(copied: &Copied) -> String {
    let Copied {
        store, known_until, ..
    } = copied;
    let ends = known_until.map_or(String::new(), |at| {
        format!("; the newest message it knows of left at {}", moment(at))
    });
    match &copied.sign {
        Sign::Behind { sent_until } => {
            let until = sent_until.map_or(String::new(), |at| format!(", until {}", moment(at)));
            let ends = known_until.map_or_else(
                || "it knows of no message".to_owned(),
                |at| format!("the newest message it knows of left at {}", moment(at)),
            );
            format!(
                "the ledger '{store}' was put back from a backup: {ends}, and more were sent from \
                 here since{until}"
            )
        }
        Sign::NoNote => format!(
            "the ledger '{store}' was copied or moved here, or the file '{store}-place' is gone: \
             messages were sent from it, and nothing says that it was from here{ends}"
        ),
        Sign::OtherFile => format!(
            "the ledger '{store}' is a copy: messages were sent from another file of it{ends}"
        ),
        Sign::OtherDatabase => format!(
            "the ledger on {store} is a copy: messages were sent from it in another database{ends}"
        ),
        Sign::Moved { to, at } => format!(
            "the ledger {} was moved to {to} at {}; it is not sent from any more",
            quoted(store),
            moment(*at)
        ),
        Sign::OtherLedger => format!(
            "the ledger '{store}' was put in the place of another one: '{store}-place' says that \
             a different ledger is sent from here{ends}"
        ),
    }
}

/// A server's name has its quotes already.
fn quoted(store: &str) -> String {
    if store.starts_with('\'') {
        format!("on {store}")
    } else {
        format!("'{store}'")
    }
}

/// What may happen, and how far the provider's memory of keys protects from it.
fn danger(sign: &Sign, kept: Option<SignedDuration>) -> String {
    let who = match sign {
        Sign::Behind { .. } => "everybody who was sent to since the backup would be sent to again",
        Sign::NoNote
        | Sign::OtherFile
        | Sign::OtherLedger
        | Sign::OtherDatabase
        | Sign::Moved { .. } => {
            "everybody who was sent to from the other copy since would be sent to again"
        }
    };
    match kept {
        Some(kept) => format!(
            "{who}; whoever was first sent to less than {kept:#} ago is protected, for the \
             provider still remembers the key, and anybody before that is not."
        ),
        None => format!("{who}, for this provider knows no keys that would prevent it."),
    }
}

fn remedy(sign: &Sign) -> &'static str {
    match sign {
        Sign::Behind { .. } => {
            "Put the newer ledger back if there is one; --accept-copy sends from this one all the \
             same. Nothing was sent."
        }
        Sign::Moved { .. } => {
            "Name the new ledger by `ledger` in sendoff.yaml; or, if the move is given up and \
             nothing is sent from there, --accept-copy makes this the ledger to send from again. \
             Nothing was sent."
        }
        Sign::NoNote | Sign::OtherFile | Sign::OtherLedger | Sign::OtherDatabase => {
            "If nothing else is sent from any more, --accept-copy makes this the ledger to send \
             from; otherwise use the other one. Nothing was sent."
        }
    }
}

/// To the second, in the zone of the machine.
fn moment(at: Timestamp) -> String {
    let local = at.to_zoned(jiff::tz::TimeZone::system());
    local.strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}
