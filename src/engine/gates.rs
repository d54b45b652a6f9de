//! Waits that the provider has asked this process for, kept in memory beside the ledger's: a
//! delivery claimed before the wait was known must not leave either. The ledger's gates are the
//! truth for every later claim; this only covers what is in hand.

use std::collections::HashMap;
use std::sync::Mutex;

use jiff::Timestamp;

use crate::domain::delivery::Hold;
use crate::ledger::Gate;

/// Open waits by line; `None` is the whole account.
#[derive(Debug, Default)]
pub(super) struct Gates(Mutex<HashMap<Option<String>, Timestamp>>);

impl Gates {
    /// A gate is only ever extended.
    pub(super) fn extend(&self, gate: &Gate) {
        if let Ok(mut gates) = self.0.lock() {
            let until = gates.entry(gate.line.clone()).or_insert(gate.until);
            *until = gate.until.max(*until);
        }
    }

    /// Until when nothing may leave from `line`, and why; `None`: it may leave now.
    pub(super) fn closed(&self, line: &str, now: Timestamp) -> Option<(Timestamp, Hold)> {
        let gates = self.0.lock().ok()?;
        let of = |line: Option<String>, hold| Some((*gates.get(&line)?, hold));
        let account = of(None, Hold::Throttled);
        let line = of(Some(line.to_owned()), Hold::LineCapacity);
        let latest = account.into_iter().chain(line).max_by_key(|(at, _)| *at)?;
        (latest.0 > now).then_some(latest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn gate(line: Option<&str>, until: i64) -> Gate {
        Gate {
            gateway: "chert".to_owned(),
            line: line.map(str::to_owned),
            until: at(until),
            reason: String::new(),
        }
    }

    #[test]
    fn a_gate_holds_its_line_or_everybody_and_is_only_extended() {
        let gates = Gates::default();
        assert_eq!(gates.closed("one", at(0)), None);
        gates.extend(&gate(Some("one"), 10));
        gates.extend(&gate(Some("one"), 5));
        let busy = Some((at(10), Hold::LineCapacity));
        assert_eq!(gates.closed("one", at(9)), busy);
        assert_eq!(gates.closed("one", at(10)), None);
        assert_eq!(gates.closed("other", at(9)), None);
        gates.extend(&gate(None, 20));
        let throttled = Some((at(20), Hold::Throttled));
        assert_eq!(gates.closed("one", at(9)), throttled);
        assert_eq!(gates.closed("other", at(19)), throttled);
    }
}
