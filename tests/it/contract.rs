//! Which test holds which row of the provider's contract. The list is `contract/rows.txt`; the
//! page `docs/contract-coverage.md` is made of it. Tests nothing of the contract itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

const ROWS: &str = include_str!("contract/rows.txt");
const PAGE: &str = "docs/contract-coverage.md";
/// Set to anything: the page is written instead of compared.
const WRITE: &str = "SENDOFF_WRITE_COVERAGE";

struct Row {
    mark: &'static str,
    what: &'static str,
    held: Held,
}

enum Held {
    By(Vec<&'static str>),
    Not(&'static str),
}

fn sections() -> Vec<(&'static str, Vec<Row>)> {
    let mut sections: Vec<(&str, Vec<Row>)> = Vec::new();
    for line in ROWS.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            sections.push((title, Vec::new()));
        } else if !line.is_empty() && !line.starts_with('#') {
            let (_, rows) = sections.last_mut().expect("a section comes first");
            rows.push(row(line));
        }
    }
    sections
}

fn row(line: &'static str) -> Row {
    let fields: Vec<&str> = line.split(" | ").collect();
    let [mark, what, held] = fields[..] else {
        panic!("three fields: {line}");
    };
    assert!(["seed", "docs", "ours"].contains(&mark), "{line}");
    let held = match held.strip_prefix("- ") {
        Some(reason) => Held::Not(reason),
        None => Held::By(held.split(' ').collect()),
    };
    Row { mark, what, held }
}

fn text_of(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("no file {file}"))
}

/// Where the checks of a file are made tests for each database, by name.
fn list_of(file: &str) -> Option<String> {
    let lists = ["tests/it/ledger", "tests/it/send_path"];
    let list = lists
        .iter()
        .find(|list| file.starts_with(&format!("{list}/")));
    list.map(|list| text_of(&format!("{list}.rs")))
}

/// The names of a file's tests: of functions under an attribute that makes them tests, and of
/// checks that stand in the list of those that are run on each database.
fn tests_of(file: &str) -> Vec<String> {
    let text = text_of(file);
    let list = list_of(file).unwrap_or_default();
    let listed = |name: &str| list.lines().any(|line| line.trim() == format!("{name},"));
    let mut tests = Vec::new();
    let mut marked = false;
    for line in text.lines().map(str::trim_start) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            marked = true;
        }
        let declared = ["pub(super) ", "pub(in crate::send_path) "]
            .iter()
            .find_map(|public| line.strip_prefix(public));
        let line = declared.unwrap_or(line);
        let declared = line.strip_prefix("async ").unwrap_or(line);
        let Some(rest) = declared.strip_prefix("fn ") else {
            continue;
        };
        let name = rest.split(['(', '<']).next().unwrap();
        if marked || listed(name) {
            tests.push(name.to_owned());
        }
        marked = false;
    }
    tests
}

fn page() -> String {
    let sections = sections();
    let rows = || sections.iter().flat_map(|(_, rows)| rows);
    let held = rows().filter(|row| matches!(row.held, Held::By(_))).count();
    let mut page = format!(
        "# What of the providers' APIs is held by which test\n\n\
         Made of `tests/it/contract/rows.txt` by the test `contract`; `{WRITE}=1 cargo test --test it contract` writes it\n\
         anew. `seed` rows come from the first published pages of a provider, `docs` rows from its documentation; `ours` are\n\
         choices where nothing is published. The sections of HueChat follow those of Chert.\n\n\
         {} rows: {held} held by named tests, {} without one and with the reason.\n",
        rows().count(),
        rows().count() - held,
    );
    for (title, rows) in &sections {
        write!(
            page,
            "\n## {title}\n\n| Mark | What holds | Held by |\n|---|---|---|\n"
        )
        .unwrap();
        for row in rows {
            let held = match &row.held {
                Held::Not(reason) => format!("*none: {reason}*"),
                Held::By(tests) => tests
                    .iter()
                    .map(|test| format!("`{test}`"))
                    .collect::<Vec<_>>()
                    .join("<br>"),
            };
            writeln!(page, "| {} | {} | {held} |", row.mark, row.what).unwrap();
        }
    }
    page
}

#[test]
fn every_row_names_tests_that_are_there_or_a_reason() {
    let mut files: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut missing = Vec::new();
    for row in sections().into_iter().flat_map(|(_, rows)| rows) {
        let Held::By(tests) = row.held else {
            continue;
        };
        for test in tests {
            let known = test.split_once("::").is_some_and(|(file, name)| {
                let tests = files.entry(file).or_insert_with(|| tests_of(file));
                tests.iter().any(|known| known == name)
            });
            if !known {
                missing.push(format!("{}: {test}", row.what));
            }
        }
    }
    assert!(missing.is_empty(), "no such tests:\n{}", missing.join("\n"));
}

#[test]
fn the_page_is_the_list() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = page();
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(there, page, "run `{WRITE}=1 cargo test --test it contract`");
}
