//! A message: what a template rendered to for one recipient, and the provider's rules for it.

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::links;

/// What one recipient gets, part by part, in order. Frozen as JSON in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Message {
    pub parts: Vec<Part>,
}

/// One part, under the provider's own names (chert §6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    Text {
        value: String,
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
            Self::TextTooLong { .. } => {
                Some("shorten it, or the value from the list that makes it so long")
            }
            Self::TooManyParts(_) => Some("remove parts, or put texts together"),
            // Its own words say it.
            Self::AdjacentTexts { .. } => None,
            Self::EmptyText { .. } => Some("drop the part for such rows with `when`"),
        }
    }

    /// The part it is about.
    pub fn part(&self) -> Option<usize> {
        match self {
            Self::NoParts | Self::TooManyParts(_) => None,
            Self::AdjacentTexts { part }
            | Self::EmptyText { part }
            | Self::TextTooLong { part, .. }
            | Self::BadUrl { part, .. }
            | Self::UrlInFirstText { part, .. } => Some(*part),
        }
    }
}

impl Message {
    /// Every rule of the provider that holds for any message to one person (chert §6).
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
                Part::Text { value } => {
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
                Part::Text { value } => Some((part, links::first_url(value)?)),
                Part::Media { .. } | Part::RichLink { .. } => None,
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

fn check_url(url: &str, part: usize, found: &mut Vec<Breach>) {
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
        let message = Message {
            parts: vec![image, text("Hi Dana"), link("https://example.com")],
        };
        assert_eq!(message.breaches(), []);
        assert_eq!(message.first_message_breaches(), []);
        assert_eq!(message.files(), [Digest::of(b"png")]);
    }

    #[test]
    fn each_rule_is_named() {
        let breaches = |parts: Vec<Part>| Message { parts }.breaches();
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
        let message = Message {
            parts: vec![text("see example.com")],
        };
        assert_eq!(message.first_message_breaches().len(), 1);
        assert_eq!(message.breaches(), []);
    }

    #[test]
    fn a_frozen_message_reads_back() {
        let message = Message {
            parts: vec![
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
            ],
        };
        let json = serde_json::to_string(&message).unwrap();
        assert_eq!(serde_json::from_str::<Message>(&json).unwrap(), message);
    }
}
