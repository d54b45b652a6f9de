//! The parts of a window: weekdays and times of day. Does not know zones or instants.

use std::fmt;

use jiff::civil::{Time, Weekday};
use serde::{Deserialize, Serialize};

use super::BadWindow;

/// A set of weekdays, not empty: `MON-SAT`, `MON,WED,FRI`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Days(u8);

/// A time of day to the minute, `00:00` to `24:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DayTime(u16);

/// In the order of the week, with the names that cron uses too.
const WEEK: [(&str, Weekday); 7] = [
    ("MON", Weekday::Monday),
    ("TUE", Weekday::Tuesday),
    ("WED", Weekday::Wednesday),
    ("THU", Weekday::Thursday),
    ("FRI", Weekday::Friday),
    ("SAT", Weekday::Saturday),
    ("SUN", Weekday::Sunday),
];

impl Days {
    /// Monday to Sunday.
    pub const ALL: Self = Self(0b111_1111);

    /// Reads `MON-SAT`, `MON,WED,FRI`, `FRI-MON` (over the end of the week), in any case.
    pub fn parse(text: &str) -> Result<Self, BadWindow> {
        let bad = || BadWindow::Days(text.trim().to_owned());
        let place = |name: &str| {
            WEEK.iter()
                .position(|(day, _)| day.eq_ignore_ascii_case(name.trim()))
                .ok_or_else(bad)
        };
        let mut set = 0u8;
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (place(first)?, place(last)?);
            for step in 0..=(last + 7 - first) % 7 {
                set |= 1 << ((first + step) % 7);
            }
        }
        Ok(Self(set))
    }

    pub fn contains(self, day: Weekday) -> bool {
        self.0 >> day.to_monday_zero_offset().unsigned_abs() & 1 == 1
    }
}

/// The shortest way to write it: runs of three and more as a range.
impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut pieces: Vec<Vec<&str>> = Vec::new();
        let mut previous = false;
        for (name, day) in WEEK {
            let here = self.contains(day);
            match pieces.last_mut().filter(|_| previous) {
                Some(run) if here => run.push(name),
                Some(_) | None if here => pieces.push(vec![name]),
                Some(_) | None => {}
            }
            previous = here;
        }
        let pieces: Vec<String> = pieces
            .iter()
            .map(|run| match run.as_slice() {
                [first, _, .., last] => format!("{first}-{last}"),
                short => short.join(","),
            })
            .collect();
        f.write_str(&pieces.join(","))
    }
}

impl DayTime {
    /// Reads `9:00`, `09:00` or `24:00`.
    pub fn parse(text: &str) -> Result<Self, BadWindow> {
        let bad = || BadWindow::Time(text.trim().to_owned());
        let (hour, minute) = text.trim().split_once(':').ok_or_else(bad)?;
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if !(1..=2).contains(&hour.len()) || minute.len() != 2 || !digits(hour) || !digits(minute) {
            return Err(bad());
        }
        let hour: u16 = hour.parse().map_err(|_| bad())?;
        let minute: u16 = minute.parse().map_err(|_| bad())?;
        let total = hour * 60 + minute;
        if minute < 60 && total <= 24 * 60 {
            Ok(Self(total))
        } else {
            Err(bad())
        }
    }

    /// The minute that a clock shows.
    pub(super) fn of(time: Time) -> Self {
        let minutes = i16::from(time.hour()) * 60 + i16::from(time.minute());
        Self(minutes.unsigned_abs())
    }

    /// As a time of day; `None` for 24:00, which no clock shows.
    pub(super) fn time(self) -> Option<Time> {
        let hour = i8::try_from(self.0 / 60).ok()?;
        let minute = i8::try_from(self.0 % 60).ok()?;
        Time::new(hour, minute, 0, 0).ok()
    }
}

impl fmt::Display for DayTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl TryFrom<String> for Days {
    type Error = BadWindow;
    fn try_from(text: String) -> Result<Self, BadWindow> {
        Self::parse(&text)
    }
}

impl From<Days> for String {
    fn from(days: Days) -> Self {
        days.to_string()
    }
}

impl TryFrom<String> for DayTime {
    type Error = BadWindow;
    fn try_from(text: String) -> Result<Self, BadWindow> {
        Self::parse(&text)
    }
}

impl From<DayTime> for String {
    fn from(time: DayTime) -> Self {
        time.to_string()
    }
}
