//! Bytes of a list to text: finds out the encoding by looking, decodes piece by piece, hashes on
//! the way. Knows nothing of rows or cells.

use std::io::Read;

use encoding_rs::{DecoderResult, UTF_16BE, UTF_16LE, WINDOWS_1252};

use crate::domain::digest::{Digest, Hasher};

/// How the bytes of a list are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
    /// What is left when the bytes are no UTF-8: the usual export of a Western office program.
    Windows1252,
}

impl Encoding {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16Le => "UTF-16 (little endian)",
            Self::Utf16Be => "UTF-16 (big endian)",
            Self::Windows1252 => "Windows-1252",
        }
    }
}

/// Why the bytes cannot be read as text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("this is {0}, not a CSV file")]
    Foreign(&'static str),
    #[error("this is not a text file (it holds a NUL byte)")]
    Binary,
    #[error("a character here is broken: the text is {0} up to this line, but not from here on")]
    Broken(&'static str),
    #[error("cannot be read: {0}")]
    Io(String),
}

impl Unreadable {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Foreign(_) | Self::Binary => {
                "open it in the program that made it and save it as \"CSV UTF-8\""
            }
            Self::Broken(_) => "save the list again as \"CSV UTF-8\"",
            Self::Io(_) => "check that the file is there and may be read",
        }
    }
}

/// One read of the source; large enough that the system call does not count.
const PIECE: usize = 64 * 1024;

/// A list as text. What has been read is hashed; nothing is kept but an unfinished character.
pub struct TextReader {
    source: Box<dyn Read + Send>,
    hasher: Hasher,
    /// Bytes that are not decoded yet: the whole first piece, later at most one character.
    raw: Vec<u8>,
    piece: Box<[u8]>,
    decoder: Option<encoding_rs::Decoder>,
    encoding: Encoding,
    only_ascii: bool,
    ended: bool,
    /// The decoder has been told that no more comes; it must not be asked again.
    finished: bool,
}

impl std::fmt::Debug for TextReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TextReader({})", self.encoding.as_str())
    }
}

impl TextReader {
    /// Reads the first piece and decides the encoding by it.
    pub fn new(source: Box<dyn Read + Send>) -> Result<Self, Unreadable> {
        let mut reader = Self {
            source,
            hasher: Hasher::default(),
            raw: Vec::new(),
            piece: vec![0; PIECE].into_boxed_slice(),
            decoder: None,
            encoding: Encoding::Utf8,
            only_ascii: true,
            ended: false,
            finished: false,
        };
        while reader.raw.len() < PIECE && !reader.ended {
            reader.pull()?;
        }
        reader.look()?;
        Ok(reader)
    }

    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Of every byte read; complete once [`TextReader::read_into`] has said `false`.
    pub fn sha256(&self) -> Digest {
        self.hasher.clone().finish()
    }

    /// Appends the next piece of text; `false` at the end. When it fails, `out` holds
    /// everything up to the place of failure.
    pub fn read_into(&mut self, out: &mut String) -> Result<bool, Unreadable> {
        if self.raw.is_empty() && !self.ended {
            self.pull()?;
        }
        if self.raw.is_empty() && (self.finished || self.decoder.is_none()) {
            return Ok(false);
        }
        let from = out.len();
        let decoded = match self.encoding {
            Encoding::Utf8 => self.decode_utf8(out),
            Encoding::Utf16Le | Encoding::Utf16Be | Encoding::Windows1252 => self.decode(out),
        };
        if let Some(at) = out
            .as_bytes()
            .get(from..)
            .unwrap_or_default()
            .iter()
            .position(|b| *b == 0)
        {
            out.truncate(from + at);
            return Err(Unreadable::Binary);
        }
        decoded?;
        if !self.raw.is_empty() && !self.ended {
            self.pull()?;
        }
        Ok(true)
    }

    fn pull(&mut self) -> Result<(), Unreadable> {
        loop {
            match self.source.read(&mut self.piece) {
                Ok(0) => self.ended = true,
                Ok(n) => {
                    let read = self.piece.get(..n).unwrap_or_default();
                    self.hasher.update(read);
                    self.raw.extend_from_slice(read);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Unreadable::Io(error.kind().to_string())),
            }
            return Ok(());
        }
    }

