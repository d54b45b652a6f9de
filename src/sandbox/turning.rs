//! Turning the provider's clock: how a change is written down, what it does, and how the clock
//! is shown. The clock itself is [`super::time`].

use std::num::NonZeroU32;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Sandbox;
use super::time::{Gait, micros};
use crate::domain::duration;
use crate::sandbox::journal::time_text;

/// The fastest clock: more than a day in each second. A faster one is better stepped.
const MAX_RATE: u32 = 100_000;

/// A change of the provider's clock; what is left out stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// Seconds of the provider to one of the machine's. Sets a stopped clock going, unless
    /// `stopped` says otherwise.
    pub rate: Option<NonZeroU32>,
    pub stopped: Option<bool>,
    /// The provider's time from now on.
    pub at: Option<Timestamp>,
}

/// The provider's clock, as the control surface shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClockReport {
    /// The provider's time.
    pub now: String,
    /// The machine's.
    pub machine: String,
    pub rate: NonZeroU32,
    pub stopped: bool,
}

/// Why the clock cannot be turned so, in words for whoever asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTurn {
    #[error(
        "a turn of the clock is {{\"rate\": 60}}, {{\"stopped\": true}} or \
         {{\"at\": \"2026-06-10T09:15:00Z\"}}, or several of them: {0}"
    )]
    Shape(String),
    #[error("a step is {{\"by\": \"2h\"}}: {0}")]
    Step(String),
    #[error("rate is at most {MAX_RATE}; a step goes further at once")]
    Rate,
    #[error(
        "the clock goes back only while nobody has received anything: it shows {now}; \
         reset the sandbox first"
    )]
    Back { now: String },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StepShape {
    by: String,
}

impl Turn {
    /// Reads a turn from JSON.
    pub fn parse(json: &[u8]) -> Result<Self, BadTurn> {
        serde_json::from_slice(json).map_err(|error| BadTurn::Shape(error.to_string()))
    }
}

/// Reads `{"by": "2h"}`.
pub(super) fn parse_step(json: &[u8]) -> Result<SignedDuration, BadTurn> {
    let shape: StepShape =
        serde_json::from_slice(json).map_err(|error| BadTurn::Step(error.to_string()))?;
    duration::parse(&shape.by).map_err(|error| BadTurn::Step(error.to_string()))
}

impl Sandbox {
    /// What the provider's clock shows.
    pub fn clock(&self) -> ClockReport {
        let course = self.host.time.course();
        ClockReport {
            now: time_text(self.host.now_us()),
            machine: time_text(self.host.machine_us()),
            rate: course.rate,
            stopped: course.gait == Gait::Stopped,
        }
    }

    /// Turns the provider's clock.
    pub fn turn_clock(&self, turn: &Turn) -> Result<ClockReport, BadTurn> {
        if turn.rate.is_some_and(|rate| rate.get() > MAX_RATE) {
            return Err(BadTurn::Rate);
        }
        let at_us = turn.at.map(Timestamp::as_microsecond);
        let now_us = self.host.now_us();
        if at_us.is_some_and(|at_us| at_us < now_us)
            && !(self.chert.is_untouched() && self.hue.is_untouched())
        {
            return Err(BadTurn::Back {
                now: time_text(now_us),
            });
        }
        self.host.time.turn(|course| {
            if let Some(rate) = turn.rate {
                course.rate = rate;
                course.gait = Gait::Running;
            }
            match turn.stopped {
                Some(true) => course.gait = Gait::Stopped,
                Some(false) => course.gait = Gait::Running,
                None => {}
            }
            if let Some(at_us) = at_us {
                course.provider_us = at_us;
            }
        });
        Ok(self.clock())
    }

    /// Steps the provider's clock on, whether it runs or stands still.
    pub fn step_clock(&self, by: SignedDuration) -> ClockReport {
        self.host.time.turn(|course| {
            course.provider_us = course.provider_us.saturating_add(micros(by.abs()));
        });
        self.clock()
    }
}
