//! Opting out: what a person's answer means, by whose word somebody is not to be written to, and
//! which word counts when several come in any order. Does not know where the words are kept.

mod words;

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::words::hear;

/// What is heard in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Heard {
    /// Nothing more is to be sent to this person.
    Stop,
    /// The person takes that back.
    Start,
    /// It reads like a wish not to be written to, and only a person can tell.
    Review,
    /// An answer like any other.
    Nothing,
}

impl Heard {
    pub const ALL: [Self; 4] = [Self::Stop, Self::Start, Self::Review, Self::Nothing];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Review => "review",
            Self::Nothing => "nothing",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|heard| heard.as_str() == text)
    }
}

/// From where it is known that somebody is not to be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The person said so, in an answer.
    Reply,
    /// `suppress add`.
    Operator,
    /// `suppress import`.
    Import,
    /// Another program.
    Api,
}

impl Source {
    pub const ALL: [Self; 4] = [Self::Reply, Self::Operator, Self::Import, Self::Api];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reply => "reply",
            Self::Operator => "operator",
            Self::Import => "import",
            Self::Api => "api",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.as_str() == text)
    }

    /// Whose word it is.
    pub fn voice(self) -> Voice {
        match self {
            Self::Reply => Voice::Person,
            Self::Operator | Self::Import | Self::Api => Voice::Operator,
        }
    }
}

/// Whose word keeps somebody from being written to. The two stand side by side, and one is
/// enough: an answer takes back only what an answer said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Voice {
    Person,
    /// Whoever keeps the list, by hand, by import or by a program.
    Operator,
}

impl Voice {
    pub const ALL: [Self; 2] = [Self::Person, Self::Operator];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Operator => "operator",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|voice| voice.as_str() == text)
    }
}

/// One voice's newest words about a person. In whatever order words are heard, and however
/// often, it comes to the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    pub stopped_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
}

impl Standing {
    /// True where it is news.
    pub fn stop(&mut self, at: Timestamp) -> bool {
        let news = self.stopped_at.is_none_or(|known| known < at);
        self.stopped_at = self.stopped_at.max(Some(at));
        news
    }

    /// True where it is news.
    pub fn start(&mut self, at: Timestamp) -> bool {
        let news = self.started_at.is_none_or(|known| known < at);
        self.started_at = self.started_at.max(Some(at));
        news
    }

    /// Whether the newest word is that nothing is to be sent. Of two words of the same time that
    /// one wins.
    pub fn is_suppressed(self) -> bool {
        match (self.stopped_at, self.started_at) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(stopped), Some(started)) => stopped >= started,
        }
    }
}

/// How far what is heard reaches: from a rehearsal no further than the rehearsal itself, from
/// anywhere else to every gateway. `None` is everywhere.
pub fn reach(gateway: &str) -> Option<&str> {
    // The names of gateways in the settings have no spaces.
    gateway.starts_with("sandbox ").then_some(gateway)
}