    fn look(&mut self) -> Result<(), Unreadable> {
        if let Some(what) = foreign(&self.raw) {
            return Err(Unreadable::Foreign(what));
        }
        let mark = match self.raw.as_slice() {
            [0xEF, 0xBB, 0xBF, ..] => Some((Encoding::Utf8, 3)),
            [0xFF, 0xFE, ..] => Some((Encoding::Utf16Le, 2)),
            [0xFE, 0xFF, ..] => Some((Encoding::Utf16Be, 2)),
            _ => None,
        };
        if let Some((encoding, length)) = mark {
            self.encoding = encoding;
            self.raw.drain(..length);
        } else if let Some(encoding) = unmarked_utf16(&self.raw) {
            self.encoding = encoding;
        }
        self.decoder = match self.encoding {
            Encoding::Utf8 | Encoding::Windows1252 => None,
            Encoding::Utf16Le => Some(UTF_16LE.new_decoder_without_bom_handling()),
            Encoding::Utf16Be => Some(UTF_16BE.new_decoder_without_bom_handling()),
        };
        if self.encoding == Encoding::Utf8
            && let Err(error) = std::str::from_utf8(&self.raw)
            && (error.error_len().is_some() || self.ended)
            && mark.is_none()
        {
            self.switch_to_windows_1252();
        }
        Ok(())
    }

    fn switch_to_windows_1252(&mut self) {
        self.encoding = Encoding::Windows1252;
        self.decoder = Some(WINDOWS_1252.new_decoder_without_bom_handling());
    }

    /// Lists that turn out not to be UTF-8 late, after nothing but ASCII, are read as
    /// Windows-1252 from there: what came before means the same in both.
    fn decode_utf8(&mut self, out: &mut String) -> Result<(), Unreadable> {
        match std::str::from_utf8(&self.raw) {
            Ok(text) => {
                self.only_ascii = self.only_ascii && text.is_ascii();
                out.push_str(text);
                self.raw.clear();
                Ok(())
            }
            Err(error) => {
                let (good, _) = self.raw.split_at(error.valid_up_to());
                let text = std::str::from_utf8(good).unwrap_or_default();
                self.only_ascii = self.only_ascii && text.is_ascii();
                out.push_str(text);
                self.raw.drain(..error.valid_up_to());
                let unfinished = error.error_len().is_none() && !self.ended;
                if unfinished {
                    return Ok(());
                }
                if self.only_ascii {
                    self.switch_to_windows_1252();
                    return self.decode(out);
                }
                Err(Unreadable::Broken(Encoding::Utf8.as_str()))
            }
        }
    }

    fn decode(&mut self, out: &mut String) -> Result<(), Unreadable> {
        let Some(decoder) = &mut self.decoder else {
            return Ok(());
        };
        self.finished = self.ended;
        let room = decoder
            .max_utf8_buffer_length_without_replacement(self.raw.len())
            .unwrap_or(PIECE * 4);
        out.reserve(room);
        let (result, read) =
            decoder.decode_to_string_without_replacement(&self.raw, out, self.ended);
        self.raw.drain(..read);
        match result {
            DecoderResult::InputEmpty | DecoderResult::OutputFull => Ok(()),
            DecoderResult::Malformed(..) => Err(Unreadable::Broken(self.encoding.as_str())),
        }
    }
}

/// Files that people take for CSV, by their first bytes.
fn foreign(start: &[u8]) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 7] = [
        (
            b"PK\x03\x04",
            "a spreadsheet (.xlsx, .ods) or another zip file",
        ),
        (b"\xD0\xCF\x11\xE0", "an old spreadsheet (.xls)"),
        (b"%PDF", "a PDF"),
        (b"\x1F\x8B", "a gzip file"),
        (b"SQLite format 3\0", "a database"),
        (b"\x89PNG", "an image"),
        (b"\xFF\xD8\xFF", "an image"),
    ];
    KNOWN
        .iter()
        .find(|(magic, _)| start.starts_with(magic))
        .map(|(_, what)| *what)
}

