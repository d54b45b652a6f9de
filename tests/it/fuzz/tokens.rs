//! What files are damaged with: pieces that parsers stumble over, and ways to put them into a file
//! that is sound. Reads nothing.

use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Pieces of YAML, CSV and templates, each of which has a meaning somewhere.
const NASTY: &[&[u8]] = &[
    b"\xef\xbb\xbf",
    b"\r",
    b"\n",
    b"\r\n",
    b"\n\r",
    b"\x0b\x0c",
    b"\x1b[31m",
    b"\x7f",
    "\u{85}".as_bytes(),
    "\u{2028}".as_bytes(),
    "\u{202e}".as_bytes(),
    "\u{200b}".as_bytes(),
    "e\u{301}\u{301}".as_bytes(),
    "👩‍👩‍👧‍👦".as_bytes(),
    "ß".as_bytes(),
    "İ".as_bytes(),
    "漢字".as_bytes(),
    b"&a ",
    b"*a",
    b"&a &a ",
    b"<<: *a",
    b"<<: [*a, *a]",
    b"!!str ",
    b"!!binary ",
    b"!x ",
    b"!<tag:x> ",
    b"%YAML 1.3\n",
    b"%TAG ! x\n",
    b"---\n",
    b"...\n",
    b"? ",
    b": ",
    b"- ",
    b"- - - ",
    b"|\n",
    b"|+9\n",
    b">-\n",
    b"|-2\n",
    b"# ",
    b"'",
    b"''",
    b"\"",
    b"\\",
    b"\\u",
    b"\\ud800",
    b"\\x0",
    b"{",
    b"}",
    b"[",
    b"]",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    b"{a: {a: {a: {a: ",
    b",",
    b",,,,,,,,",
    b";",
    b"\t",
    b"|",
    b"sep=",
    b"sep=\"\n",
    b"\"\"\"",
    b"{{",
    b"}}",
    b"{%",
    b"%}",
    b"{%-",
    b"-%}",
    b"{#",
    b"#}",
    b"{{ x }}",
    b"{{ row }}",
    b"{{ recipient.phone }}",
    b"{% if ",
    b"{% endif %}",
    b"{% for a in row %}",
    b"{% endfor %}",
    b"{% set a = ",
    b"{% raw %}",
    b"{% endraw %}",
    b" | default(value=\"\")",
    b" | slugify",
    b"{% include \"x\" %}",
    b"null",
    b"~",
    b"true",
    b"no",
    b".inf",
    b"-.nan",
    b"0x10",
    b"0o7",
    b"1_000",
    b"007",
    b"1e999",
    b"-0",
    b"9223372036854775808",
    b"99999999999999999999999999999999",
    b"0.1e-400",
    b"2026-02-30",
    b"0000-00-00",
    b"-9999-01-01",
    b"9999-12-31T23:59:59.999999999",
    b"2026-11-01T01:30",
    b"2026-03-08T02:30",
    b"24:00",
    b"25:61",
    b"* * * * *",
    b"0 0 31 2 *",
    b"*/0 * * * *",
    b"60-0 * * * *",
    b"@reboot",
    b"L W # ?",
    b"America/Chicago",
    b"Etc/GMT+99",
    b"../../../etc/passwd",
    b"recipient",
    b"5/s",
    b"0/s",
    b"1e9/s",
    b"999999999999d",
    b"-1s",
    b"1h1h",
    b"+1",
    b"+12025550143",
    b"+999999999999999999",
    b"(202) 555-0143 x9",
    b"name:",
    b"vars:",
    b"recipients:",
    b"where: ",
    b"on_empty: ",
    b"suppress: [/dev/null]",
];

/// Pieces that are no text, with which a file is mostly refused at once.
const BINARY: &[&[u8]] = &[
    b"\0",
    b"\xff\xfe",
    b"\xfe\xff",
    b"\xd8\x00",
    b"\x00\xdc",
    b"\xed\xa0\x80",
    b"\xc3",
    b"\xf4\x90\x80\x80",
];

/// One way to damage a file.
#[derive(Debug, Clone)]
pub(super) enum Damage {
    Insert(Index, Vec<u8>),
    /// The same again and again.
    Repeat(Index, Vec<u8>, usize),
    Replace(Index, u8),
    Delete(Index, usize),
    /// A stretch of the file once more, somewhere.
    Copy(Index, usize, Index),
    Truncate(Index),
    SwapLines(Index, Index),
    /// Another line behind every line end.
    LineEnds(&'static str),
    /// All of it in another encoding.
    Utf16,
}

fn nasty() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => select(NASTY).prop_map(<[u8]>::to_vec),
        1 => "\\PC{1,12}".prop_map(String::into_bytes),
    ]
}

