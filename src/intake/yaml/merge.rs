//! Merge keys: `<<: *defaults` takes the fields of other groups into one. What an alias stands for
//! is `build`'s.

use std::collections::HashSet;

use super::source::Source;
use super::tree::{Entry, Kind};
use crate::domain::problem::{Problem, Problems};

/// Takes the fields of `<<: *defaults` into the group; what the group says itself wins.
pub(super) fn unfold(source: &Source, problems: &mut Problems, entries: Vec<Entry>) -> Vec<Entry> {
    let (merges, mut own): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|entry| entry.key == "<<");
    let mut known: HashSet<String> = match merges.len() {
        0 => HashSet::new(),
        _ => own.iter().map(|entry| entry.key.clone()).collect(),
    };
    for merge in merges {
        let others = match merge.value.kind {
            Kind::List(items) => items,
            Kind::Map(_) | Kind::Scalar(_) | Kind::Broken => vec![merge.value],
        };
        for other in others {
            match other.kind {
                Kind::Map(entries) => {
                    for entry in entries {
                        if known.insert(entry.key.clone()) {
                            own.push(entry);
                        }
                    }
                }
                Kind::Broken => {}
                Kind::List(_) | Kind::Scalar(_) => source.report(
                    problems,
                    &other.range,
                    Problem::error("`<<` takes over the fields of another group")
                        .label("not a group of fields"),
                ),
            }
        }
    }
    own
}
