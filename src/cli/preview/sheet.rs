//! What a preview shows, whatever the format: the parts with their files, the line, the key and
//! the request, made by the gateway's own code. Lays nothing out.

use std::collections::BTreeMap;

use super::Occasion;
use super::find::Found;
use crate::domain::address::Address;
use crate::domain::campaign::Campaign;
use crate::domain::channel::Channel;
use crate::domain::delivery::SkipReason;
use crate::domain::digest::Digest;
use crate::domain::key::IdempotencyKey;
use crate::domain::message::{Media, MediaSource, Message, Part};
use crate::domain::phone::Phone;
use crate::domain::recipient::{Recipient, Verdict};
use crate::domain::run::RunId;
use crate::gateway::{Envelope, chert, huechat};

/// Every request that sends a message has this method (chert §7.2, §7.3, huechat §7.1).
pub(super) const METHOD: &str = "POST";

/// One recipient's preview.
#[derive(Debug)]
pub(super) struct Sheet {
    pub(super) run: RunId,
    /// When the run starts, in words; absent where it is simply now.
    pub(super) starts: Option<String>,
    pub(super) list: String,
    pub(super) row: u64,
    /// The line of the list's file, from 1.
    pub(super) list_line: u64,
    pub(super) phone: Option<Address>,
    pub(super) recipient_key: Option<String>,
    pub(super) timezone: Option<String>,
    pub(super) shown: Shown,
}

#[derive(Debug)]
pub(super) enum Shown {
    Message(Box<Letter>),
    Skipped { reason: SkipReason, detail: String },
}

/// A message on its way to a new person.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) parts: Vec<Piece>,
    pub(super) from: Option<Phone>,
    /// The way to the person, where the account has several.
    pub(super) channel: Option<Channel>,
    pub(super) idempotency_key: IdempotencyKey,
    pub(super) path: String,
    /// The exact bytes of the request.
    pub(super) body: String,
    /// What keeps this message from being sent as a first one.
    pub(super) warnings: Vec<String>,
    /// What is different when it is really sent.
    pub(super) notes: Vec<String>,
}

/// A part as the recipient sees it.
#[derive(Debug)]
pub(super) enum Piece {
    Text(String),
    File(Media),
    /// Media that the provider fetches.
    Remote {
        url: String,
    },
    Link(Link),
    /// An approved one; its words are the provider's, so only its name and what goes into it.
    Template {
        name: String,
        parameters: BTreeMap<String, String>,
    },
}

#[derive(Debug)]
pub(super) struct Link {
    pub(super) url: String,
    pub(super) title: Option<String>,
    pub(super) summary: Option<String>,
    pub(super) image_url: Option<String>,
    pub(super) icon_url: Option<String>,
}

