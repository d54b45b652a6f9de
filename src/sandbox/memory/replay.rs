//! Doing again what a state file tells, at the moments at which it was done. Nothing of it is
//! told to anyone: the sandbox does not serve yet.

use std::path::Path;

use axum::body::Body;
use axum::http::Request;
use tower::ServiceExt as _;

use super::file::{self, Header, Line};
use super::{Act, Redone, StateError};
use crate::sandbox::{Sandbox, control};

/// What a state file held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recalled {
    /// How many acts were done again.
    pub acts: usize,
    /// How many bytes of a last line that was never finished were dropped.
    pub torn: u64,
}

impl Sandbox {
    /// Does again what the file tells, and writes down there from now on whatever changes
    /// anything, before its answer leaves. To be called before this sandbox serves. What is done
    /// by methods of this handle instead of requests is not written down.
    pub async fn keep(&self, path: &Path) -> Result<Recalled, StateError> {
        if self.chert.admits_strangers() {
            return Err(StateError::Strangers);
        }
        let lines = self.lines.iter().map(|line| line.expose().to_owned());
        let fresh = Header::new(
            self.seed,
            lines.collect(),
            self.chert.slugs(),
            self.host.time.course(),
        );
        let kept = file::open(path, &fresh)?;
        for (same, what) in [
            (kept.header.seed == fresh.seed, "another seed"),
            (kept.header.lines == fresh.lines, "other lines"),
            (kept.header.tenants == fresh.tenants, "other tenants"),
        ] {
            if !same {
                return Err(StateError::Other { what });
            }
        }
        let course = kept.header.course();
        self.host.time.turn(|now| *now = course);
        let acts = kept.lines.len();
        for (line, number) in kept.lines.into_iter().zip(2..) {
            self.redo(line).await.ok_or(StateError::Differs(number))?;
        }
        self.chert.recalled();
        self.hue.recalled();
        self.host.memory.begin(kept.log).await;
        Ok(Recalled {
            acts,
            torn: kept.torn,
        })
    }

    async fn redo(&self, line: Line) -> Option<()> {
        let _then = self.host.time.pin(line.at_us);
        match line.act {
            Act::Call(act) => {
                let answer = act.answer;
                let redone = self.chert.redo(*act);
                matches!(redone, Redone::Done(same) if Some(same) == answer).then_some(())
            }
            Act::HueCall(act) => {
                let answer = act.answer;
                let redone = self.hue.redo(*act);
                matches!(redone, Redone::Done(same) if Some(same) == answer).then_some(())
            }
            Act::HueTry { to, request } => {
                self.hue.retry(&to, request);
                Some(())
            }
            Act::Try { to, key, request } => {
                self.chert.retry(&to, key.as_deref(), request);
                Some(())
            }
            Act::Control { method, path, body } => {
                let request = Request::builder().method(method.as_str()).uri(path);
                let request = request.body(Body::from(body)).ok()?;
                let answer = control::routes(self.clone()).oneshot(request).await;
                answer
                    .is_ok_and(|answer| answer.status().is_success())
                    .then_some(())
            }
        }
    }
}
