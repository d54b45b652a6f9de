//! Numbers, lengths of time and moments in the words of a person. Does not lay them out.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

/// `1,234,567`
pub(super) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 row`, `1,234 rows`
pub(super) fn count(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(n), if n == 1 { one } else { many })
}

/// `96.3%`; never 100% of less than all, never 0% of more than none.
pub(super) fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return String::new();
    }
    let wide = u128::from(part) * 1000;
    let rounded = (wide + u128::from(whole) / 2) / u128::from(whole);
    match (part, rounded) {
        (0, _) => "0%".to_owned(),
        (_, 0) => "<0.1%".to_owned(),
        (_, 1000) if part >= whole => "100%".to_owned(),
        (_, 1000) => ">99.9%".to_owned(),
        (_, mille) => format!("{}.{}%", mille / 10, mille % 10),
    }
}

/// The two largest units: `8 seconds`, `4 minutes 1 second`, `2 days 3 hours`.
pub(super) fn lasting(duration: SignedDuration) -> String {
    let seconds = u64::try_from(duration.as_secs()).unwrap_or(0);
    if seconds == 0 {
        return "less than a second".to_owned();
    }
    let units = [
        (86_400, "day", "days"),
        (3_600, "hour", "hours"),
        (60, "minute", "minutes"),
        (1, "second", "seconds"),
    ];
    let largest = units
        .iter()
        .position(|(size, ..)| seconds >= *size)
        .unwrap_or(0);
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (size, one, many) in units.into_iter().skip(largest).take(2) {
        if rest >= size {
            parts.push(count(rest / size, one, many));
            rest %= size;
        }
    }
    parts.join(" ")
}

/// Messages over time in the unit that reads best: `5.1 a second`, `40 a minute`. `None` where
/// too few or too short to say.
pub(super) fn rate(messages: u64, over: SignedDuration) -> Option<String> {
    let ms = u128::try_from(over.as_millis()).unwrap_or(0);
    if messages < 10 || ms < 1000 {
        return None;
    }
    let per = |unit_ms: u128| (u128::from(messages) * unit_ms * 10 + ms / 2) / ms;
    let (tenths, unit) = [
        (1_000, "a second"),
        (60_000, "a minute"),
        (3_600_000, "an hour"),
    ]
    .into_iter()
    .map(|(unit_ms, unit)| (per(unit_ms), unit))
    .find(|(tenths, _)| *tenths >= 10)
    .unwrap_or((per(86_400_000), "a day"));
    let whole = u64::try_from((tenths + 5) / 10).unwrap_or(u64::MAX);
    Some(if tenths < 100 && !tenths.is_multiple_of(10) {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    } else {
        format!("{} {unit}", thousands(whole))
    })
}

/// Moments as somebody at a place sees them at a time.
#[derive(Debug)]
pub(super) struct Calendar<'a> {
    pub(super) now: Timestamp,
    pub(super) timezone: &'a TimeZone,
}

/// How finely a moment is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fine {
    Minutes,
    Seconds,
    /// The seconds and the whole date, for what is read on another day.
    Whole,
}

impl Calendar<'_> {
    fn local(&self, at: Timestamp) -> Zoned {
        at.to_zoned(self.timezone.clone())
    }

    /// `today, 10:00`, `tomorrow, 09:00`, `Fri 20 Nov, 21:00`, with the year if it is another.
    pub(super) fn moment(&self, at: Timestamp, fine: Fine) -> String {
        let (at, now) = (self.local(at), self.local(self.now));
        let time = at.strftime(match fine {
            Fine::Minutes => "%H:%M",
            Fine::Seconds | Fine::Whole => "%H:%M:%S",
        });
        let today = now.date();
        if fine == Fine::Whole {
            format!("{}, {time}", at.strftime("%a %-d %b %Y"))
        } else if at.date() == today {
            format!("today, {time}")
        } else if today.yesterday().is_ok_and(|day| day == at.date()) {
            format!("yesterday, {time}")
        } else if today.tomorrow().is_ok_and(|day| day == at.date()) {
            format!("tomorrow, {time}")
        } else if at.year() == now.year() {
            format!("{}, {time}", at.strftime("%a %-d %b"))
        } else {
            format!("{}, {time}", at.strftime("%a %-d %b %Y"))
        }
    }

    /// The day of a moment: `today`, `yesterday`, `Fri 20 Nov`, with the year if it is another.
    pub(super) fn day(&self, at: Timestamp) -> String {
        let moment = self.moment(at, Fine::Minutes);
        let (day, _) = moment.rsplit_once(", ").unwrap_or((&moment, ""));
        day.to_owned()
    }

    /// The time of day: `10:24:58`.
    pub(super) fn time(&self, at: Timestamp) -> String {
        self.local(at).strftime("%H:%M:%S").to_string()
    }

    /// The same, with how far away it is: `tomorrow, 09:00 (in 10 hours)`.
    pub(super) fn ahead(&self, at: Timestamp) -> String {
        let wait = at.duration_since(self.now);
        let fine = if wait < SignedDuration::from_hours(1) {
            Fine::Seconds
        } else {
            Fine::Minutes
        };
        format!("{} (in {})", self.moment(at, fine), lasting(wait))
    }

    /// The zone in which all this is told: `America/Chicago`, or its offset.
    pub(super) fn zone(&self) -> String {
        self.timezone.iana_name().map_or_else(
            || format!("UTC{}", self.local(self.now).offset()),
            str::to_owned,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_is_never_many() {
        assert_eq!(count(1, "row", "rows"), "1 row");
        assert_eq!(count(0, "row", "rows"), "0 rows");
        assert_eq!(count(1_234_567, "row", "rows"), "1,234,567 rows");
        assert_eq!(thousands(999), "999");
    }

    #[test]
    fn a_share_is_never_rounded_to_all_or_none() {
        assert_eq!(share(1, 1_000_000), "<0.1%");
        assert_eq!(share(999_999, 1_000_000), ">99.9%");
        assert_eq!(share(46, 46), "100%");
        assert_eq!(share(0, 46), "0%");
        assert_eq!(share(40, 46), "87.0%");
    }

    #[test]
    fn a_time_has_its_two_largest_units() {
        let words = |seconds| lasting(SignedDuration::from_secs(seconds));
        assert_eq!(words(0), "less than a second");
        assert_eq!(words(61), "1 minute 1 second");
        assert_eq!(words(3_605), "1 hour");
        assert_eq!(words(2 * 86_400 + 3 * 3_600 + 59), "2 days 3 hours");
    }

    #[test]
    fn a_rate_is_told_in_the_unit_that_reads_best() {
        let words = |n, seconds| rate(n, SignedDuration::from_secs(seconds));
        assert_eq!(words(41, 8).as_deref(), Some("5.1 a second"));
        assert_eq!(words(20_000, 16).as_deref(), Some("1,250 a second"));
        assert_eq!(words(40, 60).as_deref(), Some("40 a minute"));
        assert_eq!(words(30, 86_400).as_deref(), Some("1.3 an hour"));
        assert_eq!(words(10, 864_000).as_deref(), Some("1 a day"));
        assert_eq!(words(9, 60), None);
    }

    #[test]
    fn a_moment_is_told_from_where_the_reader_stands() {
        let timezone = TimeZone::get("America/Chicago").unwrap();
        let now: Timestamp = "2026-11-20T22:30:00-06:00".parse().unwrap();
        let calendar = Calendar {
            now,
            timezone: &timezone,
        };
        let words = |text: &str| calendar.moment(text.parse().unwrap(), Fine::Minutes);
        assert_eq!(words("2026-11-20T10:00:00-06:00"), "today, 10:00");
        assert_eq!(words("2026-11-21T00:00:00-06:00"), "tomorrow, 00:00");
        assert_eq!(words("2026-11-20T05:59:00Z"), "yesterday, 23:59");
        assert_eq!(words("2026-11-24T10:00:00-06:00"), "Tue 24 Nov, 10:00");
        assert_eq!(words("2027-01-02T10:00:00-06:00"), "Sat 2 Jan 2027, 10:00");
        assert_eq!(
            calendar.ahead("2026-11-21T09:00:00-06:00".parse().unwrap()),
            "tomorrow, 09:00 (in 10 hours 30 minutes)"
        );
        assert_eq!(calendar.zone(), "America/Chicago");
    }

    proptest! {
        #[test]
        fn separators_only_separate(n in any::<u64>()) {
            prop_assert_eq!(thousands(n).replace(',', ""), n.to_string());
        }

        #[test]
        fn no_length_and_no_rate_overflows(n in any::<u64>(), ms in any::<i64>()) {
            let over = SignedDuration::from_millis(ms);
            prop_assert!(!lasting(over).is_empty());
            prop_assert!(rate(n, over).is_none_or(|text| !text.is_empty()));
        }
    }
}
