//! A preview drawn in the terminal: a bubble for each part, then the line, the run, the key and
//! the request. Knows nothing of the terminal but its width and whether it has colours.

use textwrap::Options;
use textwrap::core::display_width;

use super::indent::indent;
use super::sheet::{Letter, METHOD, Piece, Sheet, Shown, clean, size};
use crate::domain::address::Address;

/// Columns of text in a bubble; a phone shows about as many.
const BUBBLE: usize = 44;
/// Columns before the facts below the bubbles.
const MARGIN: usize = 8;
/// Running text gets no wider, however wide the terminal.
const READABLE: usize = 92;

/// How the text may look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) colour: bool,
    pub(super) width: usize,
}

impl Look {
    /// For a file.
    pub(super) const PLAIN: Self = Self {
        colour: false,
        width: 80,
    };

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }

    fn warn(self, text: &str) -> String {
        self.paint("33", text)
    }
}

/// What a line of a bubble means.
#[derive(Debug, Clone, Copy)]
enum Tone {
    Plain,
    Strong,
    Faint,
}

pub(super) fn text(sheet: &Sheet, look: Look) -> String {
    let mut page = Page {
        text: String::new(),
        look,
    };
    let row = format!(
        "row {} (line {} of {})",
        sheet.row,
        sheet.list_line,
        clean(&sheet.list)
    );
    page.line(&match &sheet.phone {
        Some(phone) => format!("To {}, {}", look.strong(phone.expose()), look.faint(&row)),
        None => format!("To nobody, {}", look.faint(&row)),
    });
    page.line("");
    match &sheet.shown {
        Shown::Message(letter) => page.letter(sheet, letter),
        Shown::Skipped { reason, detail } => {
            page.line(&look.warn(&format!("No message: {}.", reason.in_words())));
            page.line("");
            page.fact("Why", &clean(detail));
            page.fact("State", &format!("skipped: {reason}"));
            page.fact("Run", sheet.run.as_str());
        }
    }
    page.text
}

struct Page {
    text: String,
    look: Look,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn letter(&mut self, sheet: &Sheet, letter: &Letter) {
        for piece in &letter.parts {
            self.bubble(piece);
        }
        self.line("");
        for warning in &letter.warnings {
            let warning = clean(warning);
            for line in wrapped(&warning, self.room()) {
                self.line(&self.look.warn(&line));
            }
            self.line("");
        }
        if let Some(from) = &letter.from {
            self.fact("From", from.expose());
        }
        if let Some(channel) = letter.channel {
            self.fact("By", channel.in_words());
        }
        let run = match &sheet.starts {
            Some(starts) => format!("{}, {starts}", sheet.run),
            None => sheet.run.to_string(),
        };
        self.fact("Run", &run);
        if let Some(key) = &sheet.recipient_key
            && Some(key.as_str()) != sheet.phone.as_ref().map(Address::expose)
        {
            self.fact("Person", &clean(key));
        }
        self.fact("Key", letter.idempotency_key.as_str());
        self.line("");
        self.line(&self.look.strong(&format!("{METHOD} {}", letter.path)));
        for line in indent(&escaped(&letter.body)).lines() {
            self.line(line);
        }
        self.line("");
        for note in &letter.notes {
            for line in wrapped(note, self.room()) {
                self.line(&self.look.faint(&line));
            }
        }
        let exact = "`--format json` has the body byte for byte.";
        self.line(&self.look.faint(exact));
    }

    fn room(&self) -> usize {
        self.look.width.min(READABLE)
    }

    /// `Key     so1-…`
    fn fact(&mut self, name: &str, value: &str) {
        let mut name = name;
        for line in wrapped(value, self.room().saturating_sub(MARGIN).max(20)) {
            let head = self.look.faint(&format!("{name:MARGIN$}"));
            self.line(&format!("{head}{line}"));
            name = "";
        }
    }

    fn bubble(&mut self, piece: &Piece) {
        let mut lines: Vec<(Tone, String)> = Vec::new();
        let room = BUBBLE.min(self.look.width.saturating_sub(6));
        let mut add = |tone: Tone, text: &str| {
            let text = clean(text).replace('\t', "    ");
            lines.extend(wrapped(&text, room).into_iter().map(|line| (tone, line)));
        };
        match piece {
            Piece::Text(value) => add(Tone::Plain, value),
            Piece::File(media) => {
                add(Tone::Strong, &format!("▣ {}", media.filename));
                let about = format!("{}, {}", media.content_type, size(media.bytes.len()));
                add(Tone::Faint, &format!("  {about}"));
            }
            Piece::Template { name, parameters } => {
                add(Tone::Strong, &format!("▤ template {name}"));
                for (key, value) in parameters {
                    add(Tone::Plain, &format!("{key}: {value}"));
                }
            }
            Piece::Remote { url } => {
                add(Tone::Strong, "▣ media that the provider fetches");
                add(Tone::Faint, url);
            }
            Piece::Link(link) => {
                let host = link.host();
                add(Tone::Strong, link.title.as_deref().unwrap_or(&host));
                if let Some(summary) = &link.summary {
                    add(Tone::Plain, summary);
                }
                add(Tone::Faint, &format!("↗ {host}"));
            }
        }
        let width = lines
            .iter()
            .map(|(_, line)| display_width(line))
            .max()
            .unwrap_or(0);
        let edge = "─".repeat(width + 2);
        self.line(&format!("  {}", self.look.faint(&format!("╭{edge}╮"))));
        let wall = self.look.faint("│");
        for (tone, line) in lines {
            let space = " ".repeat(width.saturating_sub(display_width(&line)));
            let line = match tone {
                Tone::Plain => line,
                Tone::Strong => self.look.strong(&line),
                Tone::Faint => self.look.faint(&line),
            };
            self.line(&format!("  {wall} {line}{space} {wall}"));
        }
        self.line(&format!("  {}", self.look.faint(&format!("╰{edge}╯"))));
    }
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    textwrap::wrap(text, Options::new(width))
        .into_iter()
        .map(String::from)
        .collect()
}

/// A JSON text in which whatever [`clean`] would replace stands as an escape: still the same
/// JSON, and harmless on a terminal.
fn escaped(json: &str) -> String {
    let shown = json.chars().map(|c| {
        let own = c.to_string();
        if clean(&own) == own {
            own
        } else {
            format!("\\u{:04x}", u32::from(c))
        }
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escaped_body_is_the_same_json() {
        let json = "{\"a\":\"x\u{202e}y\u{7f}é\"}";
        assert_eq!(escaped(json), "{\"a\":\"x\\u202ey\\u007fé\"}");
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(&escaped(json)), read(json));
    }

    #[test]
    fn walls_stand_straight_beside_wide_letters() {
        let mut page = Page {
            text: String::new(),
            look: Look::PLAIN,
        };
        page.bubble(&Piece::Text("你好 Dana\nx".to_owned()));
        assert_eq!(
            page.text,
            "  ╭───────────╮\n  │ 你好 Dana │\n  │ x         │\n  ╰───────────╯\n"
        );
    }
}
