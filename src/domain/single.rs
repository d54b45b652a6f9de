//! A message as one request carries it, for a provider that takes one kind of thing at a time
//! (huechat §7.1): all texts and links together, or one picture or document with them as its
//! caption, or one approved template. Whatever would need two requests is a breach.

use super::channel::Channel;
use super::message::{Breach, MAX_URL_CHARS, MediaSource, Message, Part, check_url};

/// What one request carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Single<'a> {
    Text {
        content: String,
        subject: Option<&'a str>,
    },
    /// The provider fetches it.
    Image {
        url: &'a str,
        caption: Option<String>,
        subject: Option<&'a str>,
    },
    Document {
        url: &'a str,
        /// The name the recipient sees; the last piece of the address.
        filename: Option<String>,
        caption: Option<String>,
        subject: Option<&'a str>,
    },
    Template {
        name: &'a str,
        language: Option<&'a str>,
        parameters: &'a std::collections::BTreeMap<String, String>,
    },
}

/// Most characters of a template's parameters together with its words (huechat §8.1).
pub const MAX_TEMPLATE_CHARS: usize = 1_024;
/// Longest subject in characters (huechat §7.1).
const MAX_SUBJECT_CHARS: usize = 255;
/// Longest name of a document in characters (huechat §7.1).
const MAX_FILENAME_CHARS: usize = 240;
/// More spaces in a row are refused in a parameter (huechat §8.1).
const MAX_SPACES: usize = 4;

impl Message {
    /// The one thing that the message is. Of a message with breaches, a likeness.
    pub fn single(&self) -> Single<'_> {
        let mut lines: Vec<&str> = Vec::new();
        let (mut media, mut subject) = (None, None);
        for part in &self.parts {
            match part {
                Part::Text { value, subject: of } => {
                    lines.push(value);
                    subject = subject.or(of.as_deref());
                }
                // A link has a line of its own: this provider makes no card of it.
                Part::RichLink { url, .. } => lines.push(url),
                Part::Media {
                    source: MediaSource::Url { url },
                } => media = media.or(Some(url.as_str())),
                Part::Media {
                    source: MediaSource::File { .. },
                } => {}
                Part::Template {
                    name,
                    language,
                    parameters,
                } => {
                    return Single::Template {
                        name,
                        language: language.as_deref(),
                        parameters,
                    };
                }
            }
        }
        let content = lines.join("\n");
        let Some(url) = media else {
            return Single::Text { content, subject };
        };
        let caption = (!content.is_empty()).then_some(content);
        if is_image(url) {
            Single::Image {
                url,
                caption,
                subject,
            }
        } else {
            Single::Document {
                url,
                filename: filename(url),
                caption,
                subject,
            }
        }
    }

    /// Every rule that a message breaks which is to go over this channel.
    pub fn channel_breaches(&self, channel: Channel) -> Vec<Breach> {
        let mut found = Vec::new();
        if self.parts.is_empty() {
            return vec![Breach::NoParts];
        }
        let (mut media, mut words) = (0, 0);
        for (part, content) in self.parts.iter().enumerate() {
            match content {
                Part::Text { value, subject } => {
                    words += 1;
                    if value.trim().is_empty() {
                        found.push(Breach::EmptyText { part });
                    }
                    found.extend(subject_breach(subject.as_deref(), part, channel));
                }
                Part::RichLink { url, .. } => {
                    words += 1;
                    check_url(url, part, &mut found);
                }
                Part::Media {
                    source: MediaSource::File { .. },
                } => {
                    media += 1;
                    found.push(Breach::FileNotTaken { part });
                }
                Part::Media {
                    source: MediaSource::Url { url },
                } => {
                    media += 1;
                    check_url(url, part, &mut found);
                    if !url.starts_with("https://") {
                        found.push(Breach::MediaNotSecure { part });
                    }
                    if media > 1 {
                        found.push(Breach::SecondMedia { part });
                    }
                    let fits = match channel {
                        Channel::Whatsapp | Channel::Email => true,
                        Channel::Instagram => is_image(url),
                        Channel::Sms => false,
                    };
                    if !fits {
                        found.push(Breach::MediaNotTaken { part, channel });
                    }
                }
                Part::Template { parameters, .. } => {
                    if channel != Channel::Whatsapp {
                        found.push(Breach::TemplateNotTaken { part, channel });
                    }
                    if self.parts.len() > 1 {
                        found.push(Breach::TemplateNotAlone { part });
                    }
                    found.extend(parameter_breaches(parameters, part));
                }
            }
        }
        if words > 0 {
            let chars = match self.single() {
                Single::Text { content, .. } => content.chars().count(),
                Single::Image { caption, .. } | Single::Document { caption, .. } => {
                    caption.map_or(0, |caption| caption.chars().count())
                }
                Single::Template { .. } => 0,
            };
            if chars > channel.max_text_chars() {
                found.push(Breach::ContentTooLong { chars, channel });
            }
        }
        found
    }

    /// The approved template that the message is made of.
    pub fn template(&self) -> Option<&str> {
        self.parts.iter().find_map(|part| match part {
            Part::Template { name, .. } => Some(name.as_str()),
            Part::Text { .. } | Part::Media { .. } | Part::RichLink { .. } => None,
        })
    }

    /// Whether it may only go to somebody who has written lately.
    pub fn needs_open_window(&self, channel: Channel) -> bool {
        channel.has_reply_window() && self.template().is_none()
    }
}

