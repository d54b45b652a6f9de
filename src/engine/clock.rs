//! The one place that reads the time of day. Everything else is told.

use std::fmt::Debug;

use jiff::Timestamp;

use crate::crash_points;

/// Says what time it is.
pub trait Clock: Debug + Send + Sync {
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        crash_points::seen(Timestamp::now())
    }
}
