//! A message: what a template rendered to for one recipient, and the provider's rules for it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::channel::Channel;
use super::contact::Contact;
use super::digest::Digest;
use super::links;

/// What one recipient gets, part by part, in order. Frozen as JSON in the ledger: the list of its
/// parts, or an object of that list and the contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Frozen", into = "Frozen")]
pub struct Message {
    pub parts: Vec<Part>,
    /// Who the person is to a provider that writes to contacts alone (huechat §6); `None` where
    /// a number is enough.
    pub contact: Option<Contact>,
}

/// As it is kept.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Frozen {
    Parts(Vec<Part>),
    Contact { parts: Vec<Part>, contact: Contact },
}

impl From<Frozen> for Message {
    fn from(frozen: Frozen) -> Self {
        match frozen {
            Frozen::Parts(parts) => Self::of(parts),
            Frozen::Contact { parts, contact } => Self {
                parts,
                contact: Some(contact),
            },
        }
    }
}

impl From<Message> for Frozen {
    fn from(message: Message) -> Self {
        let Message { parts, contact } = message;
        match contact {
            None => Self::Parts(parts),
            Some(contact) => Self::Contact { parts, contact },
        }
    }
}

/// One part, under the providers' own names (chert §6, huechat §7.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    Text {
        value: String,
        /// Of an e-mail.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        subject: Option<String>,
    },
    /// A WhatsApp template that was approved beforehand, and what to put into it.
    Template {
        name: String,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        language: Option<String>,
        #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
        parameters: BTreeMap<String, String>,
    },
    Media {
        #[serde(flatten)]
        source: MediaSource,
    },
    RichLink {
        url: String,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        title: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        summary: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        image_url: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        icon_url: Option<String>,
    },
}

/// Where the bytes of a media part come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MediaSource {
    /// A file, frozen in the ledger under its digest, uploaded once per gateway.
    File { sha256: Digest },
    /// The provider fetches it.
    Url { url: String },
}

/// A file that messages name: its bytes are frozen in the ledger with the run.
#[derive(Clone, PartialEq, Eq)]
pub struct Media {
    pub sha256: Digest,
    /// The name the recipient may see.
    pub filename: String,
    pub content_type: String,
    pub bytes: bytes::Bytes,
}

impl std::fmt::Debug for Media {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Media({}, {}, {} bytes)",
            self.filename,
            self.content_type,
            self.bytes.len()
        )
    }
}

/// At most 10 parts in a message (chert §6, code 1006).
pub const MAX_PARTS: usize = 10;
/// Longest text in characters; the provider publishes none, this is the working figure
/// (chert §6, code 1009).
pub const MAX_TEXT_CHARS: usize = 10_000;
/// Longest address of a link or media file in characters (chert §6).
pub const MAX_URL_CHARS: usize = 2_048;
/// Largest file of one upload: 100 MB (chert §10.2).
pub const MAX_MEDIA_BYTES: u64 = 100_000_000;

/// A provider rule that a message breaks. `part` counts from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Breach {
    #[error("the message has no part left")]
    NoParts,
    #[error("the message has {0} parts; the provider takes at most {MAX_PARTS}")]
    TooManyParts(usize),
    #[error("two texts follow each other; the provider refuses that, merge them into one")]
    AdjacentTexts { part: usize },
    #[error("the text is empty")]
    EmptyText { part: usize },
    #[error("the text has {chars} characters; the provider takes at most {MAX_TEXT_CHARS}")]
    TextTooLong { part: usize, chars: usize },
    #[error("'{url}' is no web address that starts with http:// or https://")]
    BadUrl { part: usize, url: String },
    /// Holds for the first message to a person only.
    #[error("a first message must not have a web address in its text ('{url}')")]
    UrlInFirstText { part: usize, url: String },
    #[error("a part of `type: template` is sent by WhatsApp alone, through a HueChat account")]
    TemplateNotOffered { part: usize },
    #[error("a subject belongs to an e-mail")]
    SubjectNotOffered { part: usize },
    #[error("{} has no approved templates; WhatsApp alone does", channel.in_words())]
    TemplateNotTaken { part: usize, channel: Channel },
    #[error("an approved template is a whole message; no other part goes beside it")]
    TemplateNotAlone { part: usize },
    #[error("the parameters of the template are not counted \"1\", \"2\", … without a gap")]
    ParametersNotCounted { part: usize },
    #[error("the parameter \"{name}\" {why}, and such a message is refused")]
    BadParameter {
        part: usize,
        name: String,
        why: &'static str,
    },
    #[error("this provider takes no files, only addresses that it can fetch them from")]
    FileNotTaken { part: usize },
    #[error("a second picture or document needs a second message")]
    SecondMedia { part: usize },
    #[error("the provider fetches media over https only")]
    MediaNotSecure { part: usize },
    #[error("this cannot be sent by {}", channel.in_words())]
    MediaNotTaken { part: usize, channel: Channel },
    #[error("{} has no subject", channel.in_words())]
    SubjectNotTaken { part: usize, channel: Channel },
    #[error("a subject is one line of at most 255 characters")]
    BadSubject { part: usize },
    #[error(
        "texts and links together have {chars} characters; {} takes at most {}",
        channel.in_words(),
        channel.max_text_chars()
    )]
    ContentTooLong { chars: usize, channel: Channel },
}

