//! Whether a row of a conversation is the message that is looked for (huechat §13): by who wrote
//! it, when, of what type and in which words. What lacks one of these, or has it in another dress,
//! may be the message: then nobody can say that it was not sent. Pure.

use jiff::Timestamp;
use serde_json::Value;

use super::super::Sought;
use super::{answer, body};
use crate::domain::message::Message;
use crate::domain::single::Single;

/// The types that there are (huechat §7).
const TYPES: [&str; 4] = ["text", "template", "image", "document"];

/// From when on a message can be the one, in the provider's time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Since {
    /// Nothing that is older is it.
    pub(super) earliest: Timestamp,
    /// What is older than this is it only if the provider's clock is as wrong as it looks.
    pub(super) surely: Timestamp,
}

/// What a row is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Likeness {
    /// The message, under this id.
    Same(String),
    Unsure,
    Other,
}

/// How well words and type fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    Yes,
    Perhaps,
    No,
}

/// What one row is.
pub(super) fn of(row: &Value, sought: &Sought<'_>, since: Since) -> Likeness {
    let text = |name: &str| row.get(name).and_then(Value::as_str);
    let id = answer::usable(text("id").map(str::to_owned));
    let is_anothers = id.as_ref().is_some_and(|id| sought.others.contains(id));
    let by = text("sent_by");
    let at = time(row, "sent_at");
    let fit = fit(sought.message, row);
    if is_anothers
        || by == Some("contact")
        || at.is_some_and(|at| at < since.earliest)
        || fit == Fit::No
    {
        return Likeness::Other;
    }
    let is_ours = by.is_none_or(|by| by == "user");
    let in_time = at.is_some_and(|at| at >= since.surely);
    match id {
        Some(id) if is_ours && in_time && fit == Fit::Yes => Likeness::Same(id),
        _ => Likeness::Unsure,
    }
}

pub(super) fn time(row: &Value, name: &str) -> Option<Timestamp> {
    row.get(name)?.as_str()?.parse().ok()
}

fn fit(message: &Message, row: &Value) -> Fit {
    let text = |name: &str| row.get(name).and_then(Value::as_str);
    let single = message.single();
    let words = match (&single, text("content").unwrap_or_default()) {
        (Single::Text { content, .. }, theirs) => of_words(content, theirs),
        (Single::Image { caption, .. } | Single::Document { caption, .. }, theirs) => {
            of_words(caption.as_deref().unwrap_or_default(), theirs)
        }
        (
            Single::Template {
                name, parameters, ..
            },
            theirs,
        ) => of_values(name, parameters.values(), theirs),
    };
    // The quickstart's messages have no type.
    match text("message_type") {
        None => words,
        Some(theirs) if theirs == body::message_type(&single) => words,
        Some(theirs) if TYPES.contains(&theirs) => Fit::No,
        Some(_) if words == Fit::No => Fit::No,
        Some(_) => Fit::Perhaps,
    }
}

/// Words may come back with other spaces; with something left out or added they may be the same.
fn of_words(ours: &str, theirs: &str) -> Fit {
    let (ours, theirs) = (plain(ours), plain(theirs));
    if ours == theirs {
        Fit::Yes
    } else if ours.contains(&theirs) || theirs.contains(&ours) {
        Fit::Perhaps
    } else {
        Fit::No
    }
}

/// The provider may show the words that a template was filled into: then the values are what can
/// be compared (huechat §13). It may as well show the words before they were filled in.
fn of_values<'a>(name: &str, values: impl Iterator<Item = &'a String>, theirs: &str) -> Fit {
    let theirs = plain(theirs);
    let mut values = values.map(|value| plain(value));
    if theirs.is_empty() || values.all(|value| theirs.contains(&value)) {
        Fit::Yes
    } else if theirs.contains("{{") || theirs == name {
        Fit::Perhaps
    } else {
        Fit::No
    }
}

fn plain(words: &str) -> String {
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const SINCE: &str = "2026-06-10T16:00:00Z";
    const AT: &str = "2026-06-10T16:00:01Z";
    const TEXT: &str = r#"[{"type":"text","value":"Hi Dana"}]"#;
    const TEMPLATE: &str =
        r#"[{"type":"template","name":"parcel_ready","parameters":{"1":"Asha","2":"PX-204"}}]"#;

    fn row(id: &str, kind: &str, content: &str, at: &str) -> Value {
        serde_json::json!({ "id": id, "message_type": kind, "content": content,
            "sent_by": "user", "sent_at": at, "status": "sent" })
    }

    fn sighted(message: &str, row: &Value, others: &[&str]) -> Likeness {
        let message: Message = serde_json::from_str(message).unwrap();
        let others: HashSet<String> = others.iter().map(|id| (*id).to_owned()).collect();
        let since: Timestamp = SINCE.parse().unwrap();
        let sought = Sought {
            chat_id: Some("conv_1"),
            contact_id: Some("cnt_1"),
            channel: None,
            message: &message,
            since,
            now: since,
            others: &others,
        };
        let since = Since {
            earliest: since,
            surely: since,
        };
        of(row, &sought, since)
    }

    fn same() -> Likeness {
        Likeness::Same("m1".to_owned())
    }

    #[test]
    fn a_message_is_known_by_its_words_and_its_time() {
        let good = row("m1", "text", "Hi Dana", AT);
        assert_eq!(sighted(TEXT, &good, &[]), same());
        for (other, others) in [
            (good.clone(), &["m1"][..]),
            (row("m1", "text", "Bye", AT), &[]),
            (row("m1", "image", "Hi Dana", AT), &[]),
            (row("m1", "text", "Hi Dana", "2026-06-10T15:59:59Z"), &[]),
        ] {
            assert_eq!(sighted(TEXT, &other, others), Likeness::Other, "{other}");
        }
        let mut theirs = good;
        theirs["sent_by"] = "contact".into();
        assert_eq!(sighted(TEXT, &theirs, &[]), Likeness::Other);
    }

    #[test]
    fn what_lacks_something_may_be_it() {
        let good = row("m1", "text", "Hi Dana", AT);
        for (name, value) in [
            ("id", Value::Null),
            ("sent_at", Value::Null),
            ("sent_at", "yesterday".into()),
            ("content", Value::Null),
            ("content", "Hi Dana\nReply STOP to end".into()),
            ("content", "Hi".into()),
            ("sent_by", "system".into()),
            ("message_type", "freeform".into()),
        ] {
            let mut odd = good.clone();
            odd[name] = value;
            assert_eq!(sighted(TEXT, &odd, &[]), Likeness::Unsure, "{odd}");
        }
        for spaces in [" Hi Dana\n", "Hi\u{a0} Dana"] {
            let dressed = row("m1", "text", spaces, AT);
            assert_eq!(sighted(TEXT, &dressed, &[]), same(), "{dressed}");
        }
    }

    #[test]
    fn a_template_is_known_by_the_values_in_its_words() {
        let of = |content: &str| sighted(TEMPLATE, &row("m1", "template", content, AT), &[]);
        assert_eq!(of("Hello Asha, parcel PX-204 is ready."), same());
        assert_eq!(of(""), same());
        assert_eq!(of("Hello Asha, parcel PX-205 is ready."), Likeness::Other);
        assert_eq!(of("Hello {{1}}, parcel {{2}} is ready."), Likeness::Unsure);
        assert_eq!(of("parcel_ready"), Likeness::Unsure);
    }
}
