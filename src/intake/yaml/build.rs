//! Grows the tree from the parser's events, within limits: a file that unfolds beyond them is
//! refused at the alias that does it, before anything is copied. Duplicate fields, tags and
//! unknown aliases are reported here; what a field means is not known here.

use std::collections::HashMap;
use std::ops::Range;

use serde_yaml::granit_parser::{Event, Parser, ScalarStyle, Span, Tag, options};

use super::source::Source;
use super::tree::{Entry, Kind, Node, Scalar, Style, Weight, is_word};
use super::{merge, syntax};
use crate::domain::problem::{Problem, Problems};

/// Lists and groups inside each other. Ours need five.
const MAX_DEPTH: usize = 32;
/// Values in one file, aliases unfolded. A campaign has some fifty.
const MAX_NODES: usize = 20_000;
/// Bytes of text in one file, aliases unfolded.
const MAX_TEXT_BYTES: usize = 4 * super::source::MAX_FILE_BYTES;

/// The file's one document as a tree; without it when the file is no YAML or unfolds too far.
pub(crate) fn parse(source: &Source, problems: &mut Problems) -> Option<Node> {
    let options = options! {
        emit_unresolved_aliases: true,
        emit_comments: false,
        block_nesting_limit: MAX_DEPTH + 1,
        flow_nesting_limit: MAX_DEPTH + 1,
    };
    let mut build = Build {
        source,
        problems,
        stack: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
        bytes: 0,
        documents: 0,
        root: None,
    };
    for event in Parser::new_from_str_with_options(source.text(), options) {
        let step = match event {
            Ok((event, span)) => build.event(event, &span),
            Err(error) => Err(Box::new(syntax::explain(source, &error))),
        };
        if let Err(problem) = step {
            // A line that already has a problem fails further on because of it.
            let line = |problem: &Problem| problem.place.as_ref().map(|place| place.line);
            if build.problems.iter().all(|p| line(p) != line(&problem)) {
                build.problems.push(*problem);
            }
            return None;
        }
    }
    if build.root.is_none() {
        build.problems.push(source.empty());
    }
    build.root
}

struct Build<'s> {
    source: &'s Source,
    problems: &'s mut Problems,
    stack: Vec<Frame>,
    /// By the parser's number; `None` while the value that it names is still open.
    anchors: HashMap<usize, Option<Anchored>>,
    nodes: usize,
    bytes: usize,
    documents: usize,
    root: Option<Node>,
}

struct Anchored {
    node: Node,
    weight: Weight,
}

/// A list or group that is not closed yet.
struct Frame {
    range: Range<usize>,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        /// The fields so far, by name, to find those written twice.
        seen: HashMap<String, Range<usize>>,
        next: Next,
        /// It is no group at all, and that has been reported.
        spoiled: bool,
    },
}

/// What the next value of a group is.
enum Next {
    Key,
    Value(String, Range<usize>),
    /// The value of a key that was refused.
    Nothing,
}

type Step = Result<(), Box<Problem>>;
type Key = (String, Range<usize>);
type Refused = Box<(Range<usize>, Problem)>;