impl Breach {
    /// What to do about it, where the message itself does not say it.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::UrlInFirstText { .. } => {
                Some("move the address into a part of its own: `type: rich_link`, `url: …`")
            }
            Self::BadUrl { .. } => Some("write the whole address, such as https://example.com/x"),
            Self::NoParts => Some("at least one part must be left when every `when` is decided"),
            Self::TextTooLong { .. } | Self::ContentTooLong { .. } => {
                Some("shorten it, or the value from the list that makes it so long")
            }
            Self::TooManyParts(_) => Some("remove parts, or put texts together"),
            // Its own words say it.
            Self::AdjacentTexts { .. } => None,
            Self::EmptyText { .. } => Some("drop the part for such rows with `when`"),
            Self::TemplateNotOffered { .. } | Self::TemplateNotTaken { .. } => {
                Some("write the words into a part of `type: text`")
            }
            Self::SubjectNotOffered { .. } | Self::SubjectNotTaken { .. } => {
                Some("remove `subject`, or send by `channel: email`")
            }
            Self::TemplateNotAlone { .. } => {
                Some("remove the other parts; what the template says is decided at its approval")
            }
            Self::ParametersNotCounted { .. } => {
                Some("give every variable of the template its number, in quotes")
            }
            Self::BadParameter { .. } => {
                Some("give it a value for every row, in one line; `where` leaves rows out")
            }
            Self::FileNotTaken { .. } => Some(
                "put it where everybody can fetch it, and write `url: https://…` instead of `file`",
            ),
            Self::SecondMedia { .. } => Some("keep one, or send the other by another campaign"),
            Self::MediaNotSecure { .. } => Some("write `url: https://…`"),
            Self::MediaNotTaken {
                channel: Channel::Sms,
                ..
            } => Some("send its address instead, as a part of `type: rich_link`"),
            Self::MediaNotTaken { .. } => Some("name a picture that ends in .jpg or .png"),
            Self::BadSubject { .. } => Some("shorten it, or the value that makes it so"),
        }
    }

    /// The part it is about.
    pub fn part(&self) -> Option<usize> {
        match self {
            Self::NoParts | Self::TooManyParts(_) | Self::ContentTooLong { .. } => None,
            Self::AdjacentTexts { part }
            | Self::EmptyText { part }
            | Self::TextTooLong { part, .. }
            | Self::BadUrl { part, .. }
            | Self::UrlInFirstText { part, .. }
            | Self::TemplateNotOffered { part }
            | Self::SubjectNotOffered { part }
            | Self::TemplateNotTaken { part, .. }
            | Self::TemplateNotAlone { part }
            | Self::ParametersNotCounted { part }
            | Self::BadParameter { part, .. }
            | Self::FileNotTaken { part }
            | Self::SecondMedia { part }
            | Self::MediaNotSecure { part }
            | Self::MediaNotTaken { part, .. }
            | Self::SubjectNotTaken { part, .. }
            | Self::BadSubject { part } => Some(*part),
        }
    }
}

impl Message {
    /// A message of these parts, to somebody whose number is enough.
    pub fn of(parts: Vec<Part>) -> Self {
        Self {
            parts,
            contact: None,
        }
    }

    /// Every rule that the message breaks over its channel; `None`: the one way of Chert.
    pub fn breaches_on(&self, channel: Option<Channel>) -> Vec<Breach> {
        match channel {
            Some(channel) => self.channel_breaches(channel),
            None => self.breaches(),
        }
    }

    /// Every rule of Chert that holds for any message to one person (chert §6).
    pub fn breaches(&self) -> Vec<Breach> {
        let mut found = Vec::new();
        if self.parts.is_empty() {
            found.push(Breach::NoParts);
        }
        if self.parts.len() > MAX_PARTS {
            found.push(Breach::TooManyParts(self.parts.len()));
        }
        let mut after_text = false;
        for (part, content) in self.parts.iter().enumerate() {
            match content {
                Part::Text { value, subject } => {
                    if subject.is_some() {
                        found.push(Breach::SubjectNotOffered { part });
                    }
                    if after_text {
                        found.push(Breach::AdjacentTexts { part });
                    }
                    let chars = value.chars().count();
                    if value.trim().is_empty() {
                        found.push(Breach::EmptyText { part });
                    } else if chars > MAX_TEXT_CHARS {
                        found.push(Breach::TextTooLong { part, chars });
                    }
                }
                Part::Template { .. } => found.push(Breach::TemplateNotOffered { part }),
                Part::Media {
                    source: MediaSource::Url { url },
                } => check_url(url, part, &mut found),
                Part::Media {
                    source: MediaSource::File { .. },
                } => {}
                Part::RichLink {
                    url,
                    image_url,
                    icon_url,
                    ..
                } => {
                    for url in [Some(url), image_url.as_ref(), icon_url.as_ref()]
                        .into_iter()
                        .flatten()
                    {
                        check_url(url, part, &mut found);
                    }
                }
            }
            after_text = matches!(content, Part::Text { .. });
        }
        found
    }

