//! Keeps the house in order: which module may use which, who may name the libraries for HTTP and
//! SQL, who may print, and that the domain stays pure. Reads the source as tokens; does not know
//! types, so it sees only what is named.

mod tokens;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use tokens::{Token, is, tokens};

/// What each module may use besides itself; the table in `src/lib.rs` says the same to readers.
const MAY_USE: [(&str, &[&str]); 12] = [
    ("domain", &[]),
    ("crash_points", &[]),
    ("intake", &["domain"]),
    ("ledger", &["domain"]),
    ("gateway", &["domain"]),
    ("sandbox", &["domain"]),
    ("settings", &["domain"]),
    ("telemetry", &["domain"]),
    ("engine", &["domain", "ledger", "gateway", "crash_points"]),
    ("report", &["domain", "ledger"]),
    (
        "service",
        &[
            "domain",
            "intake",
            "ledger",
            "gateway",
            "sandbox",
            "settings",
            "telemetry",
            "engine",
            "report",
            "crash_points",
        ],
    ),
    (
        "cli",
        &[
            "domain",
            "intake",
            "ledger",
            "gateway",
            "sandbox",
            "settings",
            "telemetry",
            "engine",
            "report",
            "service",
        ],
    ),
];

/// Who alone may name a library outside of tests, and why.
const LIBRARIES: [(&str, &str, &str); 2] = [
    ("reqwest", "gateway", "is the only outbound HTTP"),
    ("sqlx", "ledger", "is the only SQL"),
];

/// The one file besides an owner that may name a library: whoever subscribes to the sandbox's events
/// is told by a call of the sandbox.
const BESIDES: [(&str, &str); 1] = [("sandbox/outbound.rs", "reqwest")];

const PRINTS: [&str; 4] = ["print", "println", "eprint", "eprintln"];

/// Time, chance, files, network and environment come into the domain as arguments.
const IMPURE: [&str; 12] = [
    "tokio",
    "sqlx",
    "reqwest",
    "fastrand",
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
    "Timestamp::now",
    "Zoned::now",
    "SystemTime",
    "Instant",
];

#[test]
fn every_module_keeps_to_its_layer() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut breaches = Vec::new();
    for file in rust_files(&src) {
        let name = file
            .strip_prefix(&src)
            .unwrap()
            .to_str()
            .unwrap()
            .replace('\\', "/");
        breaches.extend(breaches_of(&name, &fs::read_to_string(&file).unwrap()));
    }
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Every breach in one file; `name` is its path below `src`.
fn breaches_of(name: &str, source: &str) -> Vec<String> {
    let mut path: Vec<&str> = name.trim_end_matches(".rs").split('/').collect();
    if path.last() == Some(&"mod") {
        path.pop();
    }
    let layer = path[0];
    if matches!(layer, "main" | "lib") {
        return Vec::new();
    }
    let tokens = tokens(source);
    let scopes = scopes(&path, &tokens);
    let mut found = Vec::new();
    let mut report = |at: usize, what: &str| {
        found.push(format!("src/{name}:{}: {what}", tokens[at].line));
    };
    let Some((_, allowed)) = MAY_USE.iter().find(|(module, _)| *module == layer) else {
        let what = format!("`{layer}` is in no layer; add it to the tables here and in src/lib.rs");
        return vec![format!("src/{name}:1: {what}")];
    };
    for (at, used) in uses(&tokens, &scopes) {
        if used != layer && !allowed.contains(&used.as_str()) {
            let may = if allowed.is_empty() {
                "nothing of ours"
            } else {
                &allowed.join(", ")
            };
            report(at, &format!("`{layer}` uses `{used}`; it may use {may}"));
        }
    }
    for at in 0..tokens.len() {
        if scopes[at].iter().any(|module| module == "tests") {
            continue;
        }
        let word = tokens[at].text.as_str();
        for (library, owner, why) in LIBRARIES {
            if word == library && layer != owner && !BESIDES.contains(&(name, library)) {
                report(at, &format!("names `{library}`, but `{owner}` alone {why}"));
            }
        }
        let prints = PRINTS.contains(&word) && is(&tokens, at + 1, "!");
        if (prints || word == "stdout") && layer != "cli" {
            report(at, &format!("`{word}`: `cli` alone prints"));
        }
        let impure = |path: &&str| {
            let mut words = path.split("::").enumerate();
            words.all(|(n, word)| {
                is(&tokens, at + 2 * n, word) && (n == 0 || is(&tokens, at + 2 * n - 1, "::"))
            })
        };
        if layer == "domain"
            && let Some(path) = IMPURE.iter().find(|path| impure(path))
        {
            report(
                at,
                &format!("`{path}`: the domain is pure, take it as an argument"),
            );
        }
    }
    found
}

/// For each token the module it stands in, from the top: the file's, then `mod name {` inside it.
fn scopes(file: &[&str], tokens: &[Token]) -> Vec<Vec<String>> {
    let mut scope: Vec<String> = file.iter().map(|&module| module.to_owned()).collect();
    let mut opened: Vec<usize> = Vec::new();
    let mut depth = 0;
    let mut scopes = Vec::with_capacity(tokens.len());
    for (at, token) in tokens.iter().enumerate() {
        if token.text == "{" {
            depth += 1;
            if at >= 2 && tokens[at - 2].text == "mod" {
                opened.push(depth);
                scope.push(tokens[at - 1].text.clone());
            }
        }
        scopes.push(scope.clone());
        if token.text == "}" {
            if opened.last() == Some(&depth) {
                opened.pop();
                scope.pop();
            }
            depth -= 1;
        }
    }
    scopes
}

