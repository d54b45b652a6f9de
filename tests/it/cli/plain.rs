//! Terminals and pipes: colours, questions and progress belong to the one, plain text to the
//! other. A terminal is made by the standard library of Python.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::cli::output;
use crate::support::{CAMPAIGN, Project, Stage, tied};

/// Runs the program it is given on a terminal and ends with its exit code.
const TERMINAL: &str = "\
import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";

/// Whether `NO_COLOR` is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colours {
    Welcome,
    Refused,
}

/// The program on a terminal on which `typed` is typed: its exit code and what it showed.
fn on_a_terminal(command: &Command, typed: &str, colours: Colours) -> (Option<i32>, String) {
    let mut python = tied("python3");
    python.args(["-c", TERMINAL]).arg(command.get_program());
    python.args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        python.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => python.env(name, value),
            None => python.env_remove(name),
        };
    }
    python.env_remove("NO_COLOR").env("TERM", "xterm");
    if colours == Colours::Refused {
        python.env("NO_COLOR", "1");
    }
    let mut child = python
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(typed.as_bytes()).unwrap();
    // The terminal stays open until the program has ended.
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), shown)
}

fn coloured(text: &str) -> bool {
    [
        "\u{1b}[31",
        "\u{1b}[1;31",
        "\u{1b}[32",
        "\u{1b}[36",
        "\u{1b}[2m",
    ]
    .iter()
    .any(|colour| text.contains(colour))
}

/// Every command that has something to colour, and a mistake to show.
fn commands(project: &Project) -> Vec<Command> {
    project.write("campaigns/bad.yaml", "nmae: x\n");
    [
        &["check", CAMPAIGN][..],
        &["check", "campaigns/bad.yaml"],
        &["run", CAMPAIGN, "--sandbox"],
        &["status"],
        &["status", "hello@rehearsal-1"],
        &["report", "hello@rehearsal-1"],
        &["preview", CAMPAIGN],
        &["schedule", CAMPAIGN],
        &["status", "no@run"],
        &["--help"],
        &["run"],
    ]
    .into_iter()
    .map(|args| project.sendoff(args))
    .collect()
}

#[tokio::test]
async fn a_pipe_gets_no_escape_sequence() {
    let stage = Stage::new(2).await;
    for mut command in commands(&stage.project) {
        command.env_remove("NO_COLOR");
        let words = format!("{command:?}");
        let ended = output(command);
        for text in [&ended.out, &ended.err] {
            assert!(!text.contains('\u{1b}'), "{words}: {text:?}");
        }
    }
}

#[tokio::test]
async fn a_terminal_gets_colours_unless_they_are_switched_off() {
    let stage = Stage::new(2).await;
    stage.project.write("campaigns/bad.yaml", "nmae: x\n");
    for args in [
        &["check", "campaigns/bad.yaml"][..],
        &["run", CAMPAIGN, "--sandbox"],
        &["status", "no@run"],
    ] {
        let command = stage.project.sendoff(args);
        let (_, shown) = on_a_terminal(&command, "", Colours::Welcome);
        assert!(coloured(&shown), "{args:?}: {shown:?}");
        let (_, shown) = on_a_terminal(&command, "", Colours::Refused);
        assert!(!coloured(&shown), "{args:?}: {shown:?}");
    }
}

#[tokio::test]
async fn a_live_send_asks_on_a_terminal_and_a_no_sends_nothing() {
    let stage = Stage::new(3).await;
    let command = stage.project.sendoff(&["run", CAMPAIGN]);
    for no in ["n\n", "\n", "maybe\n"] {
        let (code, shown) = on_a_terminal(&command, no, Colours::Refused);
        assert_eq!(code, Some(1), "{shown}");
        assert!(
            shown.contains("send to 3 people through the gateway 'chert'?"),
            "{shown}"
        );
        assert!(shown.contains("nothing was sent"), "{shown}");
    }
    assert_eq!(stage.provider.totals().await.messages, 0);
    let runs = stage.project.run(&["status", "--format", "json"]).await;
    assert_eq!(
        runs.json()["runs"],
        serde_json::json!([]),
        "a no leaves no run behind"
    );
    let (code, shown) = on_a_terminal(&command, "y\n", Colours::Refused);
    assert_eq!(code, Some(0), "{shown}");
    stage.assert_everybody_once().await;
}

#[tokio::test]
async fn data_goes_to_standard_output_and_words_go_beside_it() {
    let stage = Stage::new(2).await;
    let args = ["run", CAMPAIGN, "--sandbox", "--format", "json", "-vv"];
    let ended = stage.project.run(&args).await;
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.json()["counts"]["sent"], 2);
    assert!(ended.err.contains("frozen"), "{}", ended.err);
    // Neither names nor numbers nor the message are in the log.
    for private in ["Person 0", "your table is ready", "2025550100"] {
        assert!(
            !ended.err.contains(private),
            "'{private}' in\n{}",
            ended.err
        );
    }
}