fn binary() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    prop_oneof![
        3 => (at(), select(BINARY)).prop_map(|(at, piece)| Damage::Insert(at, piece.to_vec())),
        2 => (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Replace(at, byte)),
        1 => (at(), prop::collection::vec(any::<u8>(), 1..6)).prop_map(|(at, piece)| Damage::Insert(at, piece)),
        2 => Just(Damage::Utf16),
    ]
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    prop_oneof![
        10 => (at(), nasty()).prop_map(|(at, piece)| Damage::Insert(at, piece)),
        2 => (at(), nasty(), 2usize..400).prop_map(|(at, piece, times)| Damage::Repeat(at, piece, times)),
        3 => (at(), b' '..=b'~').prop_map(|(at, byte)| Damage::Replace(at, byte)),
        3 => (at(), 1usize..40).prop_map(|(at, length)| Damage::Delete(at, length)),
        3 => (at(), 1usize..200, at()).prop_map(|(from, length, to)| Damage::Copy(from, length, to)),
        1 => at().prop_map(Damage::Truncate),
        2 => (at(), at()).prop_map(|(one, other)| Damage::SwapLines(one, other)),
        1 => select(&["\r", "\r\n", "\n\n", "\n\t"][..]).prop_map(Damage::LineEnds),
    ]
}

/// A sound file with a few damages, now and then such that it is no text any more.
pub(super) fn damaged(sound: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let damages = (
        prop::collection::vec(damage(), 0..4),
        prop::option::weighted(0.15, binary()),
    );
    (select(sound), damages).prop_map(|(mut file, (damages, binary))| {
        for damage in damages.into_iter().chain(binary) {
            inflict(&mut file, damage);
        }
        file
    })
}

fn inflict(file: &mut Vec<u8>, damage: Damage) {
    let place = |at: Index, file: &[u8]| at.index(file.len() + 1);
    match damage {
        Damage::Insert(at, piece) => {
            let at = place(at, file);
            file.splice(at..at, piece);
        }
        Damage::Repeat(at, piece, times) => {
            let at = place(at, file);
            file.splice(at..at, piece.repeat(times));
        }
        Damage::Replace(at, byte) if !file.is_empty() => {
            let at = at.index(file.len());
            file[at] = byte;
        }
        Damage::Replace(..) => {}
        Damage::Delete(at, length) => {
            let at = place(at, file);
            let end = (at + length).min(file.len());
            file.drain(at..end);
        }
        Damage::Copy(from, length, to) => {
            let from = place(from, file);
            let end = (from + length).min(file.len());
            let piece = file[from..end].to_vec();
            let to = place(to, file);
            file.splice(to..to, piece);
        }
        Damage::Truncate(at) => file.truncate(place(at, file)),
        Damage::SwapLines(one, other) => {
            let mut lines: Vec<&[u8]> = file.split(|byte| *byte == b'\n').collect();
            let (one, other) = (one.index(lines.len()), other.index(lines.len()));
            lines.swap(one, other);
            *file = lines.join(&b'\n');
        }
        Damage::LineEnds(end) => {
            let lines: Vec<&[u8]> = file.split(|byte| *byte == b'\n').collect();
            *file = lines.join(end.as_bytes());
        }
        Damage::Utf16 => {
            let text = String::from_utf8_lossy(file).into_owned();
            *file = std::iter::once(0xfeff)
                .chain(text.encode_utf16())
                .flat_map(u16::to_le_bytes)
                .collect();
        }
    }
}

/// Lines of headers with these names, whose values are these, or anything that may stand there.
pub(super) fn headers(
    names: &'static [&'static str],
    values: &'static [&'static str],
) -> impl Strategy<Value = String> {
    let text = prop_oneof![3 => select(values).prop_map(str::to_owned), 1 => "[ -~]{0,40}", 1 => "[x\u{80}-\u{ff}\t]{0,300}"];
    prop::collection::vec((select(names), text), 0..6).prop_map(|headers| {
        let lines = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"));
        lines.collect()
    })
}
