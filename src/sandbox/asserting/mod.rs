//! What somebody asserts of the record, for tests and other people's CI: how an assertion is
//! asked, and the verdict. The checks themselves are in `checks`, over plain evidence.

mod checks;

use axum::extract::Query;
use axum::http::Uri;
use jiff::SignedDuration;
use serde::Serialize;

use super::chert::Written;
use super::huechat::HueMessageRecord;
use super::time::micros;
use super::{Filter, MessageRecord, Sandbox};
use crate::domain::digest::Digest;
use crate::domain::duration;
use crate::domain::phone::Phone;
use checks::Evidence;

/// Findings that are listed; the rest is counted.
const LISTED: usize = 20;

/// What is asserted of everything since the start or the last reset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assertion {
    /// How many messages somebody received, or everybody who received any.
    Received {
        to: Option<Phone>,
        at_least: u64,
        at_most: u64,
        /// How many people received any.
        people: Option<usize>,
    },
    /// Nobody received the same twice.
    NoDuplicates(Sameness),
    /// Everybody, or one person, received texts in this order: none before the one ahead of it.
    Order {
        to: Option<Phone>,
        texts: Vec<String>,
    },
    /// No window of this width holds more.
    Rate(Pace),
    /// Nobody received anything later than this after an opt-out that they did not take back.
    Stopped { within: SignedDuration },
}

/// By what two messages to a person are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sameness {
    Key,
    Content,
    Either,
}

/// A limit to assert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    pub most: usize,
    /// The width of the window; its end does not belong to it.
    pub window: SignedDuration,
    pub lines: Lines,
    pub counted: Counted,
    pub clock: By,
}

/// Whose messages are counted together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lines {
    All,
    One(Phone),
    /// Each line for itself.
    Each,
}

/// What counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Messages that were accepted.
    Messages,
    /// Every request that sends, also those refused or repeated.
    Posts,
}

/// By which clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Machine,
    Provider,
}

/// Whether it is so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub pass: bool,
    pub asserted: String,
    pub found: String,
    /// What is against it, the first 20; numbers are masked.
    pub against: Vec<String>,
    pub against_total: usize,
}

/// Why a question cannot be answered, in words for whoever asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAssertion {
    #[error("there is no such assertion: received, duplicates, order, rate and stopped are")]
    Unknown,
    #[error("`{name}` {what}")]
    Field { name: String, what: String },
}

fn bad(name: &str, what: impl Into<String>) -> BadAssertion {
    BadAssertion::Field {
        name: name.to_owned(),
        what: what.into(),
    }
}

/// The fields of a question, taken out one by one.
struct Asked(Vec<(String, String)>);

impl Asked {
    fn new(query: &str) -> Result<Self, BadAssertion> {
        let unreadable = || bad("query", "cannot be read");
        let uri = format!("/?{query}").parse::<Uri>();
        let uri = uri.map_err(|_| unreadable())?;
        let Query(pairs) = Query::try_from_uri(&uri).map_err(|_| unreadable())?;
        Ok(Self(pairs))
    }

    fn all(&mut self, name: &str) -> Vec<String> {
        let (taken, left) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|(known, _)| known == name);
        self.0 = left;
        let taken: Vec<(String, String)> = taken;
        taken.into_iter().map(|(_, value)| value).collect()
    }

    fn one(&mut self, name: &str) -> Result<Option<String>, BadAssertion> {
        let mut all = self.all(name).into_iter();
        match (all.next(), all.next()) {
            (_, Some(_)) => Err(bad(name, "is given more than once")),
            (one, None) => Ok(one),
        }
    }

    fn number(&mut self, name: &str) -> Result<Option<u64>, BadAssertion> {
        let one = self.one(name)?;
        let number = one.map(|text| text.parse().map_err(|_| bad(name, "is a whole number")));
        number.transpose()
    }

    fn phone(&mut self, name: &str) -> Result<Option<Phone>, BadAssertion> {
        // In a query string a bare `+` means a space.
        let one = self.one(name)?.map(|text| match text.strip_prefix(' ') {
            Some(digits) => format!("+{digits}"),
            None => text,
        });
        let phone = one.map(|text| {
            Phone::from_e164(&text).map_err(|_| bad(name, "is a phone number in E.164"))
        });
        phone.transpose()
    }

    fn length(&mut self, name: &str) -> Result<Option<SignedDuration>, BadAssertion> {
        let one = self.one(name)?;
        let length = one.map(|text| {
            duration::parse(&text).map_err(|_| bad(name, "is a length of time, such as 1s or 1d"))
        });
        length.transpose()
    }

    fn end(self) -> Result<(), BadAssertion> {
        match self.0.first() {
            Some((name, _)) => Err(bad(name, "is nothing that this assertion takes")),
            None => Ok(()),
        }
    }
}

impl Assertion {
    /// Reads an assertion as the control surface takes it: its name and a query string.
    pub fn parse(name: &str, query: &str) -> Result<Self, BadAssertion> {
        let mut asked = Asked::new(query)?;
        let assertion = match name {
            "received" => received(&mut asked)?,
            "duplicates" => Self::NoDuplicates(match asked.one("by")?.as_deref() {
                None => Sameness::Either,
                Some("key") => Sameness::Key,
                Some("content") => Sameness::Content,
                Some(_) => return Err(bad("by", "is key or content")),
            }),
            "order" => {
                let texts = asked.all("text");
                if texts.len() < 2 {
                    return Err(bad(
                        "text",
                        "is given at least twice, in the order to assert",
                    ));
                }
                Self::Order {
                    to: asked.phone("to")?,
                    texts,
                }
            }
            "rate" => Self::Rate(pace(&mut asked)?),
            "stopped" => Self::Stopped {
                within: asked.length("within")?.unwrap_or(SignedDuration::ZERO),
            },
            _ => return Err(BadAssertion::Unknown),
        };
        asked.end()?;
        Ok(assertion)
    }
}

