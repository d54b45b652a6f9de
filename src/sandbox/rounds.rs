//! The loop in which a provider calls its subscribers: it sets out when something is due, when the
//! clock is turned and when there are news, with a bound on what is on its way. Does not know what
//! it carries; `outbound` makes the calls.

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::host::Host;

/// Calls on their way at once, of all subscriptions of a provider.
pub(super) const AT_ONCE: usize = 32;

/// Makes the calls that are due, until the sandbox stops; then those on their way are dropped.
/// `set_out` starts what is due and answers when there will be more to start; `None`: nobody can
/// tell yet.
pub(super) async fn deliver(
    host: &Host,
    mut news: watch::Receiver<u64>,
    mut set_out: impl FnMut(&mut JoinSet<()>) -> Option<i64>,
) {
    let mut turned = host.time.turned();
    let mut on_the_way = JoinSet::new();
    loop {
        // Before the look, so that what comes during it is not slept through.
        news.mark_unchanged();
        turned.mark_unchanged();
        let next_us = set_out(&mut on_the_way);
        tokio::select! {
            // cancel-safe: each branch only waits; the calls run in tasks of their own.
            () = host.stop.cancelled() => return,
            Some(_) = on_the_way.join_next() => {}
            Ok(()) = news.changed() => {}
            Ok(()) = turned.changed() => {}
            () = host.time.reach(next_us) => {}
        }
    }
}
