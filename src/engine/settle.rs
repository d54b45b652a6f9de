//! What an outcome means for its delivery: a pure function, the one place that decides whether
//! a message is tried again.

use jiff::{SignedDuration, Timestamp};

use super::lines::LINE_LOOK_AFTER;
use crate::domain::delivery::Hold;
use crate::domain::outcome::{Outcome, Scope};
use crate::domain::retry::RetryPolicy;
use crate::ledger::{Gate, Held, NewChat, Next};

/// What is known about a delivery when its attempt has ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settling<'a> {
    pub(super) policy: &'a RetryPolicy,
    pub(super) gateway: &'a str,
    pub(super) phone: &'a crate::domain::address::Address,
    pub(super) line: &'a str,
    /// Counted tries before this attempt.
    pub(super) tries: u32,
    /// An earlier attempt under the same key is without an answer.
    pub(super) may_be_out: bool,
    /// The chat is known, so its messages can tell what became of the last attempt.
    pub(super) can_look_up: bool,
    /// How long the provider gets to show a message that it took without an answer.
    pub(super) shown_after: SignedDuration,
    pub(super) first_attempt_at: Timestamp,
    /// From when on the provider may know the key: the first attempt without an answer.
    pub(super) key_since: Timestamp,
    /// How long the provider honours a key; `None`: an unanswered attempt is never repeated.
    pub(super) key_retention: Option<SignedDuration>,
    pub(super) now: Timestamp,
    /// Drawn in `[0, 1)` for the jitter of the backoff.
    pub(super) chance: f64,
}

/// What is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settled {
    pub(super) next: Next,
    pub(super) gate: Option<Gate>,
    pub(super) chat: Option<NewChat>,
    /// The provider refuses the account: the run halts with these words.
    pub(super) halt: Option<String>,
}

/// Whether the next try may use the same request.
#[derive(Clone, Copy)]
enum Body {
    Same,
    /// It names a file that is gone: a new body, and so a new key.
    Anew,
}

impl Settled {
    fn to(next: Next) -> Self {
        Self {
            next,
            gate: None,
            chat: None,
            halt: None,
        }
    }
}

pub(super) fn settle(outcome: &Outcome, at: Settling<'_>) -> Settled {
    match outcome {
        Outcome::Accepted {
            message_id,
            chat_id,
        } => accepted(message_id.as_ref(), chat_id.as_ref(), at),
        // The provider looks at the key first (chert §5), so its own word about a message that may
        // be out means that it is not. Anybody else's word, such as a proxy's, does not.
        Outcome::Permanent { failure } if failure.code.is_some() => Settled::to(Next::Failed),
        Outcome::Permanent { .. } => Settled::to(at.given_up()),
        Outcome::Uncertain { .. } => Settled::to(at.unanswered()),
        // A new body means a new key, and the one before may have been taken: two messages.
        Outcome::MediaLost { .. } if at.may_be_out => Settled::to(at.given_up()),
        Outcome::MediaLost { .. } => Settled::to(at.counted(at.now, Body::Anew)),
        Outcome::StopRun { failure } => Settled {
            halt: Some(failure.text.clone()),
            ..Settled::to(at.pending(at.now, Hold::Retry))
        },
        Outcome::LineBusy { after, failure } => {
            let until = later(at.now, *after);
            Settled {
                gate: Some(at.gate(Held::Line(at.line.to_owned()), until, &failure.text)),
                ..Settled::to(at.pending(until, Hold::LineCapacity))
            }
        }
        Outcome::LineInactive { failure } => {
            let until = later(at.now, LINE_LOOK_AFTER);
            let held = Held::Line(at.line.to_owned());
            Settled {
                gate: Some(Gate {
                    inactive_since: Some(at.now),
                    ..at.gate(held, until, &failure.text)
                }),
                ..Settled::to(at.pending(until, Hold::LineInactive))
            }
        }
        Outcome::Retry {
            after: Some(after),
            scope,
            failure,
        } => {
            let until = later(at.now, *after);
            match scope {
                Scope::Account => Settled {
                    gate: Some(at.gate(Held::Account, until, &failure.text)),
                    ..Settled::to(at.pending(until, Hold::Throttled))
                },
                Scope::Recipient | Scope::Turn => Settled {
                    gate: Some(at.gate(Held::Recipient(at.phone.clone()), until, &failure.text)),
                    ..Settled::to(at.given_wait(until, Hold::Retry))
                },
            }
        }
        Outcome::Retry {
            after: None,
            scope,
            failure,
        } => {
            let until = later(at.now, at.policy.backoff(at.tries + 1, at.chance));
            let gate = match scope {
                Scope::Account => Some(at.gate(Held::Account, until, &failure.text)),
                Scope::Recipient | Scope::Turn => None,
            };
            Settled {
                gate,
                ..Settled::to(at.counted(until, Body::Same))
            }
        }
    }
}