/// Every top-level module of ours that is named, with the token that names it: `crate::x`,
/// `crate::{x, y::z}` and as many `super::` as it takes to get to the root.
fn uses(tokens: &[Token], scopes: &[Vec<String>]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let start = at;
        at += 1;
        let inside_a_path = start > 0 && is(tokens, start - 1, "::");
        if inside_a_path || !is(tokens, start + 1, "::") {
            continue;
        }
        let mut next = start;
        let mut ups = 0;
        while is(tokens, next, "super") && is(tokens, next + 1, "::") {
            ups += 1;
            next += 2;
        }
        let at_root = if is(tokens, start, "crate") {
            next = start + 2;
            true
        } else {
            ups > 0 && ups >= scopes[start].len()
        };
        if at_root {
            for named in heads(tokens, next) {
                found.push((named, tokens[named].text.clone()));
            }
        }
    }
    found
}

/// The first word of a path, or of each path in a group.
fn heads(tokens: &[Token], at: usize) -> Vec<usize> {
    if !is(tokens, at, "{") {
        return vec![at];
    }
    let mut found = Vec::new();
    let mut depth = 0;
    for (here, token) in tokens.iter().enumerate().skip(at) {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ if depth == 1 && (is(tokens, here - 1, ",") || here == at + 1) => found.push(here),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    found
}

#[test]
fn a_breach_is_found_with_its_place() {
    let breach = |name: &str, source: &str| breaches_of(name, source).join("\n");
    for (name, source, expected) in [
        (
            "report/csv.rs",
            "use crate::gateway::Line;",
            "src/report/csv.rs:1: `report` uses `gateway`; it may use domain, ledger",
        ),
        (
            "domain/key.rs",
            "\nuse crate::{domain::x, ledger::{a, b}};",
            "src/domain/key.rs:2: `domain` uses `ledger`; it may use nothing of ours",
        ),
        (
            "engine/run/x.rs",
            "fn f() { super::super::super::cli::g() }",
            "src/engine/run/x.rs:1: `engine` uses `cli`; it may use domain, ledger, gateway, crash_points",
        ),
        (
            "settings.rs",
            "mod a { use super::super::intake; }",
            "src/settings.rs:1: `settings` uses `intake`; it may use domain",
        ),
        (
            "odd/mod.rs",
            "",
            "src/odd/mod.rs:1: `odd` is in no layer; add it to the tables here and in src/lib.rs",
        ),
        (
            "engine/mod.rs",
            "fn f(c: reqwest::Client) {}",
            "src/engine/mod.rs:1: names `reqwest`, but `gateway` alone is the only outbound HTTP",
        ),
        (
            "sandbox/chert/outbound.rs",
            "fn f(c: reqwest::Client) {}",
            "src/sandbox/chert/outbound.rs:1: names `reqwest`, but `gateway` alone is the only outbound HTTP",
        ),
        (
            "sandbox/outbound.rs",
            "fn f(c: sqlx::Pool) {}",
            "src/sandbox/outbound.rs:1: names `sqlx`, but `ledger` alone is the only SQL",
        ),
        (
            "report/mod.rs",
            "fn f() { println!(\"x\"); }",
            "src/report/mod.rs:1: `println`: `cli` alone prints",
        ),
        (
            "domain/run.rs",
            "fn f() { jiff::Timestamp::now(); }",
            "src/domain/run.rs:1: `Timestamp::now`: the domain is pure, take it as an argument",
        ),
        (
            "domain/run.rs",
            "use std::fs;",
            "src/domain/run.rs:1: `std::fs`: the domain is pure, take it as an argument",
        ),
    ] {
        assert_eq!(breach(name, source), expected);
    }
}

#[test]
fn what_is_allowed_or_only_said_is_no_breach() {
    let mut said = String::new();
    for library in ["reqwest", "sqlx", "crate::cli", "println!(x)"] {
        write!(
            said,
            "// {library}\n/* {library} /* {library} */ */ \"{library} \\\" {library}\" \
             r#\"{library} \" {library}\"# '\"' b'\\'' "
        )
        .unwrap();
    }
    for (name, source) in [
        ("domain/x.rs", said.as_str()),
        (
            "domain/x.rs",
            "use super::key; use crate::domain::run; fn f<'a>(x: &'a str) {}",
        ),
        (
            "domain/x.rs",
            "mod tests { use super::super::key; fn f() { reqwest(); Timestamp::now(); } }",
        ),
        (
            "ledger/sqlite/tests.rs",
            "use crate::domain; use super::super::Ledger; fn f() { println!(); }",
        ),
        (
            "gateway/http.rs",
            "use reqwest::Client; use super::GatewayError;",
        ),
        ("sandbox/outbound.rs", "use reqwest::Client;"),
        (
            "cli/run.rs",
            "use crate::{engine, service}; fn f() { println!(); std::io::stdout(); }",
        ),
        ("main.rs", "use sendoff::cli; fn main() { eprintln!(); }"),
    ] {
        assert_eq!(
            breaches_of(name, source),
            Vec::<String>::new(),
            "{name}: {source}"
        );
    }
}
