//! How long a provider asks us to wait: `Retry-After` in both of its forms, and a number in a
//! body. A wait is never shortened; what cannot be counted becomes a century, so that it can be
//! added to any instant. Does not decide what the wait applies to.

use jiff::civil::DateTime;
use jiff::fmt::{rfc2822, strtime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

/// As good as never, and still safe to add to an instant.
const CENTURY: SignedDuration = SignedDuration::from_hours(100 * 366 * 24);

/// The `Retry-After` of an answer: whole seconds or a date (RFC 9110 §10.2.3). A date counts from
/// the answer's own `Date`, so that our clock does not matter; `now` stands in where it has none.
/// None for a wait of nothing: then the campaign's own backoff is the longer one.
pub(super) fn retry_after(
    headers: &HeaderMap,
    now: impl FnOnce() -> Timestamp,
) -> Option<SignedDuration> {
    let text = text(headers, &RETRY_AFTER)?;
    if let Some(wait) = seconds_text(text) {
        return positive(wait);
    }
    let until = http_date(text)?;
    let from = date(headers).unwrap_or_else(now);
    positive(until.duration_since(from).min(CENTURY))
}

/// The answer's `Date`: the provider's clock.
pub(super) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(text(headers, &DATE)?)
}

/// A number of seconds in a JSON body: whole, broken, or as text. Broken ones are rounded up.
pub(super) fn in_body(value: &serde_json::Value) -> Option<SignedDuration> {
    use serde_json::Value;
    let wait = match value {
        Value::Number(number) => match number.as_u64() {
            Some(seconds) => from_secs(seconds),
            None => fraction(number.as_f64()?),
        },
        Value::String(text) => match seconds_text(text) {
            Some(wait) => wait,
            None => fraction(text.trim().parse().ok()?),
        },
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    positive(wait)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// Digits only; however many.
fn seconds_text(text: &str) -> Option<SignedDuration> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| from_secs(text.parse().unwrap_or(u64::MAX)))
}

fn from_secs(seconds: u64) -> SignedDuration {
    i64::try_from(seconds).map_or(CENTURY, |seconds| {
        SignedDuration::from_secs(seconds).min(CENTURY)
    })
}

fn fraction(seconds: f64) -> SignedDuration {
    if seconds.is_nan() {
        return SignedDuration::ZERO;
    }
    let ceiling = seconds.ceil().clamp(0.0, CENTURY.as_secs_f64());
    SignedDuration::try_from_secs_f64(ceiling).unwrap_or(CENTURY)
}

fn positive(wait: SignedDuration) -> Option<SignedDuration> {
    wait.is_positive().then_some(wait)
}

/// The three date forms that a recipient must understand (RFC 9110 §5.6.7).
fn http_date(text: &str) -> Option<Timestamp> {
    if let Ok(instant) = rfc2822::DateTimeParser::new().parse_timestamp(text) {
        return Some(instant);
    }
    ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"]
        .iter()
        .find_map(|format| {
            let civil: DateTime = strtime::parse(format, text).ok()?.to_datetime().ok()?;
            let zoned = civil.to_zoned(TimeZone::UTC).ok()?;
            Some(zoned.timestamp())
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    fn wait(pairs: &[(&'static str, &str)]) -> Option<i64> {
        let now = || "2026-06-10T09:15:00Z".parse().unwrap();
        retry_after(&headers(pairs), now).map(|wait| wait.as_secs())
    }

    #[test]
    fn both_forms_are_read() {
        assert_eq!(wait(&[("retry-after", "120")]), Some(120));
        assert_eq!(wait(&[("retry-after", " 7 ")]), Some(7));
        for date in [
            "Wed, 10 Jun 2026 09:16:30 GMT",
            "Wednesday, 10-Jun-26 09:16:30 GMT",
            "Wed Jun 10 09:16:30 2026",
        ] {
            assert_eq!(wait(&[("retry-after", date)]), Some(90), "{date}");
        }
        assert_eq!(wait(&[]), None);
        for nothing in [
            "0",
            "-5",
            "soon",
            "",
            "1.5",
            "Tue, 09 Jun 2026 09:00:00 GMT",
        ] {
            assert_eq!(wait(&[("retry-after", nothing)]), None, "{nothing}");
        }
    }

    #[test]
    fn a_date_counts_from_the_providers_clock() {
        let pairs = [
            ("date", "Wed, 10 Jun 2026 12:00:00 GMT"),
            ("retry-after", "Wed, 10 Jun 2026 12:00:45 GMT"),
        ];
        assert_eq!(wait(&pairs), Some(45));
    }

    #[test]
    fn a_wait_beyond_counting_is_a_century() {
        for huge in [
            "99999999999",
            "18446744073709551616",
            "999999999999999999999999999",
        ] {
            assert_eq!(
                wait(&[("retry-after", huge)]),
                Some(CENTURY.as_secs()),
                "{huge}"
            );
        }
        assert_eq!(in_body(&json!(u64::MAX)), Some(CENTURY));
        assert_eq!(in_body(&json!(1e300)), Some(CENTURY));
        assert_eq!(wait(&[("retry-after", "31536000")]), Some(31_536_000));
    }

    #[test]
    fn a_wait_in_a_body_may_be_written_in_any_way() {
        let secs = SignedDuration::from_secs;
        for (value, expected) in [
            (json!(30), Some(secs(30))),
            (json!(1.2), Some(secs(2))),
            (json!("45"), Some(secs(45))),
            (json!(" 0.5 "), Some(secs(1))),
            (json!(0), None),
            (json!(-3), None),
            (json!("NaN"), None),
            (json!(true), None),
            (json!([1]), None),
            (json!(null), None),
        ] {
            assert_eq!(in_body(&value), expected, "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_wait_can_be_added_to_any_instant_of_this_century(
            text in "\\PC{0,40}", number in any::<f64>(), seconds in any::<u64>(),
        ) {
            let now: Timestamp = "2099-12-31T23:59:59Z".parse().unwrap();
            let values = [json!(text), json!(number), json!(seconds), json!(seconds.to_string())];
            for wait in values.iter().filter_map(in_body) {
                prop_assert!(wait.is_positive() && now.checked_add(wait).is_ok());
            }
            if let Ok(value) = text.parse::<reqwest::header::HeaderValue>() {
                let headers = HeaderMap::from_iter([(RETRY_AFTER, value)]);
                let wait = retry_after(&headers, || now);
                prop_assert!(wait.is_none_or(|wait| now.checked_add(wait).is_ok()));
            }
        }
    }
}