fn accepted(message_id: Option<&String>, chat_id: Option<&String>, at: Settling<'_>) -> Settled {
    let chat = chat_id.map(|chat_id| NewChat {
        gateway: at.gateway.to_owned(),
        phone: at.phone.clone(),
        chat_id: chat_id.clone(),
        line: at.line.to_owned(),
    });
    let next = Next::Sent {
        message_id: message_id.cloned(),
        chat_id: chat_id.cloned(),
    };
    Settled {
        chat,
        ..Settled::to(next)
    }
}

/// A time after `wait`; a wait past the end of the calendar is the end of the calendar.
pub(super) fn later(now: Timestamp, wait: SignedDuration) -> Timestamp {
    now.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

impl Settling<'_> {
    fn gate(&self, held: Held, until: Timestamp, reason: &str) -> Gate {
        Gate {
            gateway: self.gateway.to_owned(),
            held,
            until,
            inactive_since: None,
            reason: reason.to_owned(),
        }
    }

    /// Due again; no try is counted.
    fn pending(&self, due_at: Timestamp, hold: Hold) -> Next {
        self.again(due_at, hold, self.tries)
    }

    /// Due again with the same body. What may be out stays so until the provider has answered
    /// for it: a refusal for now says nothing about the attempt before.
    fn again(&self, due_at: Timestamp, hold: Hold, tries: u32) -> Next {
        if self.may_be_out {
            Next::Unanswered {
                again_at: due_at,
                tries,
            }
        } else {
            Next::Pending {
                due_at,
                hold,
                tries,
                anew: false,
            }
        }
    }

    /// No further try. What may be out is never called failed.
    fn given_up(&self) -> Next {
        if self.may_be_out {
            self.doubtful()
        } else {
            Next::Failed
        }
    }

    /// Not to be repeated: the chat may tell what became of it, or a person must.
    fn doubtful(&self) -> Next {
        if self.can_look_up {
            Next::Unanswered {
                again_at: later(self.now, self.shown_after),
                tries: match self.key_retention {
                    // Whether it is tried again is decided when it was looked for.
                    None => self.tries + 1,
                    Some(_) => self.policy.attempts.max(1),
                },
            }
        } else {
            Next::Uncertain
        }
    }

    /// When the patience of the campaign began. A wait for the account or the line is nobody's
    /// fault and costs none.
    fn patience_since(&self) -> Timestamp {
        if self.tries == 0 {
            self.now
        } else {
            self.first_attempt_at
        }
    }

    /// A wait for this recipient alone: obeyed to the second and free of charge, but not past
    /// the time at which the campaign gives up.
    fn given_wait(&self, due_at: Timestamp, hold: Hold) -> Next {
        if due_at.duration_since(self.first_attempt_at) >= self.policy.give_up_after {
            self.given_up()
        } else {
            self.pending(due_at, hold)
        }
    }

    /// Due again as long as the campaign allows another try.
    fn counted(&self, due_at: Timestamp, body: Body) -> Next {
        let tries = self.tries + 1;
        if !self.policy.allows(tries, self.patience_since(), due_at) {
            return self.given_up();
        }
        match body {
            Body::Same => self.again(due_at, Hold::Retry, tries),
            Body::Anew => Next::Pending {
                due_at,
                hold: Hold::Retry,
                tries,
                anew: true,
            },
        }
    }

    /// The message may be out. Only the same key and body can tell, and only while the
    /// provider still remembers the key.
    fn unanswered(&self) -> Next {
        let tries = self.tries + 1;
        let again_at = later(self.now, self.policy.backoff(tries, self.chance));
        let remembered = self
            .key_retention
            .is_some_and(|kept| again_at.duration_since(self.key_since) < kept);
        if remembered && self.policy.allows(tries, self.patience_since(), again_at) {
            Next::Unanswered { again_at, tries }
        } else {
            self.doubtful()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::address::Address;
    use crate::domain::outcome::Failure;
    use proptest::prelude::*;

    fn at<'a>(policy: &'a RetryPolicy, phone: &'a Address, tries: u32) -> Settling<'a> {
        Settling {
            policy,
            gateway: "chert",
            phone,
            line: "+15555550100",
            tries,
            may_be_out: false,
            can_look_up: false,
            shown_after: SignedDuration::from_secs(5),
            first_attempt_at: Timestamp::UNIX_EPOCH,
            key_since: Timestamp::UNIX_EPOCH,
            key_retention: Some(SignedDuration::from_hours(24)),
            now: Timestamp::UNIX_EPOCH,
            chance: 0.5,
        }
    }

    fn phone() -> Address {
        Address::stored("+12025550143").unwrap()
    }

    fn failure() -> Failure {
        Failure {
            text: "no".into(),
            ..Failure::default()
        }
    }

    #[test]
    fn a_wait_by_the_provider_is_obeyed_to_the_second_and_burns_no_try() {
        let (policy, phone) = (RetryPolicy::default(), phone());
        let after = Some(SignedDuration::from_secs(7_200));
        let outcome = Outcome::Retry {
            after,
            scope: Scope::Account,
            failure: failure(),
        };
        let settled = settle(&outcome, at(&policy, &phone, 4));
        let until = Timestamp::from_second(7_200).unwrap();
        assert_eq!(
            settled.next,
            Next::Pending {
                due_at: until,
                hold: Hold::Throttled,
                tries: 4,
                anew: false
            }
        );
        let gate = settled.gate.unwrap();
        assert_eq!((gate.held, gate.until), (Held::Account, until));
    }

    #[test]
    fn an_inactive_line_holds_its_people_without_an_end_and_burns_no_try() {
        let (policy, phone) = (RetryPolicy::default(), phone());
        let outcome = Outcome::LineInactive { failure: failure() };
        let mut settling = at(&policy, &phone, policy.attempts - 1);
        settling.now = later(Timestamp::UNIX_EPOCH, policy.give_up_after * 2);
        let settled = settle(&outcome, settling);
        let gate = settled.gate.unwrap();
        assert_eq!(gate.held, Held::Line(settling.line.to_owned()));
        assert_eq!(gate.inactive_since, Some(settling.now));
        assert_eq!(gate.until, later(settling.now, LINE_LOOK_AFTER));
        let held = Next::Pending {
            due_at: gate.until,
            hold: Hold::LineInactive,
            tries: policy.attempts - 1,
            anew: false,
        };
        assert_eq!(settled.next, held);
        // What may be out stays in doubt: it was an earlier attempt that may have been taken.
        let doubtful = settle(
            &outcome,
            Settling {
                may_be_out: true,
                ..settling
            },
        );
        assert!(matches!(doubtful.next, Next::Unanswered { .. }));
    }

    #[test]
    fn a_busy_line_holds_only_itself() {
        let (policy, phone) = (RetryPolicy::default(), phone());
        let after = SignedDuration::from_secs(60);
        let outcome = Outcome::LineBusy {
            after,
            failure: failure(),
        };
        let gate = settle(&outcome, at(&policy, &phone, 0)).gate.unwrap();
        assert_eq!(gate.held, Held::Line("+15555550100".to_owned()));
    }

    #[test]
    fn an_unanswered_attempt_is_never_failed_and_never_pending() {
        let (policy, phone) = (RetryPolicy::default(), phone());
        let outcome = Outcome::Uncertain { failure: failure() };
        for tries in 0..9 {
            let next = settle(&outcome, at(&policy, &phone, tries)).next;
            assert!(
                matches!(next, Next::Unanswered { .. } | Next::Uncertain),
                "{next:?}"
            );
        }
        let no_keys = Settling {
            key_retention: None,
            ..at(&policy, &phone, 0)
        };
        assert_eq!(settle(&outcome, no_keys).next, Next::Uncertain);
    }

    #[test]
    fn what_may_be_out_is_never_failed_nor_pending_for_want_of_patience() {
        let (policy, phone) = (RetryPolicy::default(), phone());
        let refused = [None, Some(SignedDuration::from_secs(5))].map(|after| Outcome::Retry {
            after,
            scope: Scope::Recipient,
            failure: failure(),
        });
        let no_word = Outcome::Permanent { failure: failure() };
        let no_file = Outcome::MediaLost { failure: failure() };
        let stopped = Outcome::StopRun { failure: failure() };
        for outcome in refused.into_iter().chain([no_word, no_file, stopped]) {
            for tries in 0..9 {
                let doubtful = Settling {
                    may_be_out: true,
                    ..at(&policy, &phone, tries)
                };
                let next = settle(&outcome, doubtful).next;
                assert!(
                    matches!(next, Next::Unanswered { .. } | Next::Uncertain),
                    "{outcome:?} after {tries}: {next:?}"
                );
            }
        }
    }

    #[test]
    fn the_providers_own_no_settles_what_may_be_out() {
        let (policy, phone) = (RetryPolicy::default(), phone());
        let doubtful = Settling {
            may_be_out: true,
            ..at(&policy, &phone, 1)
        };
        let failure = Failure {
            code: Some(1010),
            ..failure()
        };
        let next = settle(&Outcome::Permanent { failure }, doubtful).next;
        assert_eq!(next, Next::Failed);
    }

    #[test]
    fn a_key_older_than_its_retention_is_not_used_again() {
        let policy = RetryPolicy {
            give_up_after: SignedDuration::from_hours(1_000),
            ..RetryPolicy::default()
        };
        let phone = phone();
        let now = Timestamp::from_second(24 * 3_600).unwrap();
        let old = Settling {
            now,
            ..at(&policy, &phone, 0)
        };
        assert_eq!(
            settle(&Outcome::Uncertain { failure: failure() }, old).next,
            Next::Uncertain
        );
    }

    #[test]
    fn a_refused_account_halts_the_run_and_burns_no_try() {
        let (policy, phone) = (RetryPolicy::default(), phone());
        let settled = settle(
            &Outcome::StopRun { failure: failure() },
            at(&policy, &phone, 2),
        );
        assert_eq!(settled.halt.as_deref(), Some("no"));
        assert!(matches!(settled.next, Next::Pending { tries: 2, .. }));
    }

    proptest! {
        #[test]
        fn no_wait_overflows(seconds in 0i64..i64::MAX, tries in 0u32..u32::MAX - 1) {
            let (policy, phone) = (RetryPolicy::default(), phone());
            let after = SignedDuration::from_secs(seconds);
            for outcome in [
                Outcome::LineBusy { after, failure: failure() },
                Outcome::Retry { after: Some(after), scope: Scope::Recipient, failure: failure() },
                Outcome::Retry { after: None, scope: Scope::Account, failure: failure() },
            ] {
                let settled = settle(&outcome, at(&policy, &phone, tries));
                let kept = matches!(settled.next, Next::Pending { .. } | Next::Failed);
                prop_assert!(kept);
            }
        }
    }
}