fn subject_breach(subject: Option<&str>, part: usize, channel: Channel) -> Option<Breach> {
    let subject = subject?;
    if !channel.is_mail() {
        Some(Breach::SubjectNotTaken { part, channel })
    } else if subject.trim().is_empty()
        || subject.chars().count() > MAX_SUBJECT_CHARS
        || subject.contains(char::is_control)
    {
        Some(Breach::BadSubject { part })
    } else {
        None
    }
}

fn parameter_breaches(
    parameters: &std::collections::BTreeMap<String, String>,
    part: usize,
) -> Vec<Breach> {
    let mut found = Vec::new();
    let numbers: Vec<usize> = parameters
        .keys()
        .filter_map(|key| key.parse().ok())
        .collect();
    // Either all are numbered, without a gap, or none is (huechat §15, A20).
    let whole = (1..=parameters.len()).all(|n| parameters.contains_key(&n.to_string()));
    if !numbers.is_empty() && !whole {
        found.push(Breach::ParametersNotCounted { part });
    }
    for (name, value) in parameters {
        let why = if value.trim().is_empty() {
            "is empty"
        } else if value.contains(['\n', '\r', '\t']) {
            "has a line break or a tab in it"
        } else if value.contains(&" ".repeat(MAX_SPACES + 1)) {
            "has more than four spaces in a row"
        } else if value.chars().count() > MAX_TEMPLATE_CHARS {
            "is longer than a whole template may be (1,024 characters)"
        } else {
            continue;
        };
        found.push(Breach::BadParameter {
            part,
            name: name.clone(),
            why,
        });
    }
    found
}

/// The path of an address, without what is behind `?` and `#`.
fn path(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    path.split_once("://").map_or(path, |(_, rest)| rest)
}

/// A picture that the channels show as one: JPEG or PNG (huechat §7.1), by its name. Everything
/// else goes as a document.
fn is_image(url: &str) -> bool {
    let path = path(url).to_ascii_lowercase();
    [".jpg", ".jpeg", ".png"]
        .iter()
        .any(|end| path.ends_with(end))
}

