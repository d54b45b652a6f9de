//! What WhatsApp says of a message that the provider handed on (huechat §8.2). The provider keeps it
//! as free text; a code stands in front of it, or behind a `#`, or nowhere.

use jiff::SignedDuration;

use super::super::words;
use crate::domain::outcome::{Failure, Outcome, Scope};

/// Between two messages to one person (huechat §8.2, code 131056).
const PAIR_WAIT: SignedDuration = SignedDuration::from_secs(6);
/// The same when the number as a whole was too fast (code 130429): a second is 80 messages.
const THROUGHPUT_WAIT: SignedDuration = SignedDuration::from_secs(1);

/// What went wrong with a message, in the platform's terms.
pub(super) fn failure(error: Option<&str>) -> Failure {
    let code = error.and_then(code);
    let said = error.map(words::tame).filter(|words| !words.is_empty());
    let known = code.and_then(meaning);
    Failure {
        code,
        http: None,
        text: match (known, said) {
            (Some(known), _) => known.to_owned(),
            (None, Some(said)) => format!("given up by the channel: {said}"),
            (None, None) => "given up by the channel, without a reason".to_owned(),
        },
        trace_id: None,
    }
}

/// What it means for a message that was not taken at all.
pub(super) fn outcome(failure: Failure) -> Outcome {
    match failure.code {
        Some(131_056) => Outcome::Retry {
            after: Some(PAIR_WAIT),
            scope: Scope::Recipient,
            failure,
        },
        Some(130_429) => Outcome::Retry {
            after: Some(THROUGHPUT_WAIT),
            scope: Scope::Account,
            failure,
        },
        code if is_about_the_template(code) => Outcome::StopRun { failure },
        _ => Outcome::Permanent { failure },
    }
}

/// Whether everybody's message would fail for the same reason.
pub(super) fn is_about_the_template(code: Option<u32>) -> bool {
    matches!(code, Some(132_000 | 132_001 | 132_012 | 132_015 | 132_016))
}

fn meaning(code: u32) -> Option<&'static str> {
    Some(match code {
        131_026 => "WhatsApp cannot reach this person: no account, or one that is too old",
        131_047 => "the person has not written within 24 hours, so only a template reaches them",
        131_049 => "WhatsApp held it back for this person's sake; not again within 24 hours",
        131_056 => "too many messages to this person within seconds",
        130_429 => "the number sends faster than WhatsApp allows",
        132_000 => "the template takes another number of values",
        132_001 => "the template does not exist, or not in this language",
        132_012 => "a value of the template has a form that it does not take",
        132_015 => "the template is paused by WhatsApp",
        132_016 => "the template is disabled by WhatsApp",
        _ => return None,
    })
}

/// Six digits in front, or behind a `#`.
fn code(text: &str) -> Option<u32> {
    let digits = |text: &str| {
        let end = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let number = text.get(..end)?;
        (number.len() == 6).then(|| number.parse().ok()).flatten()
    };
    let text = text.trim_start();
    digits(text).or_else(|| {
        text.match_indices('#')
            .find_map(|(at, mark)| digits(text.get(at + mark.len()..)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_code_is_found_in_front_and_behind_a_hash() {
        for text in [
            "131026: Message undeliverable",
            "131026",
            "(#131026) Message undeliverable",
            "error #131026: gone",
        ] {
            assert_eq!(failure(Some(text)).code, Some(131_026), "{text}");
        }
        for text in ["13102: x", "1310267: x", "no reason", "", "#12"] {
            assert_eq!(failure(Some(text)).code, None, "{text}");
        }
    }

    #[test]
    fn each_code_has_its_class() {
        let class = |code: u32| outcome(failure(Some(&code.to_string())));
        for code in [131_026, 131_047, 131_049, 999_999] {
            assert!(matches!(class(code), Outcome::Permanent { .. }), "{code}");
        }
        for code in [132_000, 132_001, 132_012, 132_015, 132_016] {
            assert!(matches!(class(code), Outcome::StopRun { .. }), "{code}");
        }
        assert!(matches!(
            class(131_056),
            Outcome::Retry { after: Some(after), scope: Scope::Recipient, .. }
                if after >= SignedDuration::from_secs(6)
        ));
        assert!(matches!(
            class(130_429),
            Outcome::Retry {
                scope: Scope::Account,
                ..
            }
        ));
    }

    #[test]
    fn other_words_are_kept_and_tamed() {
        let text = failure(Some("mailbox of +12025550143 is full")).text;
        assert!(
            text.contains("mailbox of") && !text.contains("2025550143"),
            "{text}"
        );
    }

    proptest! {
        #[test]
        fn whatever_is_said_is_read(text: String) {
            let _failure = failure(Some(&text));
        }
    }
}
