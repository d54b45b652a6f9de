//! Allowed hours: days of the week and a span of the day, in one zone or in each recipient's own.
//! Does not know when anything is due; it only moves a time to the next allowed one.

mod countries;
mod parts;
mod zones;

use std::fmt;

use jiff::civil::Date;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

pub use parts::{DayTime, Days};

use super::address::Address;
use super::schedule::zone::{self, UnknownZone};

/// Days of the week and hours in which a message may leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct Window {
    days: Days,
    from: DayTime,
    to: DayTime,
    zone: WindowZone,
}

/// Whose clock the hours are read on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum WindowZone {
    /// `recipient`: the zone from the list; where it is unknown, every zone of the phone's country.
    Recipient,
    Fixed(TimeZone),
}

/// Why a text is no part of a window, or a window is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadWindow {
    #[error("'{0}' is no set of weekdays; write MON-SAT or MON,WED,FRI")]
    Days(String),
    #[error("'{0}' is no time of day; write 09:00, or 24:00 for the end of the day")]
    Time(String),
    #[error("the window ends at {to}, not after it begins at {from}")]
    Empty { from: DayTime, to: DayTime },
    #[error("{0}, or write recipient")]
    Zone(UnknownZone),
}

/// Why there is no time at which this person may be written to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NeverOpen {
    /// The number's country code tells no country (satellite and international services), or it is
    /// no number at all.
    #[error("the recipient's time zone is unknown, and the address belongs to no country")]
    CountryUnknown,
    /// The country is so wide that the window is never open in all its zones at once.
    #[error(
        "the recipient's time zone is unknown, and the window is never open in all zones of {0} at once"
    )]
    NoCommonHours(String),
}

/// How far ahead an opening is looked for: a week, a day for a zone that is ahead, and a day that a
/// country left out of its calendar (Samoa, 30 December 2011).
const HORIZON_DAYS: i64 = 9;
const HORIZON: SignedDuration = SignedDuration::from_hours(24 * HORIZON_DAYS);

impl Window {
    /// Refuses a window that ends before it begins; one that goes over midnight has to be written
    /// as two campaigns, since nobody is to be written to at night by a slip of the pen.
    pub fn new(
        days: Days,
        from: DayTime,
        to: DayTime,
        zone: WindowZone,
    ) -> Result<Self, BadWindow> {
        if from < to {
            Ok(Self {
                days,
                from,
                to,
                zone,
            })
        } else {
            Err(BadWindow::Empty { from, to })
        }
    }

    pub fn days(&self) -> Days {
        self.days
    }

    /// The first minute of the day in which a message may leave.
    pub fn from(&self) -> DayTime {
        self.from
    }

    /// The first minute of the day in which none may leave any more.
    pub fn to(&self) -> DayTime {
        self.to
    }

    pub fn zone(&self) -> &WindowZone {
        &self.zone
    }

    /// The first moment from `now` on at which this person may be written to: `now` itself while
    /// the window is open. `recipient` is the zone the list gives for the person; without one, a
    /// window in the recipient's time is open only while it is open in every zone of the phone's
    /// country.
    pub fn next_open(
        &self,
        now: Timestamp,
        recipient: Option<&TimeZone>,
        to: &Address,
    ) -> Result<Timestamp, NeverOpen> {
        let (zones, country) = match (&self.zone, recipient) {
            (WindowZone::Fixed(zone), _) | (WindowZone::Recipient, Some(zone)) => {
                (vec![zone.clone()], String::new())
            }
            (WindowZone::Recipient, None) => {
                let country = to.phone().and_then(countries::of);
                let country = country.ok_or(NeverOpen::CountryUnknown)?;
                (country.zones(), country.name())
            }
        };
        self.first_common(now, &zones)
            .ok_or(NeverOpen::NoCommonHours(country))
    }

    /// Moves on to the next opening of every zone that is closed, until all are open at once.
    fn first_common(&self, now: Timestamp, zones: &[TimeZone]) -> Option<Timestamp> {
        let horizon = now.checked_add(HORIZON).ok()?;
        let mut at = now;
        while at <= horizon {
            let mut later = at;
            for zone in zones {
                later = later.max(self.next_in(zone, at)?);
            }
            if later == at {
                return Some(at);
            }
            at = later;
        }
        None
    }

    /// The next opening in one zone, from `at` on.
    fn next_in(&self, zone: &TimeZone, at: Timestamp) -> Option<Timestamp> {
        if self.is_open(zone, at) {
            return Some(at);
        }
        let today = zone.to_datetime(at).date();
        let opening = (0..=HORIZON_DAYS)
            .filter_map(|ahead| today.checked_add(ahead.days()).ok())
            .filter(|date| self.days.contains(date.weekday()))
            .find_map(|date| self.opening(zone, date, at));
        // Clocks that are set back can open a window again whose end they had already passed.
        let horizon = opening.or_else(|| at.checked_add(HORIZON).ok())?;
        zone.following(at)
            .map(|change| change.timestamp())
            .take_while(|change| *change < horizon)
            .find(|change| self.is_open(zone, *change))
            .or(opening)
    }

    /// When the window opens on this date, if that is not before `at`.
    fn opening(&self, zone: &TimeZone, date: Date, at: Timestamp) -> Option<Timestamp> {
        let civil = date.to_datetime(self.from.time()?);
        let first = zone::instant(zone, civil)?;
        let second = match zone.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Fold { after, .. } => after.to_timestamp(civil).ok(),
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Gap { .. } => None,
        };
        [Some(first), second]
            .into_iter()
            .flatten()
            .find(|opening| *opening >= at && self.is_open(zone, *opening))
    }

    fn is_open(&self, zone: &TimeZone, at: Timestamp) -> bool {
        let local = zone.to_datetime(at);
        let minute = DayTime::of(local.time());
        self.days.contains(local.weekday()) && self.from <= minute && minute < self.to
    }
}

/// As it is stored; read back through [`Window::new`].
#[derive(Serialize, Deserialize)]
struct Raw {
    days: Days,
    from: DayTime,
    to: DayTime,
    zone: WindowZone,
}

impl TryFrom<Raw> for Window {
    type Error = BadWindow;
    fn try_from(raw: Raw) -> Result<Self, BadWindow> {
        Self::new(raw.days, raw.from, raw.to, raw.zone)
    }
}

impl From<Window> for Raw {
    fn from(window: Window) -> Self {
        Self {
            days: window.days,
            from: window.from,
            to: window.to,
            zone: window.zone,
        }
    }
}

impl WindowZone {
    /// Reads `recipient` or an IANA name.
    pub fn parse(text: &str) -> Result<Self, BadWindow> {
        if text.trim() == "recipient" {
            return Ok(Self::Recipient);
        }
        zone::parse(text).map(Self::Fixed).map_err(BadWindow::Zone)
    }
}

impl fmt::Display for WindowZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recipient => f.write_str("recipient"),
            Self::Fixed(zone) => f.write_str(zone::name_of(zone)),
        }
    }
}

impl TryFrom<String> for WindowZone {
    type Error = BadWindow;
    fn try_from(text: String) -> Result<Self, BadWindow> {
        Self::parse(&text)
    }
}

impl From<WindowZone> for String {
    fn from(zone: WindowZone) -> Self {
        zone.to_string()
    }
}

#[cfg(test)]
mod tests;
