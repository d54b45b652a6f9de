//! The steps of a random walk through the send path. What they lead to is the model's to say.

use proptest::prelude::*;

use sendoff::ledger::{Resolution, RetryKey};

use super::bench::LEASE_MS;

/// Processes that take part.
pub(super) const OWNERS: usize = 3;

/// One step; the numbers choose among what there is at that moment.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Claim { owner: usize, most: u32 },
    Admit { owner: usize, skip: bool },
    Begin { claim: usize },
    Record { claim: usize, next: usize },
    Release { claim: usize, next: usize },
    Settle { claim: usize, found: bool },
    Wait { ms: i64 },
    Retire { owner: usize },
    Pause,
    Resume,
    Cancel,
    Finish,
    Retry { key: RetryKey },
    Resolve { which: usize, by: Resolution },
}

fn retry_key() -> impl Strategy<Value = RetryKey> {
    prop_oneof![Just(RetryKey::Same), Just(RetryKey::Revised)]
}

fn resolution() -> impl Strategy<Value = Resolution> {
    prop_oneof![Just(Resolution::Sent), Just(Resolution::Unsent)]
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..OWNERS, 1u32..5).prop_map(|(owner, most)| Step::Claim { owner, most }),
        1 => (0..OWNERS, any::<bool>()).prop_map(|(owner, skip)| Step::Admit { owner, skip }),
        8 => (0usize..64).prop_map(|claim| Step::Begin { claim }),
        8 => (0usize..64, 0usize..6).prop_map(|(claim, next)| Step::Record { claim, next }),
        2 => (0usize..64, 0usize..4).prop_map(|(claim, next)| Step::Release { claim, next }),
        2 => (0usize..64, any::<bool>()).prop_map(|(claim, found)| Step::Settle { claim, found }),
        3 => prop_oneof![0i64..2_000, LEASE_MS..LEASE_MS + 9].prop_map(|ms| Step::Wait { ms }),
        1 => (0..OWNERS).prop_map(|owner| Step::Retire { owner }),
        1 => Just(Step::Pause),
        2 => Just(Step::Resume),
        1 => prop::bool::weighted(0.2).prop_map(|c| if c { Step::Cancel } else { Step::Resume }),
        1 => Just(Step::Finish),
        1 => retry_key().prop_map(|key| Step::Retry { key }),
        1 => (0usize..8, resolution()).prop_map(|(which, by)| Step::Resolve { which, by }),
    ]
}
