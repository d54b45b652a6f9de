//! Colour and width of what a person reads. Does not know whether there is a terminal.

/// Whether colours are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    On,
    /// Not one escape sequence.
    Off,
}

/// The look of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    pub colour: Colour,
    /// Characters in a line. Running text never gets longer than 100, however wide the terminal,
    /// and is not squeezed below 40.
    pub width: usize,
}

/// Lines of running text longer than this are hard to follow.
pub(super) const READABLE: usize = 100;
/// Below this no column of text is left beside a number.
pub(super) const NARROWEST: usize = 40;

impl Style {
    /// For a file, a pipe or a mail.
    pub const PLAIN: Self = Self {
        colour: Colour::Off,
        width: 80,
    };

    pub(super) fn paint(self, tone: Tone, text: &str) -> String {
        match (self.colour, tone.code()) {
            (Colour::On, Some(code)) if !text.is_empty() => format!("\x1b[{code}m{text}\x1b[0m"),
            (Colour::On | Colour::Off, _) => text.to_owned(),
        }
    }
}

/// What a piece of text means to the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    /// A heading.
    Strong,
    Good,
    /// Waits, or needs a look.
    Warn,
    Bad,
    /// Worth less than the rest.
    Faint,
}

impl Tone {
    /// The parameter of "select graphic rendition" (ECMA-48 §8.3.117); the terminal's own
    /// palette decides on the shade.
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Strong => Some("1"),
            Self::Good => Some("32"),
            Self::Warn => Some("33"),
            Self::Bad => Some("31"),
            Self::Faint => Some("2"),
        }
    }
}
