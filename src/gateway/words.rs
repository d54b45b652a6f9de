//! Makes a provider's own words fit to be kept and shown: short, on one line, without phone
//! numbers, e-mail addresses and quotations, which may be the message itself. Knows no provider.

/// Longest stretch of a provider's words that is kept, in characters.
const MAX_CHARS: usize = 160;
/// What stands behind this many characters is not even looked at.
const MAX_READ: usize = 4_096;
/// More digits in a row than any count or code has; shorter than any phone number.
const PHONE_DIGITS: usize = 7;
const QUOTES: [(char, char); 6] = [
    ('\'', '\''),
    ('"', '"'),
    ('`', '`'),
    ('“', '”'),
    ('‘', '’'),
    ('«', '»'),
];

/// `Invalid number "+12025550143" for: 'Hi Dana'` becomes `Invalid number … for: …`.
pub(super) fn tame(words: &str) -> String {
    let mut line = String::new();
    let mut rest = words.chars().take(MAX_READ);
    while let Some(c) = rest.next() {
        let quote = QUOTES
            .iter()
            .find(|(open, _)| *open == c)
            // `don't`: an apostrophe behind a letter opens nothing.
            .filter(|_| !line.ends_with(char::is_alphanumeric));
        if let Some((_, close)) = quote {
            line.push('…');
            // A quotation that does not end takes the rest with it.
            rest.any(|c| c == *close);
        } else if !(c.is_control() || c.is_whitespace()) {
            line.push(c);
        } else if !line.is_empty() && !line.ends_with(' ') {
            line.push(' ');
        }
    }
    let mut line = without_numbers(&without_mail(line.trim_end()));
    if let Some((end, _)) = line.char_indices().nth(MAX_CHARS) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// Replaces every e-mail address, also as it stands in the path of a request.
fn without_mail(line: &str) -> String {
    let between = |c: char| c.is_whitespace() || "<>()[]{},;:=/\"'".contains(c);
    let mut clean = String::with_capacity(line.len());
    for piece in line.split_inclusive(between) {
        let word = piece.trim_end_matches(between);
        if word.contains('@') || word.contains("%40") {
            clean.push('…');
            clean += piece.get(word.len()..).unwrap_or_default();
        } else {
            clean += piece;
        }
    }
    clean
}

/// Replaces every stretch of digits, and what people write between digits, that could be dialled.
fn without_numbers(line: &str) -> String {
    let between = |c: char| matches!(c, ' ' | '-' | '.' | '(' | ')' | '/');
    let mut clean = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(start) = rest.find(|c: char| c.is_numeric() || c == '+') {
        let (before, from) = rest.split_at(start);
        let end = from
            .char_indices()
            .find(|(at, c)| *at > 0 && !c.is_numeric() && !between(*c))
            .map_or(from.len(), |(at, _)| at);
        let (stretch, after) = from.split_at(end);
        clean += before;
        if stretch.chars().filter(|c| c.is_numeric()).count() < PHONE_DIGITS {
            clean += stretch;
        } else if stretch.ends_with(' ') {
            clean += "… ";
        } else {
            clean.push('…');
        }
        rest = after;
    }
    clean + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_of_the_recipient_or_the_message_is_kept() {
        for (words, tamed) in [
            ("Invalid phone number", "Invalid phone number"),
            ("Invalid number +12025550143", "Invalid number …"),
            ("to[0]: (202) 555-0143 is bad", "to[0]: (… is bad"),
            ("text 'Hi Dana, see bit.ly' has a URL", "text … has a URL"),
            ("text \"Hi Dana\" and “Hi Bo”", "text … and …"),
            ("text 'Hi Dana", "text …"),
            ("we don't take it", "we don't take it"),
            ("line\r\nbreak\u{7}  and\ttab", "line break and tab"),
            (
                "mailbox of <dana.k@example.org>, full",
                "mailbox of <…>, full",
            ),
            ("GET /contact/dana%40example.org: no", "GET /contact/…: no"),
            ("code 1003, 31 recipients", "code 1003, 31 recipients"),
            ("", ""),
        ] {
            assert_eq!(tame(words), tamed, "{words}");
        }
        assert_eq!(tame(&"word ".repeat(100)).chars().count(), MAX_CHARS + 1);
    }

    proptest! {
        #[test]
        fn no_number_and_no_line_break_survives(
            before in "\\PC{0,20}", number in "[1-9][0-9]{6,14}", after in "\\PC{0,20}",
        ) {
            let tamed = tame(&format!("{before} +{number}\n{after}"));
            prop_assert!(!tamed.contains(&number));
            prop_assert!(!tamed.contains(char::is_control));
        }

        #[test]
        fn any_words_are_tamed(words in any::<String>()) {
            prop_assert!(tame(&words).chars().count() <= MAX_CHARS + 1);
        }
    }
}
