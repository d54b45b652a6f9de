//! The words inside a template's tags and where they stand. Tera compiles and judges templates;
//! this finds names in them, so that a problem can point at one.

/// A piece of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `{{` or `{%`, with the `-` behind it.
    Open,
    /// `}}` or `%}`, with the `-` before it.
    Close,
    Word,
    /// The content of a quoted text, as written.
    Quoted,
    /// Any other character; `==` and `!=` are two.
    Sign,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub kind: Kind,
    pub text: String,
    /// In the source, from 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// The byte of the source behind it.
    pub end: usize,
}

/// A `{% … %}`.
#[derive(Debug, Clone, Copy)]
pub struct Tag<'a> {
    /// Between its ends.
    pub words: &'a [Token],
    pub close: &'a Token,
}

impl Tag<'_> {
    pub fn first_is(&self, word: &str) -> bool {
        self.words
            .first()
            .is_some_and(|first| first.is(&Kind::Word, word))
    }
}

impl Token {
    pub fn width(&self) -> u32 {
        u32::try_from(self.text.chars().count()).unwrap_or(0)
    }

    fn is(&self, kind: &Kind, text: &str) -> bool {
        self.kind == *kind && self.text == text
    }
}

/// How a template protects itself against a name that may not be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    None,
    /// `name | default(…)`
    Default,
    /// `name is defined`
    Tested,
}

/// The tags of one template.
#[derive(Debug, Clone, Default)]
pub struct Scan {
    tokens: Vec<Token>,
}

struct Cursor<'a> {
    rest: &'a str,
    length: usize,
    line: u32,
    column: u32,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        for c in taken.chars() {
            if c == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        self.rest = rest;
        taken
    }

    /// Past the `{% endraw %}`.
    fn skip_raw(&mut self) {
        while !self.rest.is_empty() {
            self.skip_past("{%");
            let tag = self.rest.strip_prefix('-').unwrap_or(self.rest);
            if tag.trim_ascii_start().starts_with("endraw") {
                return self.skip_past("%}");
            }
        }
    }

    fn skip_past(&mut self, end: &str) {
        let bytes = self
            .rest
            .find(end)
            .map_or(self.rest.len(), |at| at + end.len());
        self.take(bytes);
    }
}

impl Scan {
    pub fn new(source: &str) -> Self {
        let mut scan = Self::default();
        let mut cursor = Cursor {
            rest: source,
            length: source.len(),
            line: 1,
            column: 1,
        };
        while let Some(at) = cursor.rest.find('{') {
            cursor.take(at);
            match cursor.rest.as_bytes().get(1) {
                Some(b'#') => cursor.skip_past("#}"),
                Some(b'{') => scan.tag(&mut cursor, "}}"),
                Some(b'%') => {
                    let from = scan.tokens.len();
                    scan.tag(&mut cursor, "%}");
                    let tag = scan.tokens.get(from..).unwrap_or_default();
                    if tag.get(1).is_some_and(|word| word.is(&Kind::Word, "raw")) {
                        cursor.skip_raw();
                    }
                }
                _ => drop(cursor.take(1)),
            }
        }
        scan
    }

    fn tag(&mut self, cursor: &mut Cursor<'_>, end: &str) {
        let trims = cursor.rest.as_bytes().get(2) == Some(&b'-');
        self.push(Kind::Open, cursor, if trims { 3 } else { 2 });
        while let Some(c) = cursor.rest.chars().next() {
            let trims = usize::from(c == '-');
            if cursor
                .rest
                .get(trims..)
                .is_some_and(|rest| rest.starts_with(end))
            {
                self.push(Kind::Close, cursor, trims + 2);
                return;
            }
            if c.is_whitespace() {
                cursor.take(c.len_utf8());
            } else if "\"'`".contains(c) {
                cursor.take(1);
                self.push(Kind::Quoted, cursor, quoted_length(cursor.rest, c));
                cursor.take(1);
            } else if c.is_ascii_alphanumeric() || c == '_' {
                let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let length = cursor.rest.find(|c| !word(c)).unwrap_or(cursor.rest.len());
                self.push(Kind::Word, cursor, length);
            } else {
                let double = cursor.rest.starts_with("==") || cursor.rest.starts_with("!=");
                self.push(Kind::Sign, cursor, if double { 2 } else { c.len_utf8() });
            }
        }
    }

    fn push(&mut self, kind: Kind, cursor: &mut Cursor<'_>, bytes: usize) {
        let (line, column) = (cursor.line, cursor.column);
        let text = cursor.take(bytes).to_owned();
        self.tokens.push(Token {
            kind,
            text,
            line,
            column,
            end: cursor.length - cursor.rest.len(),
        });
    }