fn received(asked: &mut Asked) -> Result<Assertion, BadAssertion> {
    let to = asked.phone("to")?;
    let count = asked.number("count")?;
    let (least, most) = (asked.number("at_least")?, asked.number("at_most")?);
    let people = asked.number("people")?;
    if count.is_some() && (least.is_some() || most.is_some()) {
        return Err(bad(
            "count",
            "stands alone, or at_least and at_most instead",
        ));
    }
    if count.or(least).or(most).or(people).is_none() {
        return Err(bad(
            "count",
            "is missing: one of count, at_least, at_most, people",
        ));
    }
    Ok(Assertion::Received {
        to,
        at_least: count.or(least).unwrap_or(0),
        at_most: count.or(most).unwrap_or(u64::MAX),
        people: people.map(|people| usize::try_from(people).unwrap_or(usize::MAX)),
    })
}

fn pace(asked: &mut Asked) -> Result<Pace, BadAssertion> {
    let most = asked.number("most")?;
    let most = most.ok_or_else(|| bad("most", "is missing: how many a window may hold"))?;
    let window = asked.length("window")?;
    let window = window.ok_or_else(|| bad("window", "is missing, such as 1s, 1m or 1d"))?;
    if micros(window) < 1 {
        return Err(bad("window", "is longer than nothing"));
    }
    let lines = match asked.one("line")?.as_deref() {
        None => Lines::All,
        Some("each") => Lines::Each,
        Some(line) => {
            let line = Phone::from_e164(&format!("+{}", line.trim_start_matches([' ', '+'])));
            Lines::One(line.map_err(|_| bad("line", "is a phone number in E.164, or each"))?)
        }
    };
    let counted = match asked.one("of")?.as_deref() {
        None | Some("messages") => Counted::Messages,
        Some("posts") => Counted::Posts,
        Some(_) => return Err(bad("of", "is messages or posts")),
    };
    if counted == Counted::Posts && lines != Lines::All {
        return Err(bad(
            "line",
            "goes with messages: a post that was refused has no line",
        ));
    }
    let clock = match asked.one("clock")?.as_deref() {
        None | Some("machine") => By::Machine,
        Some("provider") => By::Provider,
        Some(_) => return Err(bad("clock", "is machine or provider")),
    };
    Ok(Pace {
        most: usize::try_from(most).unwrap_or(usize::MAX),
        window,
        lines,
        counted,
        clock,
    })
}

/// A message of HueChat as the checks look at it.
fn of_huechat(one: HueMessageRecord) -> MessageRecord {
    MessageRecord {
        seq: one.seq,
        at: one.sent_at.clone(),
        at_us: one.sent_us,
        to: vec![one.address],
        from: None,
        chat_id: one.conversation_id,
        body_sha256: Digest::of(one.content.as_bytes()),
        parts: serde_json::json!([{ "type": "text", "value": one.content }]),
        message_id: one.message_id,
        key: one.key,
        effect: None,
        grouped: false,
        status: one.status,
    }
}

/// What a contact wrote by phone; who writes by e-mail is nobody whom Chert knows.
fn heard(one: &HueMessageRecord) -> Option<Written> {
    Some(Written {
        from: Phone::from_e164(&one.address).ok()?,
        text: one.content.as_str().into(),
        at_us: one.sent_us,
    })
}

impl Sandbox {
    /// Whether it is so, of everything that was received since the start or the last reset.
    pub fn assert(&self, assertion: &Assertion) -> Verdict {
        // On a line of its own: the two take locks of their own.
        let moments = self.host.journal().moments();
        let all = Filter::default();
        let mut messages = self.chert.messages(&all);
        messages.extend(self.hue.sent(&all).into_iter().map(of_huechat));
        messages.sort_by_key(|one| one.at_us);
        let mut written = self.chert.written();
        written.extend(self.hue.heard(&all).iter().filter_map(heard));
        written.sort_by_key(|one| one.at_us);
        let evidence = Evidence {
            messages,
            written,
            moments,
        };
        evidence.judge(assertion)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_with_a_mistake_says_what_is_meant() {
        for (name, query, part) in [
            ("recieved", "", "no such assertion"),
            ("received", "", "one of count"),
            ("received", "count=1&at_most=2", "stands alone"),
            ("received", "count=one", "`count` is a whole number"),
            ("received", "count=1&too=+12025550143", "`too` is nothing"),
            ("received", "count=1&to=143", "`to` is a phone number"),
            ("duplicates", "by=id", "key or content"),
            ("order", "text=a", "at least twice"),
            ("rate", "most=1", "`window` is missing"),
            ("rate", "most=1&window=0s", "longer than nothing"),
            ("rate", "most=1&window=1s&most=2", "more than once"),
            (
                "rate",
                "most=1&window=1s&of=posts&line=each",
                "goes with messages",
            ),
            ("stopped", "within=2", "a length of time"),
        ] {
            let error = Assertion::parse(name, query).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_plus_may_be_written_as_it_is_or_encoded() {
        let to = Phone::from_e164("+12025550143").unwrap();
        for query in ["count=1&to=+12025550143", "count=1&to=%2B12025550143"] {
            let Assertion::Received { to: Some(read), .. } =
                Assertion::parse("received", query).unwrap()
            else {
                panic!("it is an assertion about one person");
            };
            assert_eq!(read, to);
        }
    }
}
