//! Lines of text laid out for a person: wrapped, indented, in columns. Decides no words.

use super::style::{NARROWEST, READABLE, Style, Tone};

/// Characters that a text gets beside a head, however wide that is.
const LEAST_WORDS: usize = 12;

/// A text that grows line by line.
#[derive(Debug)]
pub(super) struct Page {
    text: String,
    style: Style,
}

impl Page {
    pub(super) fn new(style: Style) -> Self {
        Self {
            text: String::new(),
            style,
        }
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// An empty line, then the heading.
    pub(super) fn heading(&mut self, tone: Tone, text: &str) {
        if !self.text.is_empty() {
            self.gap();
        }
        for line in wrap(text, self.room(0)) {
            self.line(&self.style.paint(tone, &line));
        }
    }

    pub(super) fn gap(&mut self) {
        self.text.push('\n');
    }

    /// Running text.
    pub(super) fn paragraph(&mut self, indent: usize, text: &str) {
        for line in wrap(text, self.room(indent)) {
            self.line(&format!("{:indent$}{line}", ""));
        }
    }

    /// Text beside a head that keeps its column: `   12  why they did not get it`.
    pub(super) fn beside(&mut self, head: &[(Tone, String)], tone: Tone, text: &str) {
        let width: usize = head.iter().map(|(_, cell)| cell.chars().count()).sum();
        let painted: String = head
            .iter()
            .map(|(tone, cell)| self.style.paint(*tone, cell))
            .collect();
        let mut lines = wrap(text, self.room(width)).into_iter();
        let first = lines.next().unwrap_or_default();
        self.line(&format!("{painted}{}", self.style.paint(tone, &first)));
        for line in lines {
            let line = self.style.paint(tone, &line);
            self.line(&format!("{:width$}{line}", ""));
        }
    }

    /// A line to be copied: never broken.
    pub(super) fn command(&mut self, text: &str) {
        let text = self.style.paint(Tone::Strong, text);
        self.line(&format!("    {text}"));
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn room(&self, indent: usize) -> usize {
        let width = self.style.width.clamp(NARROWEST, READABLE);
        width.saturating_sub(indent).max(LEAST_WORDS)
    }
}

/// Breaks text between words. A word longer than the line stays whole, so that an address or a
/// path can be copied.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Foreign text on its way to a terminal or into one line of a file: control characters and
/// those that turn the writing direction around become spaces, runs of spaces become one.
pub(super) fn clean(text: &str) -> String {
    let harmless = |c: char| {
        !c.is_control()
            && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
    };
    let spaced: String = text
        .chars()
        .map(|c| if harmless(c) { c } else { ' ' })
        .collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\r\nc\u{202e}d"), "a [31mb c d");
    }

    proptest! {
        #[test]
        fn wrapping_keeps_every_word_and_the_width(text in "[a-zé ]{0,200}", width in 10usize..60) {
            let lines = wrap(&text, width);
            let words: Vec<&str> = lines.iter().flat_map(|line| line.split(' ')).collect();
            prop_assert_eq!(words, text.split_whitespace().collect::<Vec<_>>());
            for line in &lines {
                prop_assert!(line.chars().count() <= width || !line.contains(' '));
            }
        }
    }
}
