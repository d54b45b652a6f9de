//! Rust source as words and signs, without comments and texts. Knows no grammar.

/// A word, `::`, or a single sign, and the line it stands on, from 1.
pub(super) struct Token {
    pub(super) line: usize,
    pub(super) text: String,
}

pub(super) fn is(tokens: &[Token], at: usize, text: &str) -> bool {
    tokens.get(at).is_some_and(|token| token.text == text)
}

/// Words, `::` and single signs; no comments, no texts.
pub(super) fn tokens(source: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut line = 1;
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let word = rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_'))
            .unwrap_or(rest.len());
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            end_of_comment(rest)
        } else if let Some(length) = end_of_text(rest) {
            length
        } else {
            let length = if rest.starts_with("::") {
                2
            } else {
                word.max(c.len_utf8())
            };
            if !c.is_whitespace() {
                let text = rest[..length].to_owned();
                tokens.push(Token { line, text });
            }
            length
        };
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    tokens
}

fn end_of_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// The length of the text or character that `rest` begins with; a lifetime is neither.
fn end_of_text(rest: &str) -> Option<usize> {
    let unprefixed = rest.trim_start_matches(['b', 'c']);
    if rest.len() - unprefixed.len() <= 1
        && let Some(raw) = unprefixed.strip_prefix('r')
    {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let begin = rest.len() - raw.len() + hashes + 1;
            return Some(begin + rest[begin..].find(&end).unwrap_or(0) + end.len());
        }
    }
    let prefix =
        usize::from(rest.starts_with("b\"") || rest.starts_with("b'") || rest.starts_with("c\""));
    let quote = rest[prefix..].chars().next()?;
    let inner = &rest[prefix + 1..];
    let is_char = quote == '\'' && (inner.starts_with('\\') || inner.chars().nth(1) == Some('\''));
    if quote != '"' && !is_char {
        return None;
    }
    let mut escaped = false;
    for (at, c) in inner.char_indices() {
        if !escaped && c == quote {
            return Some(prefix + 1 + at + 1);
        }
        escaped = c == '\\' && !escaped;
    }
    Some(rest.len())
}