/// UTF-16 without a mark shows in a text that is mostly Latin: every second byte is 0.
fn unmarked_utf16(start: &[u8]) -> Option<Encoding> {
    let sample = start.get(..start.len().min(1024) & !1)?;
    if sample.len() < 4 {
        return None;
    }
    let zeros = |offset: usize| {
        sample
            .iter()
            .skip(offset)
            .step_by(2)
            .filter(|b| **b == 0)
            .count()
    };
    let (even, odd, pairs) = (zeros(0), zeros(1), sample.len() / 2);
    if odd * 10 >= pairs * 6 && even * 10 < pairs {
        Some(Encoding::Utf16Le)
    } else if even * 10 >= pairs * 6 && odd * 10 < pairs {
        Some(Encoding::Utf16Be)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A source that hands out its bytes in small pieces, to cut characters in two.
    struct Drip(Vec<u8>, usize);

    impl Read for Drip {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let n = self.0.len().min(self.1).min(buffer.len());
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0.drain(..n);
            Ok(n)
        }
    }

    fn read(bytes: &[u8]) -> Result<(String, Encoding), Unreadable> {
        let mut reader = TextReader::new(Box::new(Drip(bytes.to_vec(), 7)))?;
        let mut out = String::new();
        while reader.read_into(&mut out)? {}
        assert_eq!(reader.sha256(), Digest::of(bytes));
        Ok((out, reader.encoding()))
    }

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    const TEXT: &str = "phone,name\n+12025550143,José 王芳 😀\n";

    #[test]
    fn every_usual_encoding_reads_as_the_same_text() {
        let plain = "phone,name\n+12025550143,José\n";
        assert_eq!(read(TEXT.as_bytes()), Ok((TEXT.into(), Encoding::Utf8)));
        let marked = format!("\u{FEFF}{TEXT}");
        assert_eq!(read(marked.as_bytes()), Ok((TEXT.into(), Encoding::Utf8)));
        for (bytes, encoding) in [
            (u16::to_le_bytes as fn(u16) -> [u8; 2], Encoding::Utf16Le),
            (u16::to_be_bytes, Encoding::Utf16Be),
        ] {
            assert_eq!(read(&utf16(&marked, bytes)), Ok((TEXT.into(), encoding)));
            assert_eq!(read(&utf16(plain, bytes)), Ok((plain.into(), encoding)));
        }
        let (latin, _, _) = WINDOWS_1252.encode(plain);
        assert_eq!(read(&latin), Ok((plain.into(), Encoding::Windows1252)));
    }

    #[test]
    fn a_late_western_letter_is_read_when_all_before_was_ascii() {
        let mut bytes = b"phone,name\n".to_vec();
        bytes.extend(std::iter::repeat_n(b'x', PIECE * 2));
        bytes.extend(b"Jos\xE9\n");
        let (text, encoding) = read(&bytes).unwrap();
        assert!(text.ends_with("José\n"));
        assert_eq!(encoding, Encoding::Windows1252);
    }

    #[test]
    fn a_mixture_of_encodings_is_refused() {
        let mut bytes = "José\n".as_bytes().to_vec();
        bytes.extend(std::iter::repeat_n(b'x', PIECE * 2));
        bytes.extend(b"Jos\xE9\n");
        assert_eq!(read(&bytes), Err(Unreadable::Broken("UTF-8")));
    }

    #[test]
    fn files_that_are_no_text_are_named() {
        assert!(matches!(
            read(b"PK\x03\x04rest"),
            Err(Unreadable::Foreign(_))
        ));
        assert_eq!(read(b"phone\n+1\x00\x01\x02"), Err(Unreadable::Binary));
        assert_eq!(read(b""), Ok((String::new(), Encoding::Utf8)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            drop(read(&bytes));
        }

        #[test]
        fn any_text_survives_utf8_and_utf16(text in "[^\u{0}\u{FEFF}]{0,80}") {
            let marked = format!("\u{FEFF}{text}");
            prop_assert_eq!(read(marked.as_bytes()).unwrap().0, text.clone());
            prop_assert_eq!(read(&utf16(&marked, u16::to_le_bytes)).unwrap().0, text.clone());
            prop_assert_eq!(read(&utf16(&marked, u16::to_be_bytes)).unwrap().0, text);
        }
    }
}
