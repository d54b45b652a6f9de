//! The README and the index of the documentation: their commands are run, what they quote is
//! compared with what happens, and their tables with what they are about.

use std::collections::BTreeSet;

use crate::cli::{home, output, shipped};
use crate::support::{Ended, Project, Provider};

fn readme() -> String {
    std::fs::read_to_string(home().join("README.md")).unwrap()
}

/// The fenced blocks of this kind, in order.
fn blocks<'a>(page: &'a str, kind: &str) -> Vec<&'a str> {
    let fence = format!("```{kind}\n");
    page.split(&fence)
        .skip(1)
        .map(|rest| rest.split_once("```").unwrap().0)
        .collect()
}

/// The lines of all `sh` blocks, without comments.
fn commands(page: &str) -> Vec<&str> {
    blocks(page, "sh")
        .into_iter()
        .flat_map(str::lines)
        .map(|line| line.split(" #").next().unwrap().trim())
        .filter(|line| !line.is_empty())
        .collect()
}

/// The first cells of the table under this heading row.
fn first_cells<'a>(page: &'a str, heading: &str) -> Vec<&'a str> {
    let (_, rest) = page.split_once(heading).unwrap();
    rest.lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').next().unwrap().trim())
        .collect()
}

/// What is left of a report when the times are taken out.
fn without_the_moment(text: &str) -> Vec<String> {
    text.lines()
        .filter(|line| !line.starts_with('━'))
        .map(|line| {
            for mark in ["Started ", "Last sent ", "Finished "] {
                if line.trim_start().starts_with(mark) {
                    return mark.trim_end().to_owned();
                }
            }
            line.split(", in ").next().unwrap().trim_end().to_owned()
        })
        .collect()
}

#[tokio::test]
async fn the_picture_of_a_run_is_what_a_run_says() {
    let page = readme();
    let picture = blocks(&page, "text")[0];
    let (command, shown) = picture.split_once('\n').unwrap();
    let args: Vec<&str> = command
        .strip_prefix("$ sendoff ")
        .unwrap()
        .split(' ')
        .collect();
    let ended = shipped().run(&args).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(
        without_the_moment(shown),
        without_the_moment(&(ended.err + &ended.out))
    );
}

#[tokio::test]
async fn the_set_up_is_two_commands() {
    let page = readme();
    let [rehearse, test] = commands(&page)[..2] else {
        panic!("{page}");
    };
    let args: Vec<&str> = rehearse
        .strip_prefix("cargo run --release -- ")
        .unwrap()
        .split(' ')
        .collect();
    let ended = shipped().run(&args).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(test, "tests/run");
    let script = home().join(test);
    assert!(script.is_file());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = script.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "it cannot be run");
    }
}

/// How each command of the README has to end.
fn expected(command: &str) -> &'static [i32] {
    if command.contains(" --only ") {
        &[4]
    } else if command.contains(" --due ") {
        // Whether it is due depends on the hour at which the test runs.
        &[0, 4]
    } else {
        &[0]
    }
}

/// A terminal in which the README is followed, with the account of a sandbox in place of the
/// reader's own.
struct Reader {
    project: Project,
    provider: Provider,
    folder: String,
}

impl Reader {
    /// `cd`: from here on the reader has an account, and the campaigns that lie in the project.
    fn enter(&mut self, folder: &str) {
        folder.clone_into(&mut self.folder);
        let examples = shipped();
        for name in [
            "campaigns/nightly-reminder.yaml",
            "campaigns/nightly-reminder.csv",
            "templates/nightly-reminder.yaml",
            "templates/signature.txt",
            "campaigns/order-update.yaml",
            "campaigns/order-update.csv",
            "templates/order-update.yaml",
            "campaigns/sms-offer.yaml",
            "campaigns/sms-offer.csv",
            "templates/sms-offer.yaml",
        ] {
            self.project
                .write(&format!("{folder}/{name}"), examples.read(name));
        }
        let settings = format!("{folder}/sendoff.yaml");
        self.project.write(&settings, &self.provider.settings);
    }

