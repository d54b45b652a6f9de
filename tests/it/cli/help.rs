//! What the program says of itself: help, completions, schemas, and the page that is made of it.

use std::fmt::Write as _;

use clap::ValueEnum as _;
use clap_complete::Shell;
use sendoff::cli::definition;
use sendoff::intake::schema::{SchemaKind, schema};
use sendoff::sandbox::FaultPlan;

use crate::cli::home;
use crate::support::Project;

/// Set to write `docs/commands.md` instead of comparing it.
const WRITE: &str = "SENDOFF_WRITE_DOCS";

const INTRODUCTION: &str = "\
# Commands

What `sendoff COMMAND --help` prints, for every command. A test compares this page with the
program; `SENDOFF_WRITE_DOCS=1 cargo test --test it commands_page` writes it anew.

Data goes to standard output, everything else to standard error. [Exit codes](exit-codes.md) say how a
command ended.
";

fn commands() -> Vec<String> {
    definition()
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect()
}

/// The same, each followed by those that it has of its own, such as `ledger copy`.
fn all_commands() -> Vec<String> {
    let mut all = Vec::new();
    for command in definition().get_subcommands() {
        let name = command.get_name();
        all.push(name.to_owned());
        let own = command.get_subcommands();
        all.extend(own.map(|own| format!("{name} {}", own.get_name())));
    }
    all
}

/// `--help` of a command as a pipe receives it; of the program itself for none.
async fn help(command: Option<&str>) -> String {
    let words = command.into_iter().flat_map(str::split_whitespace);
    let args: Vec<&str> = words.chain(["--help"]).collect();
    let ended = Project::new().run(&args).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.err, "");
    assert!(!ended.out.contains('\u{1b}'));
    ended.out.lines().fold(String::new(), |text, line| {
        assert!(line.chars().count() <= 100, "wider than a page: {line}");
        text + line.trim_end() + "\n"
    })
}

#[test]
fn the_definition_is_sound() {
    definition().debug_assert();
}

#[tokio::test]
async fn the_commands_page_is_what_the_program_says() {
    let mut page = INTRODUCTION.to_owned();
    write!(page, "\n## sendoff\n\n```text\n{}```\n", help(None).await).unwrap();
    for command in all_commands() {
        let help = help(Some(&command)).await;
        assert!(
            help.contains("Examples:"),
            "'{command}' has no example in its help"
        );
        write!(page, "\n## sendoff {command}\n\n```text\n{help}```\n").unwrap();
    }
    let path = home().join("docs/commands.md");
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        kept, page,
        "docs/commands.md is old; set {WRITE}=1 to renew"
    );
}

#[tokio::test]
async fn help_is_the_same_by_every_way() {
    let project = Project::new();
    let by_word = project.run(&["help", "run"]).await;
    let by_flag = project.run(&["run", "--help"]).await;
    assert_eq!(by_word.out, by_flag.out);
    let version = project.run(&["--version"]).await;
    assert_eq!(
        version.out,
        concat!("sendoff ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[tokio::test]
async fn the_example_of_a_fault_plan_is_one() {
    let help = help(Some("sandbox")).await;
    let (_, rest) = help.split_once("-d '").unwrap();
    let (plan, _) = rest.split_once('\'').unwrap();
    FaultPlan::parse(plan.as_bytes()).unwrap();
}

#[tokio::test]
async fn every_shell_gets_completions_for_every_command() {
    let project = Project::new();
    for shell in Shell::value_variants() {
        let ended = project.run(&["completions", &shell.to_string()]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        for command in commands() {
            assert!(ended.out.contains(&command), "{shell}: no '{command}'");
        }
    }
}

#[tokio::test]
async fn schemas_are_those_of_the_files() {
    let project = Project::new();
    for (name, kind) in [
        ("campaign", SchemaKind::Campaign),
        ("message", SchemaKind::Message),
        ("config", SchemaKind::Config),
    ] {
        let ended = project.run(&["schema", name]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.json(), schema(kind));
        let shipped = home().join(format!("campaigns/{name}.schema.json"));
        if shipped.exists() {
            assert_eq!(std::fs::read_to_string(shipped).unwrap(), ended.out);
        }
    }
}
