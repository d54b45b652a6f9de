//! What is still to happen at a provider, in the order in which it will, by the provider's clock.
//! What is due happens when anybody next looks at the provider's store, as of its own moment, so
//! that nobody can see the store without it; a task looks in time for those who wait. Does not
//! know what a happening does.

use std::collections::BTreeMap;

use tokio::sync::Notify;

use super::host::Host;

/// The happenings to come. Those of one moment happen in the order in which they were arranged.
#[derive(Debug)]
pub(super) struct Agenda<H> {
    to_come: BTreeMap<(i64, u64), H>,
    arranged: u64,
}

impl<H> Default for Agenda<H> {
    fn default() -> Self {
        Self {
            to_come: BTreeMap::new(),
            arranged: 0,
        }
    }
}

impl<H> Agenda<H> {
    pub(super) fn arrange(&mut self, at_us: i64, happening: H) {
        self.arranged += 1;
        self.to_come.insert((at_us, self.arranged), happening);
    }

    /// When the next one is due.
    pub(super) fn next_us(&self) -> Option<i64> {
        self.to_come.first_key_value().map(|((at_us, _), _)| *at_us)
    }

    /// Takes the next one that is due, with the moment at which it was.
    pub(super) fn take(&mut self, now_us: i64) -> Option<(i64, H)> {
        let next = self.to_come.first_entry()?;
        let (at_us, _) = *next.key();
        (at_us <= now_us).then(|| (at_us, next.remove()))
    }
}

/// Looks whenever something falls due, until the server stops. While the clock stands still
/// nothing does; a turn of it is looked at at once. `look` lets happen what is due and answers
/// when the next thing is.
pub(super) async fn keep_time(host: &Host, arranged: &Notify, look: impl Fn() -> Option<i64>) {
    let mut turned = host.time.turned();
    loop {
        // Before the look, so that what comes during it is not slept through.
        turned.mark_unchanged();
        let word = arranged.notified();
        let next_us = look();
        tokio::select! {
            // cancel-safe: each branch only waits; `arranged` keeps a word for later.
            () = host.stop.cancelled() => return,
            () = word => {}
            Ok(()) = turned.changed() => {}
            () = host.time.reach(next_us) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_in_the_order_of_its_moments_and_then_of_its_arrangement() {
        let mut agenda = Agenda::default();
        for (about, at_us) in [(0, 30), (1, 10), (2, 30), (3, 40)] {
            agenda.arrange(at_us, about);
        }
        assert_eq!(agenda.next_us(), Some(10));
        let mut order = Vec::new();
        while let Some((at_us, about)) = agenda.take(39) {
            order.push((at_us, about));
        }
        assert_eq!(order, [(10, 1), (30, 0), (30, 2)]);
        assert_eq!(agenda.next_us(), Some(40));
    }
}