impl Link {
    /// The host, as the card names it: lower case, without `www.`.
    pub(super) fn host(&self) -> String {
        let rest = self
            .url
            .split_once("://")
            .map_or(self.url.as_str(), |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let host = authority
            .rsplit('@')
            .next()
            .unwrap_or(authority)
            .to_lowercase();
        host.strip_prefix("www.").unwrap_or(&host).to_owned()
    }
}

pub(super) fn sheet(campaign: &Campaign, list: String, found: Found, occasion: Occasion) -> Sheet {
    let Found {
        row,
        before,
        media,
        problems: _,
    } = found;
    let Occasion {
        run,
        starts,
        starts_at: _,
    } = occasion;
    let (phone, recipient_key, timezone, shown) = match row.verdict {
        Verdict::Send { recipient, message } => {
            let line = turn(&campaign.terms.lines, before);
            let way = (campaign.terms.channel, line);
            let mut letter = letter(&run, &recipient, message, way, &media);
            if campaign.terms.lines.len() > 1 {
                letter.notes.push(
                    "The lines take turns among new people, and whoever was written to before \
                     keeps their line; so the line may be another one."
                        .to_owned(),
                );
            }
            let Recipient {
                key,
                phone,
                timezone,
            } = recipient;
            (
                Some(phone),
                Some(key),
                timezone,
                Shown::Message(Box::new(letter)),
            )
        }
        Verdict::Skip {
            key,
            phone,
            reason,
            detail,
        } => (phone, key, None, Shown::Skipped { reason, detail }),
    };
    Sheet {
        run,
        starts,
        list,
        row: row.number,
        list_line: row.line,
        phone,
        recipient_key,
        timezone,
        shown,
    }
}

/// The line whose turn it is after so many messages.
fn turn(lines: &[Phone], before: u64) -> Option<&Phone> {
    let count = u64::try_from(lines.len()).unwrap_or(u64::MAX).max(1);
    usize::try_from(before % count)
        .ok()
        .and_then(|at| lines.get(at))
}

fn letter(
    run: &RunId,
    recipient: &Recipient,
    message: Message,
    (channel, line): (Option<Channel>, Option<&Phone>),
    media: &[Media],
) -> Letter {
    let key = IdempotencyKey::derive(run, &recipient.key, 0, 0);
    let envelope = Envelope {
        to: &recipient.phone,
        contact_id: channel.map(|_| CONTACT_ID),
        channel,
        chat_id: None,
        line,
        message: &message,
        attachments: &BTreeMap::new(),
        key: &key,
    };
    let request = match channel {
        Some(_) => huechat::request(&envelope),
        None => chert::request(&envelope),
    };
    let first = match channel {
        Some(_) => Vec::new(),
        None => message.first_message_breaches(),
    };
    let breaches = first.into_iter().map(|breach| {
        let part = breach.part().map_or(0, |part| part + 1);
        let remedy = breach
            .remedy()
            .map(|remedy| format!("; {remedy}"))
            .unwrap_or_default();
        format!("Part {part} is refused: {breach}{remedy}. No run with a new person starts.")
    });
    let mut notes = match channel {
        Some(channel) => contact_notes(channel, &message),
        None => vec![
            "This is the message to a new person. Whoever was written to before gets it as a \
             follow-up in the chat they know: POST /chats/{chat id}/messages."
                .to_owned(),
        ],
    };
    if !media.is_empty() {
        notes.push(
            "A file gets its attachment id when it is uploaded; until then its SHA-256 stands there."
                .to_owned(),
        );
    }
    Letter {
        channel,
        warnings: breaches.collect(),
        notes,
        parts: pieces(message, media),
        from: line.cloned(),
        idempotency_key: key,
        path: request.path,
        body: String::from_utf8_lossy(&request.body).into_owned(),
    }
}

/// What stands in the path for somebody whom the provider has yet to give an id.
const CONTACT_ID: &str = "CONTACT_ID";

fn contact_notes(channel: Channel, message: &Message) -> Vec<String> {
    let mut notes = vec![format!(
        "Whoever is new to the account is made a contact first (POST /contact); the id that it \
         gets stands in the place of {CONTACT_ID}."
    )];
    if message.needs_open_window(channel) {
        notes.push(format!(
            "By {} it may only go to somebody who has written within the last 24 hours.",
            channel.in_words()
        ));
    }
    notes
}

fn pieces(message: Message, media: &[Media]) -> Vec<Piece> {
    let file = |sha256: &Digest| media.iter().find(|file| file.sha256 == *sha256).cloned();
    let pieces = message.parts.into_iter().filter_map(|part| match part {
        Part::Text { value, .. } => Some(Piece::Text(value)),
        Part::Template {
            name, parameters, ..
        } => Some(Piece::Template { name, parameters }),
        Part::Media {
            source: MediaSource::File { sha256 },
        } => file(&sha256).map(Piece::File),
        Part::Media {
            source: MediaSource::Url { url },
        } => Some(Piece::Remote { url }),
        Part::RichLink {
            url,
            title,
            summary,
            image_url,
            icon_url,
        } => Some(Piece::Link(Link {
            url,
            title,
            summary,
            image_url,
            icon_url,
        })),
    });
    pieces.collect()
}

/// `217 B`, `12.4 kB`, `3.1 MB`: decimal, as the provider's limits are.
pub(super) fn size(bytes: usize) -> String {
    let tenths = |unit: usize| format!("{}.{}", bytes / unit, bytes % unit / (unit / 10));
    match bytes {
        ..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", tenths(1_000)),
        1_000_000.. => format!("{} MB", tenths(1_000_000)),
    }
}

/// Foreign text on its way to a screen: control characters, and those that turn the direction of
/// the text around them, are made visible. Line ends and tabs stay.
pub(super) fn clean(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let harmful = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .map(|c| {
            if harmful(c) {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_names_the_host_alone() {
        for (url, host) in [
            ("https://search.google.com/local/x?y=z", "search.google.com"),
            ("https://www.Example.com", "example.com"),
            ("http://user:pw@example.com:8080#a", "example.com:8080"),
            ("https://example.com?a=http://b", "example.com"),
        ] {
            let link = Link {
                url: url.to_owned(),
                title: None,
                summary: None,
                image_url: None,
                icon_url: None,
            };
            assert_eq!(link.host(), host, "{url}");
        }
    }

    #[test]
    fn sizes_are_decimal() {
        let sizes = [999, 1_000, 12_449, 3_100_000].map(size);
        assert_eq!(sizes, ["999 B", "1.0 kB", "12.4 kB", "3.1 MB"]);
    }

    #[test]
    fn foreign_text_cannot_steer_the_screen() {
        assert_eq!(
            clean("a\u{1b}[2Jb\r\nc\td\u{202e}e"),
            "a\u{fffd}[2Jb\nc\td\u{fffd}e"
        );
    }
}