fn filename(url: &str) -> Option<String> {
    let (_, name) = path(url).rsplit_once('/')?;
    let known = !name.is_empty() && url.chars().count() <= MAX_URL_CHARS;
    let short = name.chars().take(MAX_FILENAME_CHARS).collect();
    known.then_some(short)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::digest::Digest;

    fn text(value: &str) -> Part {
        Part::Text {
            value: value.to_owned(),
            subject: None,
        }
    }

    fn link(url: &str) -> Part {
        Part::RichLink {
            url: url.to_owned(),
            title: Some("Leave a review".to_owned()),
            summary: None,
            image_url: None,
            icon_url: None,
        }
    }

    fn media(url: &str) -> Part {
        Part::Media {
            source: MediaSource::Url {
                url: url.to_owned(),
            },
        }
    }

    fn template(parameters: &[(&str, &str)]) -> Part {
        Part::Template {
            name: "order_confirmation".to_owned(),
            language: None,
            parameters: parameters
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    fn breaches(parts: Vec<Part>, channel: Channel) -> Vec<Breach> {
        Message::of(parts).channel_breaches(channel)
    }

    #[test]
    fn a_link_stands_on_a_line_of_its_own_in_the_text() {
        let message = Message::of(vec![text("Hi Dana"), link("https://example.com/r")]);
        assert_eq!(
            message.single(),
            Single::Text {
                content: "Hi Dana\nhttps://example.com/r".to_owned(),
                subject: None
            }
        );
        assert_eq!(message.channel_breaches(Channel::Sms), []);
    }

    #[test]
    fn a_picture_takes_the_text_as_its_caption_and_what_is_no_picture_is_a_document() {
        let message = Message::of(vec![media("https://x.example/a.PNG?v=1"), text("Look")]);
        assert_eq!(
            message.single(),
            Single::Image {
                url: "https://x.example/a.PNG?v=1",
                caption: Some("Look".to_owned()),
                subject: None
            }
        );
        let message = Message::of(vec![media("https://x.example/menu.pdf")]);
        let Single::Document {
            filename, caption, ..
        } = message.single()
        else {
            panic!("no document");
        };
        assert_eq!((filename.as_deref(), caption), (Some("menu.pdf"), None));
    }

    #[test]
    fn whatever_needs_two_requests_is_refused() {
        let two = vec![
            media("https://x.example/a.png"),
            media("https://x.example/b.png"),
        ];
        assert_eq!(
            breaches(two, Channel::Whatsapp),
            [Breach::SecondMedia { part: 1 }]
        );
        let beside = vec![template(&[("1", "Dana")]), text("and more")];
        assert_eq!(
            breaches(beside, Channel::Whatsapp),
            [Breach::TemplateNotAlone { part: 0 }]
        );
        let file = Part::Media {
            source: MediaSource::File {
                sha256: Digest::of(b"png"),
            },
        };
        assert_eq!(
            breaches(vec![file], Channel::Whatsapp),
            [Breach::FileNotTaken { part: 0 }]
        );
    }

    #[test]
    fn each_channel_has_its_own_limits() {
        for channel in Channel::ALL {
            let most = channel.max_text_chars();
            assert_eq!(breaches(vec![text(&"x".repeat(most))], channel), []);
            assert_eq!(
                breaches(vec![text(&"x".repeat(most + 1))], channel),
                [Breach::ContentTooLong {
                    chars: most + 1,
                    channel
                }]
            );
        }
        let picture = || vec![media("https://x.example/a.png")];
        assert_eq!(breaches(picture(), Channel::Instagram), []);
        assert_eq!(breaches(picture(), Channel::Email), []);
        assert_eq!(breaches(picture(), Channel::Sms).len(), 1);
        let document = vec![media("https://x.example/a.pdf")];
        assert_eq!(breaches(document, Channel::Instagram).len(), 1);
        assert_eq!(breaches(vec![template(&[])], Channel::Sms).len(), 1);
    }

    #[test]
    fn a_parameter_that_the_platform_refuses_is_named() {
        for (value, good) in [
            ("Dana", true),
            ("a    b", true),
            ("a     b", false),
            ("", false),
            (" ", false),
            ("a\nb", false),
            ("a\tb", false),
        ] {
            let found = breaches(vec![template(&[("1", value)])], Channel::Whatsapp);
            assert_eq!(found.is_empty(), good, "{value:?}");
        }
        let gap = breaches(vec![template(&[("1", "a"), ("3", "b")])], Channel::Whatsapp);
        assert_eq!(gap, [Breach::ParametersNotCounted { part: 0 }]);
        let named = breaches(vec![template(&[("name", "a")])], Channel::Whatsapp);
        assert_eq!(named, []);
    }

    #[test]
    fn only_a_template_goes_to_somebody_who_has_not_written() {
        let free = Message::of(vec![text("Hi")]);
        let approved = Message::of(vec![template(&[])]);
        assert!(free.needs_open_window(Channel::Whatsapp));
        assert!(free.needs_open_window(Channel::Instagram));
        assert!(!free.needs_open_window(Channel::Sms));
        assert!(!approved.needs_open_window(Channel::Whatsapp));
    }
}
