//! Waits that the provider has asked for, as this process knows them. The ledger keeps them for
//! everybody; this stops what was claimed before the answer came.

use std::collections::HashMap;
use std::sync::Mutex;

use jiff::Timestamp;

use crate::domain::outcome::{Failure, Outcome, Scope};
use crate::ledger::Gate;

/// Open waits, by line; `None` is the whole account.
#[derive(Debug, Default)]
pub(super) struct Gates(Mutex<HashMap<Option<String>, Gate>>);

impl Gates {
    /// Remembers a wait; a shorter one than is known changes nothing.
    pub(super) fn extend(&self, gate: &Gate) {
        if let Ok(mut gates) = self.0.lock() {
            let known = gates
                .entry(gate.line.clone())
                .or_insert_with(|| gate.clone());
            if known.until < gate.until {
                *known = gate.clone();
            }
        }
    }

    /// The wait that a message from `line` is under now, as the outcome that the provider
    /// would give again if it were asked.
    pub(super) fn closed(&self, line: &str, now: Timestamp) -> Option<Outcome> {
        let gates = self.0.lock().ok().filter(|gates| !gates.is_empty())?;
        let open = |line: Option<String>| gates.get(&line).filter(|gate| gate.until > now);
        let failure = |gate: &Gate| Failure {
            text: gate.reason.clone(),
            ..Failure::default()
        };
        if let Some(gate) = open(None) {
            return Some(Outcome::Retry {
                after: Some(gate.until.duration_since(now)),
                scope: Scope::Account,
                failure: failure(gate),
            });
        }
        open(Some(line.to_owned())).map(|gate| Outcome::LineBusy {
            after: gate.until.duration_since(now),
            failure: failure(gate),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(line: Option<&str>, second: i64) -> Gate {
        Gate {
            gateway: "chert".into(),
            line: line.map(str::to_owned),
            until: Timestamp::from_second(second).unwrap(),
            reason: "slow down".into(),
        }
    }

    #[test]
    fn a_wait_holds_its_line_or_the_account_and_is_only_extended() {
        let gates = Gates::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        gates.extend(&gate(Some("a"), 10));
        assert!(matches!(
            gates.closed("a", at(5)),
            Some(Outcome::LineBusy { .. })
        ));
        assert_eq!(gates.closed("b", at(5)), None);
        gates.extend(&gate(None, 20));
        gates.extend(&gate(None, 7));
        assert!(matches!(
            gates.closed("b", at(19)),
            Some(Outcome::Retry { .. })
        ));
        assert_eq!(gates.closed("b", at(20)), None);
    }
}