    /// Every `{% … %}` that is closed, in order.
    pub fn tags(&self) -> Vec<Tag<'_>> {
        let mut tags = Vec::new();
        let mut open = None;
        for (at, token) in self.tokens.iter().enumerate() {
            match token.kind {
                Kind::Open => open = token.text.starts_with("{%").then_some(at + 1),
                Kind::Close => {
                    let words = open.take().and_then(|from| self.tokens.get(from..at));
                    tags.extend(words.map(|words| Tag {
                        words,
                        close: token,
                    }));
                }
                Kind::Word | Kind::Quoted | Kind::Sign => {}
            }
        }
        tags
    }

    fn get(&self, at: usize) -> Option<&Token> {
        self.tokens.get(at)
    }

    fn is(&self, at: usize, kind: &Kind, text: &str) -> bool {
        self.get(at).is_some_and(|token| token.is(kind, text))
    }

    fn sign(&self, at: usize, text: &str) -> bool {
        self.is(at, &Kind::Sign, text)
    }

    /// The files that `{% include "…" %}` and `{% extends "…" %}` name.
    pub fn files(&self) -> impl Iterator<Item = &Token> {
        self.tokens.windows(3).filter_map(|three| match three {
            [open, word, file]
                if open.kind == Kind::Open
                    && (word.is(&Kind::Word, "include") || word.is(&Kind::Word, "extends"))
                    && file.kind == Kind::Quoted =>
            {
                Some(file)
            }
            _ => None,
        })
    }

    /// Whether a component is called: `{{ <Name … /> }}` or `{% <Name …> %}`.
    pub fn calls_components(&self) -> bool {
        let open = |at: usize| self.get(at).is_some_and(|token| token.kind == Kind::Open);
        (0..self.tokens.len()).any(|at| open(at) && self.sign(at + 1, "<"))
    }

    /// The innermost `for` of more than `depth` nested ones.
    pub fn deep_loop(&self, depth: usize) -> Option<&Token> {
        let mut open = 0;
        for (at, token) in self.tokens.iter().enumerate() {
            let first = at.checked_sub(1).and_then(|at| self.get(at));
            if first.is_some_and(|token| token.kind == Kind::Open) {
                if token.is(&Kind::Word, "for") {
                    open += 1;
                } else if token.is(&Kind::Word, "endfor") {
                    open = open.max(1) - 1;
                }
            }
            if open > depth {
                return Some(token);
            }
        }
        None
    }

    /// The `for` of a list that is made inside a value: `[n * 2 for n in numbers]`.
    pub fn comprehension(&self) -> Option<&Token> {
        let before =
            |at: usize, text: &str| at.checked_sub(1).is_some_and(|at| self.sign(at, text));
        self.tokens.iter().enumerate().find_map(|(at, token)| {
            let first = at.checked_sub(1).and_then(|at| self.get(at));
            let is = token.is(&Kind::Word, "for")
                && first.is_some_and(|token| token.kind != Kind::Open)
                && !before(at, ".")
                && !self.sign(at + 1, "=");
            is.then_some(token)
        })
    }

    /// Whether anything is compared with an empty text.
    pub fn compares_empty(&self) -> bool {
        let compares = |at: usize| self.sign(at, "==") || self.sign(at, "!=");
        let empty = |at: usize| self.is(at, &Kind::Quoted, "");
        (0..self.tokens.len())
            .any(|at| compares(at) && (empty(at + 1) || (at > 0 && empty(at - 1))))
    }

    /// Whether texts are joined with `~`.
    pub fn joins(&self) -> bool {
        self.tokens.iter().any(|token| token.is(&Kind::Sign, "~"))
    }

    /// Every quoted text.
    pub fn quoted(&self) -> impl Iterator<Item = &Token> {
        self.tokens
            .iter()
            .filter(|token| token.kind == Kind::Quoted)
    }

    /// Where `name` is used as a variable, and how it is guarded there.
    pub fn uses<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a Token, Guard)> {
        self.positions(name)
            .filter_map(|at| Some((self.get(at)?, self.guard(at + 1))))
    }

    /// The attributes of `name` that are used: `name.attribute`, `name["attribute"]`.
    pub fn attributes<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a Token, Guard)> {
        self.positions(name).filter_map(|at| {
            let attribute = self.attribute(at)?;
            let after = if self.sign(attribute + 1, "]") {
                attribute + 2
            } else {
                attribute + 1
            };
            Some((self.get(attribute)?, self.guard(after)))
        })
    }

    /// Whether `name` is used other than by a written attribute, so that any could be meant.
    pub fn used_whole(&self, name: &str) -> bool {
        self.positions(name).any(|at| self.attribute(at).is_none())
    }

    fn attribute(&self, at: usize) -> Option<usize> {
        let at = if self.sign(at + 1, "?") { at + 1 } else { at };
        let token = self.get(at + 2)?;
        let dotted = self.sign(at + 1, ".") && token.kind == Kind::Word;
        let indexed =
            self.sign(at + 1, "[") && token.kind == Kind::Quoted && self.sign(at + 3, "]");
        (dotted || indexed).then_some(at + 2)
    }

    fn positions<'a>(&'a self, name: &'a str) -> impl Iterator<Item = usize> + 'a {
        let mut in_component = false;
        self.tokens
            .iter()
            .enumerate()
            .filter_map(move |(at, token)| {
                if token.is(&Kind::Word, "component") {
                    in_component = true;
                } else if token.is(&Kind::Word, "endcomponent") {
                    in_component = false;
                }
                let variable = token.is(&Kind::Word, name)
                    && !in_component
                    && !self.sign(at + 1, "=")
                    && !self.sign(at + 1, "(")
                    && at.checked_sub(1).is_some_and(|before| {
                        !self.sign(before, ".")
                            && !self.sign(before, "|")
                            && !self.sign(before, "<")
                    });
                variable.then_some(at)
            })
    }

    fn guard(&self, mut at: usize) -> Guard {
        while self.sign(at, ".") || self.sign(at, "?") {
            at += if self.sign(at, "?") { 1 } else { 2 };
        }
        let word = |at: usize, text: &str| self.is(at, &Kind::Word, text);
        if self.sign(at, "|") && word(at + 1, "default") {
            return Guard::Default;
        }
        if word(at, "is") {
            let test = if word(at + 1, "not") { at + 2 } else { at + 1 };
            if word(test, "defined") || word(test, "undefined") {
                return Guard::Tested;
            }
        }
        Guard::None
    }
}

/// Up to the quote that closes; `\\` takes the meaning from what stands behind it.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    text.find(|c| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })
    .unwrap_or(text.len())
}

#[cfg(test)]
mod tests;
