//! How often a message to one of the table's numbers was tried, and what goes wrong with the next
//! try. Carries nothing out; the exchange does.

use std::collections::HashSet;

use tokio_util::sync::CancellationToken;

use super::numbers::{self, Lasts};
use crate::domain::digest::Digest;
use crate::sandbox::faults::Fired;

/// What was tried: grows with the messages to the table's numbers.
#[derive(Debug, Default)]
pub(super) struct Trials {
    tried: HashSet<Digest>,
    released: CancellationToken,
}

impl Trials {
    /// Decides about one request for `phone`; `request` tells requests apart: a second one that is
    /// the same is a second try.
    pub(super) fn decide(&mut self, phone: &str, request: Digest) -> Option<Fired> {
        let (fault, lasts) = numbers::character(phone)?.trouble()?;
        let is_first = self.tried.insert(request);
        (is_first || lasts == Lasts::ForEver).then(|| Fired {
            fault,
            released: self.released.clone(),
        })
    }
}

impl Drop for Trials {
    /// A reset lets go of every request that lies under a delay.
    fn drop(&mut self) {
        self.released.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_comes_once_for_each_message_or_for_ever() {
        let mut trials = Trials::default();
        let mut name = |phone: &str, text: &str| {
            let fired = trials.decide(phone, Digest::of(text.as_bytes()));
            fired.map(|fired| fired.fault.name())
        };
        assert_eq!(name("+12025550108", "a"), Some("drop"));
        assert_eq!(name("+12025550108", "a"), None);
        assert_eq!(name("+12025550108", "b"), Some("drop"));
        assert_eq!(name("+12025550114", "c"), Some("slow_after_accept"));
        assert_eq!(name("+12025550114", "c"), Some("slow_after_accept"));
        assert_eq!(name("+12025550143", "d"), None);
    }
}
