//! What the caps of the day leave a claim, so that it takes nobody there is no room for. Only a
//! look: whoever begins an attempt looks again, and counts.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::caps::{CapTx, questions, states};
use super::{CapState, ClaimRequest, LedgerError};
use crate::domain::cap::{Cap, Room, Subject, Touch};
use crate::domain::delivery::Hold;

/// The room that a claim finds, to be used up as it goes.
#[derive(Debug, Default)]
pub(super) struct Budget {
    campaign: Option<Left>,
    /// By line.
    first: HashMap<String, Left>,
}

#[derive(Debug, Clone, Copy)]
struct Left {
    n: u32,
    /// When it is worth asking again, once nothing is left.
    again_at: Timestamp,
    hold: Hold,
}

impl Budget {
    /// Only looks: whoever begins an attempt looks again.
    pub(super) async fn look(
        tx: &mut impl CapTx,
        request: &ClaimRequest<'_>,
        lines: &[String],
    ) -> Result<Self, LedgerError> {
        let limits = &request.limits;
        let campaign = Subject::Campaign(request.run.run.campaign().to_owned());
        let day = limits.day.iter().map(|cap| (campaign.clone(), cap.clone()));
        let first = limits.first_touch.iter().flat_map(|cap| {
            let of_line = |line: &String| (Subject::Line(line.clone()), cap.clone());
            lines.iter().map(of_line).collect::<Vec<_>>()
        });
        let all: Vec<(Subject, Cap)> = day.chain(first).collect();
        if all.is_empty() {
            return Ok(Self::default());
        }
        let asked = questions(&request.run.gateway, &all, request.now);
        let states = states(&all, &tx.used(&asked).await?, request.now)?;
        let mut budget = Self::default();
        for CapState { subject, room, .. } in states {
            let left = Left::of(request, &subject, room);
            match subject {
                Subject::Campaign(_) => budget.campaign = Some(left),
                Subject::Line(line) => {
                    budget.first.insert(line, left);
                }
            }
        }
        Ok(budget)
    }

    /// The caps that somebody is under who is written to from `line`.
    fn under(&self, line: &str, touch: Touch) -> impl Iterator<Item = &Left> {
        let campaign = (touch != Touch::Again).then_some(self.campaign.as_ref());
        let first = (touch == Touch::First).then(|| self.first.get(line));
        campaign.flatten().into_iter().chain(first.flatten())
    }

    /// How many of a kind may be taken from a line.
    pub(super) fn left(&self, line: &str, touch: Touch) -> u32 {
        let least = self.under(line, touch).map(|left| left.n).min();
        least.unwrap_or(u32::MAX)
    }

    /// Where nothing is left: until when, and why.
    pub(super) fn closed(&self, line: &str, touch: Touch) -> Option<(Timestamp, Hold)> {
        self.under(line, touch)
            .filter(|left| left.n == 0)
            .map(|left| (left.again_at, left.hold))
            .max_by_key(|(at, _)| *at)
    }

    pub(super) fn take(&mut self, line: &str, touch: Touch) {
        let campaign = self.campaign.as_mut().filter(|_| touch != Touch::Again);
        let first = (touch == Touch::First)
            .then(|| self.first.get_mut(line))
            .flatten();
        for left in campaign.into_iter().chain(first) {
            left.n = left.n.saturating_sub(1);
        }
    }
}

/// What was claimed before and may not be counted yet is worth another look this soon.
const SOON: SignedDuration = SignedDuration::from_secs(1);

impl Left {
    /// What this process has claimed before may still be on its way to being counted.
    fn of(request: &ClaimRequest<'_>, subject: &Subject, room: Room) -> Self {
        let hold = subject.hold();
        match room {
            Room::Closed { until } => Self {
                n: 0,
                again_at: until,
                hold,
            },
            Room::Open(n) => {
                let in_hand = match subject {
                    Subject::Campaign(_) => request.in_hand.values().sum(),
                    Subject::Line(line) => request.in_hand.get(line).copied().unwrap_or(0),
                };
                let soon = request.now.saturating_add(SOON);
                Self {
                    n: n.saturating_sub(in_hand),
                    again_at: soon.unwrap_or(request.now),
                    hold,
                }
            }
        }
    }
}
