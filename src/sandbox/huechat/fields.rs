//! Reading the fields of a body: what is there, what is cleared, and what is not in order
//! (huechat §1). Knows no route.

use serde_json::{Map, Value};

use super::errors::{Refusal, invalid, missing};
use crate::domain::channel::Channel;

/// A JSON object that came in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(&'a Map<String, Value>);

/// What an update says about a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said<T> {
    /// Nothing: it stays.
    Nothing,
    /// An explicit null.
    Null,
    Value(T),
}

impl<T> Said<T> {
    /// The value, where nothing and null mean the same.
    pub(super) fn value(self) -> Option<T> {
        match self {
            Self::Nothing | Self::Null => None,
            Self::Value(value) => Some(value),
        }
    }
}

impl<'a> Fields<'a> {
    pub(super) fn of(json: &'a Value) -> Result<Self, Refusal> {
        let object = json.as_object();
        object
            .map(Self)
            .ok_or_else(|| invalid("body", "must be a JSON object"))
    }

    pub(super) fn said(self, name: &str) -> Said<&'a Value> {
        match self.0.get(name) {
            None => Said::Nothing,
            Some(Value::Null) => Said::Null,
            Some(value) => Said::Value(value),
        }
    }

    /// Any JSON value but null.
    pub(super) fn value(self, name: &str) -> Option<&'a Value> {
        self.said(name).value()
    }

    /// A string of at most so many characters.
    pub(super) fn said_text(self, name: &str, most: usize) -> Result<Said<&'a str>, Refusal> {
        match self.said(name) {
            Said::Nothing => Ok(Said::Nothing),
            Said::Null => Ok(Said::Null),
            Said::Value(Value::String(text)) if text.chars().count() <= most => {
                Ok(Said::Value(text))
            }
            Said::Value(Value::String(_)) => {
                let reason = format!("must not be longer than {most} characters");
                Err(invalid(name, &reason))
            }
            Said::Value(_) => Err(invalid(name, "must be a string")),
        }
    }

    pub(super) fn text(self, name: &str, most: usize) -> Result<Option<&'a str>, Refusal> {
        Ok(self.said_text(name, most)?.value())
    }

    /// A string that is there and not empty.
    pub(super) fn needed(self, name: &str, most: usize) -> Result<&'a str, Refusal> {
        match self.text(name, most)? {
            None => Err(missing(name)),
            Some(text) if text.trim().is_empty() => Err(invalid(name, "must not be empty")),
            Some(text) => Ok(text),
        }
    }

    /// One of a few words.
    pub(super) fn word<T>(
        self,
        name: &str,
        read: impl Fn(&str) -> Option<T>,
        words: &str,
    ) -> Result<Said<T>, Refusal> {
        let wrong = || invalid(name, &format!("must be one of {words}"));
        match self.said(name) {
            Said::Nothing => Ok(Said::Nothing),
            Said::Null => Ok(Said::Null),
            Said::Value(value) => {
                let found = value.as_str().and_then(read);
                found.map(Said::Value).ok_or_else(wrong)
            }
        }
    }

    pub(super) fn channel(self, name: &str) -> Result<Said<Channel>, Refusal> {
        self.word(name, Channel::parse, CHANNELS)
    }

    pub(super) fn truth(self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Bool(truth)) => Ok(Some(*truth)),
            Some(_) => Err(invalid(name, "must be true or false")),
        }
    }

    /// An array of strings that are not empty.
    pub(super) fn texts(
        self,
        name: &str,
        (most, longest): (usize, usize),
    ) -> Result<Option<Vec<String>>, Refusal> {
        let wrong = || {
            let reason = format!(
                "must be an array of at most {most} strings of at most {longest} characters"
            );
            invalid(name, &reason)
        };
        let all = match self.value(name) {
            None => return Ok(None),
            Some(Value::Array(all)) if all.len() <= most => all,
            Some(_) => return Err(wrong()),
        };
        let text = |one: &Value| {
            let text = one.as_str().filter(|text| !text.is_empty());
            let text = text.filter(|text| text.chars().count() <= longest);
            text.map(str::to_owned).ok_or_else(wrong)
        };
        all.iter().map(text).collect::<Result<_, _>>().map(Some)
    }
}

/// The channels, in words.
pub(super) const CHANNELS: &str = "whatsapp, sms, email and instagram";
