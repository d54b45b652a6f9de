//! Lengths of time as people write them in a campaign: `30s`, `10m`, `1h30m`, `48h`, `2d`.

use jiff::SignedDuration;

/// Why a text is not a length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadDuration {
    #[error("a length of time is a number and a unit, such as 500ms, 30s, 10m, 2h or 1d")]
    Shape,
    #[error("the unit is missing; write {0}s for seconds, {0}m for minutes, {0}h for hours")]
    NoUnit(u64),
    #[error("longer than a year")]
    TooLong,
}

const UNITS: [(&str, i64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// Reads `1h30m`; units from large to small, each at most once; a day is 24 hours.
pub fn parse(text: &str) -> Result<SignedDuration, BadDuration> {
    let text = text.trim();
    if let Ok(number) = text.parse() {
        return Err(BadDuration::NoUnit(number));
    }
    let (mut rest, mut total, mut last_unit) = (text, 0i64, i64::MAX);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at_checked(digits).ok_or(BadDuration::Shape)?;
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at_checked(letters).ok_or(BadDuration::Shape)?;
        let (_, ms) = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or(BadDuration::Shape)?;
        if number.is_empty() || *ms >= last_unit {
            return Err(BadDuration::Shape);
        }
        let number: i64 = number.parse().map_err(|_| BadDuration::TooLong)?;
        total = number
            .checked_mul(*ms)
            .and_then(|part| total.checked_add(part))
            .filter(|total| *total <= 366 * 86_400_000)
            .ok_or(BadDuration::TooLong)?;
        (rest, last_unit) = (tail, *ms);
    }
    if text.is_empty() {
        Err(BadDuration::Shape)
    } else {
        Ok(SignedDuration::from_millis(total))
    }
}

/// The shortest text that reads back to the same, to the millisecond.
pub fn format(duration: SignedDuration) -> String {
    let mut ms = i64::try_from(duration.as_millis())
        .unwrap_or(i64::MAX)
        .max(0);
    let mut text = String::new();
    for (unit, size) in UNITS.iter().rev() {
        if ms >= *size {
            text += &(ms / size).to_string();
            text += unit;
            ms %= size;
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_read_as_written() {
        assert_eq!(parse("1h30m"), Ok(SignedDuration::from_mins(90)));
        assert_eq!(parse("250ms"), Ok(SignedDuration::from_millis(250)));
        assert_eq!(parse("30"), Err(BadDuration::NoUnit(30)));
        for bad in ["", "h", "1x", "1m1h", "1h1h", "-1s", "1 h", "one"] {
            assert_eq!(parse(bad), Err(BadDuration::Shape), "{bad:?}");
        }
        assert_eq!(parse("9999999999999d"), Err(BadDuration::TooLong));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(ms in 0i64..31_000_000_000) {
            let duration = SignedDuration::from_millis(ms);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }

        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,12}") {
            assert!(parse(&text).is_ok() || parse(&text).is_err());
        }
    }
}
