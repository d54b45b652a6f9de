//! What a process holds of a run, and until when as far as it knows. The ledger decides: this is
//! what a worker asks before its request leaves, and what is renewed while the process lives.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::ledger::DeliveryId;

/// Deliveries in hand; with each the end of its lease, once that was renewed.
#[derive(Debug, Default)]
pub(super) struct Leases(Mutex<HashMap<DeliveryId, Option<Timestamp>>>);

impl Leases {
    fn held(&self) -> MutexGuard<'_, HashMap<DeliveryId, Option<Timestamp>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn took(&self, id: DeliveryId) {
        self.held().insert(id, None);
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
            if let Some(lease) = held.get_mut(id) {
                *lease = (*lease).max(Some(until));
            }
        }
    }

    /// The end of a lease that was renewed.
    pub(super) fn until(&self, id: DeliveryId) -> Option<Timestamp> {
        self.held().get(&id).copied().flatten()
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
}
