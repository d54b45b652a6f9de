//! The five fields of a cron expression: what may stand in each. Does not read them.

use std::fmt;

/// One of the five fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CronField {
    Minute,
    Hour,
    DayOfMonth,
    Month,
    DayOfWeek,
}

/// In the order in which they are written.
pub(super) const FIELDS: [CronField; 5] = [
    CronField::Minute,
    CronField::Hour,
    CronField::DayOfMonth,
    CronField::Month,
    CronField::DayOfWeek,
];

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];

const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl CronField {
    /// The smallest and the largest value.
    pub(super) fn range(self) -> (u8, u8) {
        match self {
            Self::Minute => (0, 59),
            Self::Hour => (0, 23),
            Self::DayOfMonth => (1, 31),
            Self::Month => (1, 12),
            Self::DayOfWeek => (0, 7),
        }
    }

    /// The names of its values, and the value of the first.
    pub(super) fn names(self) -> (&'static [&'static str], u8) {
        match self {
            Self::Minute | Self::Hour | Self::DayOfMonth => (&[], 0),
            Self::Month => (&MONTHS, 1),
            Self::DayOfWeek => (&WEEKDAYS, 0),
        }
    }

    /// What may stand in this field, in a few words.
    pub fn allowed(self) -> &'static str {
        match self {
            Self::Minute => {
                "0 to 59, *, ranges such as 0-30, lists such as 0,30, steps such as */15"
            }
            Self::Hour => "0 to 23, *, ranges such as 9-17, lists such as 9,14, steps such as */2",
            Self::DayOfMonth => {
                "1 to 31, *, ranges, lists, steps, L for the last day, 15W for the weekday nearest \
                 the 15th, LW for the last weekday"
            }
            Self::Month => "1 to 12 or JAN to DEC, *, ranges, lists, steps such as */3",
            Self::DayOfWeek => {
                "0 to 7 or SUN to SAT (0 and 7 are Sunday), *, ranges such as MON-FRI, lists, FRI#2 \
                 for the second Friday, FRIL for the last"
            }
        }
    }
}

impl fmt::Display for CronField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day of month",
            Self::Month => "month",
            Self::DayOfWeek => "day of week",
        })
    }
}
