//! What a template may not be, although the engine would take it: nothing that cannot be rendered
//! in bounded time and memory for every row of a list. What is counted while it renders is `meter`'s.

use std::collections::BTreeSet;

use super::compile::{Compiled, at};
use super::render::MAX_OUTPUT;
use super::scan::Scan;
use crate::domain::problem::{Problem, Problems};

/// Loops inside loops, deepest: with `range` bounded, a message is rendered in bounded time.
const MAX_LOOPS: usize = 2;
/// Included files inside each other.
const MAX_INSIDE: usize = 8;
impl Compiled {
    pub(super) fn check_words(&self, problems: &mut Problems) {
        for script in &self.scripts {
            if script.text.value.len() > MAX_OUTPUT {
                let words = "the template is longer than 64 KiB";
                let help = "no provider takes such a text; shorten it";
                problems.push(Problem::error(words).at(script.text.place()).help(help));
            }
        }
        let scripts = self
            .scripts
            .iter()
            .map(|script| (script.name.as_str(), &script.scan));
        let includes = self
            .includes
            .iter()
            .map(|(name, file)| (name.as_str(), &file.scan));
        for (name, scan) in scripts.chain(includes) {
            if let Some(token) = scan.deep_loop(MAX_LOOPS) {
                let problem =
                    Problem::error(format!("more than {MAX_LOOPS} loops inside each other"))
                        .help("a message is rendered for every row of the list; keep it simple");
                problems.push(at(problem, self.place_of(name, token)));
            }
            if let Some(token) = scan.comprehension() {
                let problem = Problem::error("a list cannot be made with `for` inside a value")
                    .help("write a loop, `{% for … in … %}…{% endfor %}`");
                problems.push(at(problem, self.place_of(name, token)));
            }
            if let Some((token, _)) = scan.uses("__tera_context").next() {
                let problem = Problem::error("a message must not print every value of a row")
                    .help("print the values you mean, such as `{{ first_name }}`");
                problems.push(at(problem, self.place_of(name, token)));
            }
        }
    }

    /// Each file inside another takes a piece of the stack.
    pub(super) fn check_depth(&self, problems: &mut Problems) {
        let names = |scan: &Scan| {
            scan.files()
                .map(|file| file.text.clone())
                .collect::<Vec<_>>()
        };
        let mut level: BTreeSet<String> = self
            .scripts
            .iter()
            .flat_map(|script| names(&script.scan))
            .collect();
        for _ in 0..MAX_INSIDE {
            let files = level.iter().filter_map(|name| self.includes.get(name));
            level = files.flat_map(|file| names(&file.scan)).collect();
        }
        if let Some(name) = level.first() {
            let words = format!("the included files go more than {MAX_INSIDE} deep");
            problems.push(
                Problem::error(words).help(format!("include '{name}' further up, or write it out")),
            );
        }
    }
}