    /// The rules that hold besides when the person has not been written to yet.
    pub fn first_message_breaches(&self) -> Vec<Breach> {
        let texts = self
            .parts
            .iter()
            .enumerate()
            .filter_map(|(part, content)| match content {
                Part::Text { value, .. } => Some((part, links::first_url(value)?)),
                Part::Media { .. } | Part::RichLink { .. } | Part::Template { .. } => None,
            });
        texts
            .map(|(part, url)| Breach::UrlInFirstText {
                part,
                url: url.to_owned(),
            })
            .collect()
    }

    /// The digests of the files the message names, each once, in order.
    pub fn files(&self) -> Vec<Digest> {
        let mut files = Vec::new();
        for part in &self.parts {
            if let Part::Media {
                source: MediaSource::File { sha256 },
            } = part
                && !files.contains(sha256)
            {
                files.push(*sha256);
            }
        }
        files
    }
}

pub(super) fn check_url(url: &str, part: usize, found: &mut Vec<Breach>) {
    let lower = url.get(..8).unwrap_or(url).to_ascii_lowercase();
    let rest = lower
        .strip_prefix("https://")
        .or_else(|| lower.strip_prefix("http://"));
    let host = url.split_once("://").map_or("", |(_, rest)| rest);
    let clean = !url.chars().any(|c| c.is_whitespace() || c.is_control());
    if rest.is_none() || host.is_empty() || !clean || url.chars().count() > MAX_URL_CHARS {
        let shown: String = url.chars().take(80).collect();
        found.push(Breach::BadUrl { part, url: shown });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Part {
        Part::Text {
            value: value.to_owned(),
            subject: None,
        }
    }

    fn link(url: &str) -> Part {
        Part::RichLink {
            url: url.to_owned(),
            title: None,
            summary: None,
            image_url: None,
            icon_url: None,
        }
    }

    #[test]
    fn an_image_a_text_and_a_link_are_fine() {
        let image = Part::Media {
            source: MediaSource::File {
                sha256: Digest::of(b"png"),
            },
        };
        let message = Message::of(vec![image, text("Hi Dana"), link("https://example.com")]);
        assert_eq!(message.breaches(), []);
        assert_eq!(message.first_message_breaches(), []);
        assert_eq!(message.files(), [Digest::of(b"png")]);
    }

    #[test]
    fn each_rule_is_named() {
        let breaches = |parts: Vec<Part>| Message::of(parts).breaches();
        assert_eq!(breaches(vec![]), [Breach::NoParts]);
        assert_eq!(
            breaches(vec![text("a"), text("b")]),
            [Breach::AdjacentTexts { part: 1 }]
        );
        assert_eq!(breaches(vec![text("a"), link("http://x.y"), text("b")]), []);
        assert_eq!(breaches(vec![text(" \n")]), [Breach::EmptyText { part: 0 }]);
        let long = "x".repeat(MAX_TEXT_CHARS + 1);
        assert_eq!(
            breaches(vec![text(&long)]),
            [Breach::TextTooLong {
                part: 0,
                chars: MAX_TEXT_CHARS + 1
            }]
        );
        let many = std::iter::repeat_n(link("https://x.y"), 11).collect();
        assert_eq!(breaches(many), [Breach::TooManyParts(11)]);
        for bad in [
            "example.com",
            "javascript:alert(1)",
            "https://",
            "https://a b",
        ] {
            assert_eq!(breaches(vec![link(bad)]).len(), 1, "{bad}");
        }
    }

    #[test]
    fn a_web_address_in_a_first_text_is_refused() {
        let message = Message::of(vec![text("see example.com")]);
        assert_eq!(message.first_message_breaches().len(), 1);
        assert_eq!(message.breaches(), []);
    }

    #[test]
    fn a_frozen_message_reads_back() {
        let message = Message::of(vec![
            Part::Media {
                source: MediaSource::File {
                    sha256: Digest::of(b"x"),
                },
            },
            Part::Media {
                source: MediaSource::Url {
                    url: "https://e.com/a.png".into(),
                },
            },
            text("Hi"),
            link("https://e.com"),
        ]);
        let json = serde_json::to_string(&message).unwrap();
        assert_eq!(serde_json::from_str::<Message>(&json).unwrap(), message);
    }
}