impl Build<'_> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the parser's events are an open set; comments and anchors' names say nothing here"
    )]
    fn event(&mut self, event: Event<'_>, span: &Span) -> Step {
        let range = span.byte_range().unwrap_or_default();
        match event {
            Event::DocumentStart(..) => self.document(&range),
            Event::Scalar(text, style, anchor, tag) => {
                let text_by_tag = self.tag(tag.as_deref(), span);
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted => Style::Single,
                    ScalarStyle::DoubleQuoted => Style::Double,
                    ScalarStyle::Literal => Style::Literal,
                    ScalarStyle::Folded => Style::Folded,
                };
                let kind = Kind::Scalar(Scalar {
                    // An absent value comes as `~` that stands nowhere.
                    text: if range.is_empty() && style == Style::Plain {
                        String::new()
                    } else {
                        text.into_owned()
                    },
                    style,
                    typed: style == Style::Plain && !text_by_tag,
                });
                self.complete(Node { range, kind }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.tag(tag.as_deref(), span);
                self.open(range, anchor, Content::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                self.tag(tag.as_deref(), span);
                let content = Content::Map {
                    entries: Vec::new(),
                    seen: HashMap::new(),
                    next: Next::Key,
                    spoiled: false,
                };
                self.open(range, anchor, content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(&range),
            Event::Alias(anchor) => self.alias(anchor, range),
            // The name is not repeated: beside a slip of the pen it may hold a secret.
            Event::UnresolvedAlias(_) => {
                self.source.report(
                    self.problems,
                    &range,
                    Problem::error("the word after `*` names no value of this file")
                        .label("no such anchor")
                        .help(
                            "mark the value with `&` and the same word further up, or put the text \
                             in quotes",
                        ),
                );
                self.complete(broken(range), 0)
            }
            _ => Ok(()),
        }
    }

    fn document(&mut self, range: &Range<usize>) -> Step {
        self.documents += 1;
        if self.documents == 1 {
            return Ok(());
        }
        Err(Box::new(
            Problem::error("the file holds more than one document")
                .at(self.source.place(range))
                .label("the second one begins here")
                .help("keep one document in a file; remove the line `---`"),
        ))
    }

    /// Whether a tag makes a value a text (`!!str 5`). Tags that mean nothing here are reported.
    fn tag(&mut self, tag: Option<&Tag>, span: &Span) -> bool {
        let suffix = tag.and_then(|tag| tag.core_suffix().map(str::to_owned));
        let known = suffix.as_deref().is_some_and(|name| {
            matches!(
                name,
                "str" | "int" | "float" | "bool" | "null" | "map" | "seq"
            )
        });
        if tag.is_some() && !known {
            let place = span
                .tag_span()
                .and_then(|span| span.byte_range())
                .or_else(|| span.byte_range())
                .unwrap_or_default();
            self.source.report(
                self.problems,
                &place,
                Problem::error("YAML tags have no meaning in this file")
                    .label("a tag")
                    .help("remove it; put a text that begins with `!` in quotes"),
            );
        }
        suffix.as_deref() == Some("str")
    }

    fn open(&mut self, range: Range<usize>, anchor: usize, content: Content) -> Step {
        if self.stack.len() >= MAX_DEPTH {
            return Err(Box::new(syntax::too_deep(self.source, &range)));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, None);
        }
        self.stack.push(Frame {
            range,
            anchor,
            content,
        });
        Ok(())
    }

    fn close(&mut self, end: &Range<usize>) -> Step {
        let Some(frame) = self.stack.pop() else {
            return Ok(());
        };
        // A list or group in brackets is underlined up to its closing bracket.
        let range = frame.range.start..frame.range.end.max(end.end * usize::from(!end.is_empty()));
        let kind = match frame.content {
            Content::List(items) => Kind::List(items),
            Content::Map { spoiled: true, .. } => Kind::Broken,
            Content::Map { entries, .. } => {
                Kind::Map(merge::unfold(self.source, self.problems, entries))
            }
        };
        self.complete(Node { range, kind }, frame.anchor)
    }

    fn alias(&mut self, anchor: usize, range: Range<usize>) -> Step {
        let node = match self.anchors.get(&anchor) {
            Some(Some(anchored)) => {
                let Weight {
                    nodes,
                    bytes,
                    depth,
                } = anchored.weight;
                if self.stack.len() + depth > MAX_DEPTH {
                    return Err(Box::new(syntax::too_deep(self.source, &range)));
                }
                self.nodes += nodes;
                self.bytes += bytes;
                self.within_limits(&range)?;
                anchored.node.clone()
            }
            Some(None) | None => {
                return Err(Box::new(
                    Problem::error("this value contains itself")
                        .at(self.source.place(&range))
                        .label("refers to a value that it is part of")
                        .help("write the value out"),
                ));
            }
        };
        self.place_node(node);
        Ok(())
    }

    /// A value is whole: remember it under its anchor and hand it to what it is part of.
    fn complete(&mut self, node: Node, anchor: usize) -> Step {
        self.nodes += 1;
        if let Kind::Scalar(scalar) = &node.kind {
            self.bytes += scalar.text.len();
        }
        self.within_limits(&node.range)?;
        if anchor > 0 {
            let weight = node.weight();
            self.anchors.insert(
                anchor,
                Some(Anchored {
                    node: node.clone(),
                    weight,
                }),
            );
        }
        self.place_node(node);
        Ok(())
    }

    fn within_limits(&self, range: &Range<usize>) -> Step {
        if self.nodes <= MAX_NODES && self.bytes <= MAX_TEXT_BYTES {
            return Ok(());
        }
        Err(Box::new(
            Problem::error(format!(
                "the file unfolds into more than {MAX_NODES} values or 4 MiB of text"
            ))
            .at(self.source.place(range))
            .label("the limit is reached here")
            .help("remove aliases (`*name`) that repeat large values"),
        ))
    }

    fn place_node(&mut self, node: Node) {
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Frame {
                content: Content::List(items),
                ..
            }) => items.push(node),
            Some(Frame {
                range,
                content:
                    Content::Map {
                        entries,
                        seen,
                        next,
                        spoiled,
                    },
                ..
            }) => match std::mem::replace(next, Next::Key) {
                Next::Nothing => {}
                Next::Value(key, key_range) => entries.push(Entry {
                    key,
                    key_range,
                    value: node,
                }),
                Next::Key => match accept_key(self.source, range, node, seen) {
                    Ok((key, range)) => *next = Next::Value(key, range),
                    Err(refused) => {
                        let (at, problem) = *refused;
                        *next = Next::Nothing;
                        *spoiled |= begins_with_braces(self.source, range);
                        self.source.report(self.problems, &at, problem);
                    }
                },
            },
        }
    }
}

fn broken(range: Range<usize>) -> Node {
    Node {
        range,
        kind: Kind::Broken,
    }
}

/// `{{ name }}` without quotes: YAML sees a group whose first key is a group.
fn begins_with_braces(source: &Source, group: &Range<usize>) -> bool {
    source.slice(&(group.start..group.start + 2)) == "{{"
}

/// A key must be a single value, and new in its group.
fn accept_key(
    source: &Source,
    group: &Range<usize>,
    node: Node,
    seen: &mut HashMap<String, Range<usize>>,
) -> Result<Key, Refused> {
    let key = match node.kind {
        Kind::Scalar(scalar) => scalar.text,
        Kind::Map(_) if begins_with_braces(source, group) => {
            let problem = Problem::error("a value that begins with `{{` needs quotes")
                .label("YAML reads this as a group of fields")
                .help("put the whole value in double quotes: \"{{ … }}\"");
            return Err(Box::new((group.start..node.range.end + 1, problem)));
        }
        Kind::Map(_) | Kind::List(_) | Kind::Broken => {
            let problem = Problem::error("the name of a field must be a single word")
                .label("a list or group stands here");
            return Err(Box::new((node.range, problem)));
        }
    };
    if let Some(first) = seen.get(&key) {
        let (line, _) = source.line_at(first.start);
        let what = if is_word(&key) {
            format!("'{key}'")
        } else {
            "the same field".to_owned()
        };
        let problem = Problem::error(format!("{what} is written twice"))
            .label(format!("the first one is in line {}", line + 1))
            .help("keep one of the two");
        return Err(Box::new((node.range, problem)));
    }
    seen.insert(key.clone(), node.range.clone());
    Ok((key, node.range))
}
