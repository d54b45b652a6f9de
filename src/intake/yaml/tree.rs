//! What a YAML file says, value by value, each with the bytes it stands on. How the tree grows
//! from the parser's events is `build`'s.

use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

use super::source::Source;
use super::text::Text;
use crate::domain::problem::Place;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    /// In bytes of the file. Lists and groups in block style have only their first point.
    pub(crate) range: Range<usize>,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Already reported; to be passed over in silence.
    Broken,
}

/// A scalar's text, unescaped and unfolded, not yet a number or a date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) style: Style,
    /// Neither quoted nor tagged as a text: may be a number, a truth value or nothing.
    pub(crate) typed: bool,
}

/// How a scalar was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Single,
    Double,
    /// `|`
    Literal,
    /// `>`
    Folded,
}

/// A field: its name and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_range: Range<usize>,
    pub(crate) value: Node,
}

/// How large a value is with everything in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Weight {
    pub(crate) nodes: usize,
    /// Of text.
    pub(crate) bytes: usize,
    /// Lists and groups inside each other.
    pub(crate) depth: usize,
}

impl Weight {
    fn around(self, part: Self) -> Self {
        Self {
            nodes: self.nodes + part.nodes,
            bytes: self.bytes + part.bytes,
            depth: self.depth.max(part.depth + 1),
        }
    }
}

impl Scalar {
    /// `~`, `null`, or nothing at all (YAML 1.2 §10.2.1.1).
    pub(crate) fn is_null(&self) -> bool {
        self.typed && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }
}

impl Node {
    pub(crate) fn is_null(&self) -> bool {
        match &self.kind {
            Kind::Scalar(scalar) => scalar.is_null(),
            Kind::List(_) | Kind::Map(_) | Kind::Broken => false,
        }
    }

    /// What kind of value it is, for people.
    pub(crate) fn describe(&self) -> &'static str {
        match &self.kind {
            Kind::Scalar(scalar) if scalar.is_null() => "nothing",
            Kind::Scalar(_) => "a single value",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a group of fields",
            Kind::Broken => "something unreadable",
        }
    }

    /// What it costs to hold this value once more.
    pub(crate) fn weight(&self) -> Weight {
        let own = Weight {
            nodes: 1,
            bytes: 0,
            depth: 0,
        };
        match &self.kind {
            Kind::Scalar(scalar) => Weight {
                bytes: scalar.text.len(),
                ..own
            },
            Kind::List(items) => items.iter().map(Self::weight).fold(own, Weight::around),
            Kind::Map(entries) => entries.iter().fold(own, |sum, entry| {
                let mut weight = entry.value.weight();
                weight.nodes += 1;
                weight.bytes += entry.key.len();
                sum.around(weight)
            }),
            Kind::Broken => own,
        }
    }

    fn child(&self, key: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Map(entries) => entries
                .iter()
                .find(|entry| entry.key == key)
                .map(|entry| &entry.value),
            Kind::List(items) => items.get(key.parse::<usize>().ok()?),
            Kind::Scalar(_) | Kind::Broken => None,
        }
    }
}

/// A value as JSON, for the template's `vars`. A plain number that would print differently from
/// how it stands (`007`, `1.50`, `1e3`) stays a text, and so does what JSON cannot hold.
pub(crate) fn to_json(node: &Node) -> Value {
    match &node.kind {
        Kind::Scalar(scalar) if scalar.typed => plain_to_json(scalar),
        Kind::Scalar(scalar) => Value::String(scalar.text.clone()),
        Kind::List(items) => items.iter().map(to_json).collect(),
        Kind::Map(entries) => entries
            .iter()
            .map(|entry| (entry.key.clone(), to_json(&entry.value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Kind::Broken => Value::Null,
    }
}

fn plain_to_json(scalar: &Scalar) -> Value {
    if scalar.is_null() {
        return Value::Null;
    }
    // Only `true` and `false` are booleans in YAML 1.2; `yes`, `no` and `on` are words.
    let options = serde_yaml::options! { strict_booleans: true };
    match serde_yaml::from_str_with_options(&scalar.text, options) {
        Ok(Value::Bool(flag)) => Value::Bool(flag),
        Ok(Value::Number(number)) if number.to_string() == scalar.text => Value::Number(number),
        Ok(_) | Err(_) => Value::String(scalar.text.clone()),
    }
}

/// Whether a field's name may be repeated in a message and shown: a short word, and not something
/// else, such as a secret, that lost its colon.
pub(crate) fn is_word(key: &str) -> bool {
    (1..=30).contains(&key.len())
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Finds the place of a field again after the file has been read.
#[derive(Debug, Clone)]
pub struct Places {
    pub(crate) source: Arc<Source>,
    pub(crate) root: Arc<Node>,
}

impl Places {
    /// The place of the value at a path such as `recipients.columns.phone` or `from[1]`; `None`
    /// when the file does not say it.
    pub fn place(&self, path: &str) -> Option<Place> {
        self.find(path).map(|node| self.source.place(&node.range))
    }

    /// The place of the value at `path`, or of the nearest field around it that the file has.
    pub fn place_or_around(&self, path: &str) -> Place {
        let mut path = path;
        loop {
            if let Some(place) = self.place(path) {
                return place;
            }
            path = path.rfind(['.', '[']).map_or("", |at| path.split_at(at).0);
        }
    }

    /// The text at a path, to point inside it; `None` where there is no single value.
    pub fn text(&self, path: &str) -> Option<Text> {
        Text::of(self.find(path)?, &self.source)
    }

    fn find(&self, path: &str) -> Option<&Node> {
        path.split(['.', '[', ']'])
            .filter(|step| !step.is_empty())
            .try_fold(&*self.root, |node, step| node.child(step))
    }
}
