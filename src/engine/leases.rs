//! What a process holds of a run, and until when as far as it knows. The ledger decides: this is
//! what a worker asks before its request leaves, and what is renewed while the process lives.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::ledger::DeliveryId;

/// Deliveries in hand.
#[derive(Debug, Default)]
pub(super) struct Leases(Mutex<HashMap<DeliveryId, Lease>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lease {
    /// As it was claimed or begun.
    Fresh,
    /// Prolonged until then, at least.
    Until(Timestamp),
    /// Another may have it: this process counted as gone, and has not found it as its own since.
    Lost,
}

impl Leases {
    fn held(&self) -> MutexGuard<'_, HashMap<DeliveryId, Lease>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn took(&self, id: DeliveryId) {
        self.held().insert(id, Lease::Fresh);
    }

    pub(super) fn gave_back(&self, id: DeliveryId) {
        self.held().remove(&id);
    }

    /// All of them, in order.
    pub(super) fn all(&self) -> Vec<DeliveryId> {
        let mut ids: Vec<DeliveryId> = self.held().keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// These last until then, at least.
    pub(super) fn renewed(&self, ids: &[DeliveryId], until: Timestamp) {
        let mut held = self.held();
        for id in ids {
            match held.get_mut(id) {
                Some(lease @ Lease::Fresh) => *lease = Lease::Until(until),
                Some(Lease::Until(end)) => *end = until.max(*end),
                Some(Lease::Lost) | None => {}
            }
        }
    }

    /// Of these only the ones that were found again are still its own.
    pub(super) fn lost_but(&self, found: &[DeliveryId], of: &[DeliveryId]) {
        let found: HashSet<&DeliveryId> = found.iter().collect();
        let mut held = self.held();
        for id in of.iter().filter(|id| !found.contains(id)) {
            if let Some(lease) = held.get_mut(id) {
                *lease = Lease::Lost;
            }
        }
    }

    pub(super) fn is_lost(&self, id: DeliveryId) -> bool {
        self.held().get(&id) == Some(&Lease::Lost)
    }

    /// The end of a lease that was renewed.
    pub(super) fn until(&self, id: DeliveryId) -> Option<Timestamp> {
        match self.held().get(&id)? {
            Lease::Until(end) => Some(*end),
            Lease::Fresh | Lease::Lost => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_in_hand_is_renewed_and_never_to_an_earlier_end() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let leases = Leases::default();
        leases.took(2);
        leases.took(1);
        assert_eq!((leases.all(), leases.until(1)), (vec![1, 2], None));
        leases.renewed(&[1, 3], at(50));
        leases.renewed(&[1], at(40));
        assert_eq!(leases.until(1), Some(at(50)));
        assert_eq!([leases.until(2), leases.until(3)], [None, None]);
        leases.gave_back(1);
        // What is claimed again later has a lease of its own.
        leases.took(1);
        assert_eq!(leases.until(1), None);
    }

    #[test]
    fn what_is_not_found_again_stays_lost_until_it_is_claimed_again() {
        let leases = Leases::default();
        for id in [1, 2, 3] {
            leases.took(id);
        }
        leases.lost_but(&[2], &[1, 2]);
        let lost = || [1, 2, 3].map(|id| leases.is_lost(id));
        assert_eq!(lost(), [true, false, false]);
        leases.renewed(&[1], Timestamp::MAX);
        assert_eq!((lost()[0], leases.until(1)), (true, None));
        leases.gave_back(1);
        leases.took(1);
        assert_eq!(lost(), [false; 3]);
    }
}
