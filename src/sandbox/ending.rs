//! How a request of any provider ends for its client: with an answer, a refusal, a page or a
//! connection that closes, and what a fault makes of it. What a refusal looks like is each
//! provider's; which fault fires, the plan's.

use super::faults::{Answer, Fault};

/// Where `half_answer` closes the connection: within the headers of every answer.
const HALF_ANSWER_BYTES: usize = 48;

/// How a request ends for its client.
#[derive(Debug)]
pub(super) enum Ending<Done, Refusal> {
    Done(Done),
    Refuse(Refusal),
    /// A page instead of JSON, with this status.
    Html(u16),
    /// The connection closes after so many bytes of the answer.
    Cut {
        bytes: usize,
        body: String,
    },
}

/// How a provider words what a fault asks for.
pub(super) trait Worded {
    /// Too many requests; again after so many seconds.
    fn throttled(wait: u32) -> Self;

    /// No capacity for now; again after so many seconds.
    fn busy(wait: u32) -> Self;

    /// A failure of the plan's own choice.
    fn asked_for(answer: &Answer) -> Self;
}

impl<Done, Refusal: Worded> Ending<Done, Refusal> {
    /// The connection closes without a byte.
    pub(super) const SILENCE: Self = Self::Cut {
        bytes: 0,
        body: String::new(),
    };

    /// What a fault does before the route acts; `None`: the route acts.
    pub(super) fn before(fault: &Fault) -> Option<Self> {
        match fault {
            Fault::Throttle { wait } => Some(Self::Refuse(Refusal::throttled(*wait))),
            Fault::LineBusy { wait } => Some(Self::Refuse(Refusal::busy(*wait))),
            Fault::Error(answer) => Some(Self::Refuse(Refusal::asked_for(answer))),
            Fault::NonJson { status } => Some(Self::Html(*status)),
            Fault::DropBefore {} => Some(Self::SILENCE),
            Fault::ErrorAfterAccept(_)
            | Fault::Drop {}
            | Fault::HalfAnswer {}
            | Fault::Slow { .. }
            | Fault::SlowAfterAccept { .. }
            | Fault::NonJsonAfterAccept { .. } => None,
        }
    }

    /// What a fault makes of the answer once the route has acted.
    pub(super) fn after(
        fault: Option<&Fault>,
        done: Done,
        body: impl FnOnce(Done) -> String,
    ) -> Self {
        match fault {
            Some(Fault::ErrorAfterAccept(answer)) => Self::Refuse(Refusal::asked_for(answer)),
            Some(Fault::NonJsonAfterAccept { status }) => Self::Html(*status),
            Some(Fault::Drop {}) => Self::SILENCE,
            Some(Fault::HalfAnswer {}) => Self::Cut {
                bytes: HALF_ANSWER_BYTES,
                body: body(done),
            },
            Some(
                Fault::Throttle { .. }
                | Fault::LineBusy { .. }
                | Fault::Error(_)
                | Fault::DropBefore {}
                | Fault::Slow { .. }
                | Fault::SlowAfterAccept { .. }
                | Fault::NonJson { .. },
            )
            | None => Self::Done(done),
        }
    }
}
