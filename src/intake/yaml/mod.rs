//! YAML files as trees that remember where everything stands, so that all problems of a file can
//! be shown at once, each at its place. The parser itself is the library's; knows no field of ours.

mod build;
mod merge;
mod reader;
mod source;
mod syntax;
mod text;
mod tree;

pub(super) use build::parse;
pub(super) use reader::{Fields, Reader, items};
pub(super) use source::Source;
pub use text::Text;
pub(super) use tree::{Kind, Node, Places, is_word, to_json};