    /// As a person would type it: a question is answered with yes.
    fn types(&self, command: &str) -> Ended {
        let (program, args) = command.split_once(' ').unwrap();
        assert_eq!(program, "sendoff", "{command}");
        let mut args: Vec<&str> = args.split(' ').collect();
        let asks = matches!(args[0], "run" | "resume") && !command.contains("--sandbox");
        if asks && !args.contains(&"--yes") {
            args.push("--yes");
        }
        let mut command = self.project.sendoff(&args);
        command
            .current_dir(self.project.path(&self.folder))
            .env("SENDOFF_SANDBOX_SECRET", &self.provider.secret);
        output(command)
    }
}

#[tokio::test]
async fn every_command_can_be_typed_as_it_stands() {
    let page = readme();
    let lines = ["--line", "+15555550100", "--line", "+15555550102"];
    let mut reader = Reader {
        project: Project::new(),
        provider: Provider::start_with(&lines).await,
        folder: String::new(),
    };
    let mut done = BTreeSet::new();
    for command in commands(&page).into_iter().skip(2) {
        if let Some(folder) = command.strip_prefix("cd ") {
            reader.enter(folder);
        } else if ![
            "cargo install --path . --locked",
            "export CHERT_SIGNING_SECRET=…",
        ]
        .contains(&command)
        {
            let ended = reader.types(command);
            let code = ended.code.unwrap();
            assert!(expected(command).contains(&code), "{command}: {ended:?}");
            done.insert(command.split(' ').nth(1).unwrap());
        }
    }
    let told = [
        "check", "explain", "init", "preview", "report", "resume", "run", "schedule", "status",
        "verify",
    ];
    assert!(done.iter().eq(&told), "{done:?}");
    let report = reader.project.read("my-shop/first.csv");
    assert_eq!(report.matches(",sent,").count(), 3, "{report}");
    let totals = reader.provider.totals().await;
    assert_eq!(totals.most_per_person, 1);
}

#[test]
fn the_settings_that_are_shown_are_accepted() {
    let page = readme();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sendoff.yaml");
    std::fs::write(&path, blocks(&page, "yaml")[0]).unwrap();
    let (settings, problems) = sendoff::intake::settings_file::read(&path);
    assert!(settings.is_some() && problems.is_empty(), "{problems:?}");
}

#[test]
fn the_table_of_dependencies_has_each_of_them() {
    let manifest = std::fs::read_to_string(home().join("Cargo.toml")).unwrap();
    let (_, rest) = manifest.split_once("[dependencies]\n").unwrap();
    let named: Vec<&str> = rest
        .lines()
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name)
        .collect();
    let page = readme();
    let told: Vec<&str> = first_cells(&page, "| Crate | Why |")
        .into_iter()
        .map(|cell| cell.trim_matches('`'))
        .collect();
    assert_eq!(told, named);
}

#[test]
fn the_exit_codes_are_those_of_their_page() {
    let page = std::fs::read_to_string(home().join("docs/exit-codes.md")).unwrap();
    let codes = first_cells(&page, "| Code | Meaning | Examples |");
    assert_eq!(codes, first_cells(&readme(), "| Code | Meaning |"));
}

#[test]
fn the_index_names_every_page_and_every_link_leads_somewhere() {
    let docs = home().join("docs");
    let pages: BTreeSet<String> = std::fs::read_dir(&docs)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "md"))
        .map(|path| path.file_name().unwrap().display().to_string())
        .filter(|name| name != "README.md")
        .collect();
    let index = std::fs::read_to_string(docs.join("README.md")).unwrap();
    for page in &pages {
        assert!(
            index.contains(&format!("]({page})")),
            "{page} is not in the index"
        );
    }
    for page in pages
        .iter()
        .map(String::as_str)
        .chain(["README.md", "../README.md"])
    {
        let path = docs.join(page);
        let text = std::fs::read_to_string(&path).unwrap();
        for link in text.split("](").skip(1) {
            let link = link.split(')').next().unwrap();
            let file = link.split('#').next().unwrap();
            if !file.is_empty() && !file.contains("://") {
                let target = path.parent().unwrap().join(file);
                assert!(target.exists(), "{page} links to {link}");
            }
        }
    }
}
