//! Server-sent events out of bytes, however these are cut. Holds no more than one line and one
//! event at a time, both bounded; knows no provider.

use std::collections::VecDeque;

/// The longest line, and the longest event: as much as any whole answer may have.
const MAX: usize = super::http::MAX_ANSWER;
/// What some servers put before the first line.
const MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// One event. Its data is the provider's and may be a person's words.
#[derive(Default, Clone, PartialEq, Eq)]
pub(super) struct Event {
    /// Empty where it has none.
    pub(super) kind: String,
    pub(super) data: String,
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Event({:?}, {} bytes)", self.kind, self.data.len())
    }
}

/// A line or an event is longer than any can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong;

/// What has been read so far of a stream.
#[derive(Default)]
pub(super) struct Parser {
    line: Vec<u8>,
    event: Event,
    /// The last byte ended a line, and one that follows may belong to it.
    after_return: bool,
    /// The first line has been read.
    begun: bool,
}

impl std::fmt::Debug for Parser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Parser({} bytes of a line)", self.line.len())
    }
}

impl Parser {
    /// Takes the next bytes in and adds the events that they complete.
    pub(super) fn push(
        &mut self,
        mut bytes: &[u8],
        events: &mut VecDeque<Event>,
    ) -> Result<(), TooLong> {
        while let Some(first) = bytes.first() {
            if std::mem::take(&mut self.after_return) && *first == b'\n' {
                bytes = bytes.get(1..).unwrap_or_default();
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let (part, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            if self.line.len() + part.len() > MAX {
                return Err(TooLong);
            }
            self.line.extend_from_slice(part);
            let Some(end) = rest.first() else {
                return Ok(());
            };
            self.after_return = *end == b'\r';
            bytes = rest.get(1..).unwrap_or_default();
            self.end_line(events)?;
        }
        Ok(())
    }

    fn end_line(&mut self, events: &mut VecDeque<Event>) -> Result<(), TooLong> {
        let line = std::mem::take(&mut self.line);
        let mut line = line.as_slice();
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix(&MARK).unwrap_or(line);
        }
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            if event != Event::default() {
                events.push_back(event);
            }
            return Ok(());
        }
        let text = String::from_utf8_lossy(line);
        let (name, value) = text.split_once(':').unwrap_or((&text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => value.clone_into(&mut self.event.kind),
            "data" => {
                let data = &mut self.event.data;
                if data.len() + value.len() + 1 > MAX {
                    return Err(TooLong);
                }
                if !data.is_empty() {
                    data.push('\n');
                }
                data.push_str(value);
            }
            // Comments, ids and waits: the answers have names of their own, and when to connect
            // again is not the stream's to say.
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Event>, TooLong> {
        let mut parser = Parser::default();
        let mut events = VecDeque::new();
        for chunk in chunks {
            parser.push(chunk, &mut events)?;
        }
        Ok(events.into())
    }

    fn event(kind: &str, data: &str) -> Event {
        Event {
            kind: kind.to_owned(),
            data: data.to_owned(),
        }
    }

    #[test]
    fn events_are_read_whatever_ends_their_lines() {
        for end in ["\n", "\r", "\r\n"] {
            let text = "\u{feff}: hello\nid: 7\nevent: message.received\ndata: {\"a\":\ndata:1}\n\n\
                        retry: 5\n\ndata\n\ndata:  x: y\n\nevent: close\n\ndata: cut off\n";
            let text = text.replace('\n', end);
            let events = read([text.as_bytes()]).unwrap();
            let expected = [
                event("message.received", "{\"a\":\n1}"),
                event("", " x: y"),
                event("close", ""),
            ];
            assert_eq!(events, expected, "{end:?}");
        }
    }

    #[test]
    fn a_line_without_an_end_and_an_event_without_an_end_are_refused() {
        let chunk = vec![b'x'; 64 * 1024];
        let endless = std::iter::repeat_n(chunk.as_slice(), 17);
        assert_eq!(read(endless), Err(TooLong));
        let line = [b"data: ".as_slice(), &chunk, b"\n"].concat();
        let endless = std::iter::repeat_n(line.as_slice(), 17);
        assert_eq!(read(endless), Err(TooLong));
        let comment = [b":".as_slice(), &chunk, b"\n"].concat();
        let endless = std::iter::repeat_n(comment.as_slice(), 64);
        assert_eq!(read(endless), Ok(Vec::new()), "comments are not kept");
    }

    #[test]
    fn what_is_told_is_not_shown() {
        let shown = format!("{:?}", event("message.received", "STOP it"));
        assert!(!shown.contains("STOP"), "{shown}");
    }

    proptest! {
        #[test]
        fn however_the_bytes_are_cut_the_events_are_the_same(
            lines in prop::collection::vec(
                ("(data|event|id|:|x|)", "[ -~é\u{1f600}]{0,9}", "(\n|\r|\r\n|\n\n|\r\n\r\n)"), 0..30),
            cuts in prop::collection::vec(0usize..600, 0..20),
        ) {
            let mut text = String::new();
            for (name, value, end) in &lines {
                text.extend([name, ": ", value, end]);
            }
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks = cuts.windows(2).map(|ends| &bytes[ends[0]..ends[1]]);
            let whole = read([bytes]);
            prop_assert_eq!(read(chunks), whole.clone());
            prop_assert_eq!(read(bytes.chunks(1)), whole);
        }

        #[test]
        fn any_bytes_are_read_as_far_as_they_go(bytes: Vec<u8>) {
            prop_assert!(read([bytes.as_slice()]).is_ok());
        }
    }
}
