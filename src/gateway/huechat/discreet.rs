//! Keeps out of failures what the provider only repeats in them: the key, and the words of the
//! request or of the message that failed. Whatever overlaps with those loses the provider's words
//! and keeps their name.

use serde_json::Value;

use crate::domain::outcome::Failure;

/// As many characters in a row are no accident.
const PIECE: usize = 12;
/// What is shorter is too common to be told from other words.
const SHORTEST: usize = 4;
/// Fields whose values are the provider's own names, as are those of its errors.
const NAMES: [&str; 4] = [
    "channel",
    "message_type",
    "template_name",
    "template_language",
];

/// What a request says about a person and to them.
pub(super) fn words_in(body: &[u8]) -> Vec<String> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut words = Vec::new();
    collect(&body, &mut words);
    words
}

/// What a row of a list says to a person.
pub(super) fn words_of(row: &Value) -> Vec<String> {
    let content = row.get("content").and_then(Value::as_str);
    content.map(str::to_owned).into_iter().collect()
}

fn collect(value: &Value, words: &mut Vec<String>) {
    match value {
        Value::String(text) => words.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| collect(value, words)),
        Value::Object(fields) => {
            for (name, value) in fields {
                if !NAMES.contains(&name.as_str()) {
                    collect(value, words);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Takes out of a failure what is to stay hidden.
pub(super) fn hide(failure: &mut Failure, hidden: &[String]) {
    if repeats(&failure.text, hidden) {
        let name = failure.text.split(": ").next().unwrap_or_default();
        let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
        let name = Some(name).filter(|name| name.chars().all(is_name) && !repeats(name, hidden));
        failure.text = match (name, failure.http) {
            (Some(name), _) => format!("{name}, in words that repeat the message"),
            (None, Some(http)) => format!("HTTP {http}, in words that repeat the message"),
            (None, None) => "given up, in words that repeat the message".to_owned(),
        };
    }
    let is_id = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    failure
        .trace_id
        .take_if(|trace| !trace.chars().all(is_id) || repeats(trace, hidden));
}

/// Whether words have a piece in common, however they are spaced.
fn repeats(said: &str, hidden: &[String]) -> bool {
    let plain = |words: &str| {
        let words: Vec<&str> = words.split_whitespace().collect();
        words.join(" ").to_lowercase()
    };
    let shown = plain(said);
    hidden.iter().any(|words| {
        let length = words.trim().chars().count();
        if length < PIECE {
            return length >= SHORTEST && has_word(said, words.trim());
        }
        let words = plain(words);
        let starts = shown.char_indices().map(|(at, _)| at);
        let ends = shown.char_indices().map(|(at, c)| at + c.len_utf8());
        let pieces = starts.zip(ends.skip(PIECE - 1));
        let mut pieces = pieces.filter_map(|(start, end)| shown.get(start..end));
        pieces.any(|piece| words.contains(piece))
    })
}

/// Whether it stands there by itself.
fn has_word(said: &str, word: &str) -> bool {
    said.match_indices(word).any(|(at, word)| {
        let before = said.get(..at).and_then(|text| text.chars().next_back());
        let behind = said
            .get(at + word.len()..)
            .and_then(|text| text.chars().next());
        ![before, behind]
            .into_iter()
            .flatten()
            .any(char::is_alphanumeric)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: &str = r#"{"channel":"whatsapp","message_type":"template","template_name":"parcel_ready","template_parameters":{"1":"Asha","2":"PX-204 at the front desk"},"content":"Your parcel\nis at the front desk"}"#;

    fn told(text: &str) -> String {
        let mut failure = Failure {
            http: Some(422),
            text: text.to_owned(),
            ..Failure::default()
        };
        hide(&mut failure, &words_in(ASKED.as_bytes()));
        failure.text
    }

    #[test]
    fn words_that_repeat_the_request_are_left_out() {
        let hidden = "unprocessable, in words that repeat the message";
        for said in [
            "unprocessable: your parcel  is at the front desk has no link",
            "unprocessable: value …4 at the front de…",
            "unprocessable: no Asha here",
        ] {
            assert_eq!(told(said), hidden, "{said}");
        }
        assert_eq!(
            told("Asha: gone"),
            "HTTP 422, in words that repeat the message"
        );
    }

    #[test]
    fn words_of_their_own_are_kept() {
        for said in [
            "template_not_approved: the template parcel_ready is not approved on whatsapp",
            "unprocessable: no parcel, no Ashanti",
        ] {
            assert_eq!(told(said), said);
        }
    }

    #[test]
    fn a_name_of_an_exchange_is_kept_where_it_can_be_one() {
        let hidden = ["sk_test_0123456789".to_owned()];
        for (trace, kept) in [
            ("req_7Qk2f0", true),
            ("sk_test_0123456789", false),
            ("dana@example.org", false),
            ("+12025550143", false),
        ] {
            let mut failure = Failure {
                trace_id: Some(trace.to_owned()),
                ..Failure::default()
            };
            hide(&mut failure, &hidden);
            assert_eq!(failure.trace_id.is_some(), kept, "{trace}");
        }
    }
}
