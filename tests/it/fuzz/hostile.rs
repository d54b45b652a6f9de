//! Files that are made to take all memory or never to end, given to the real program in a process
//! of little memory and little time: it says what is wrong and ends with 1.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};

use super::bounded;
use crate::cli::output;
use crate::support::Project;

const CAMPAIGN: &str = "name: hello\ngateway: chert\nfrom: [\"+15555550100\"]\nrecipients: { csv: people.csv }\nmessage: ../templates/hello.yaml\n";
const PATH: &str = "campaigns/hello.yaml";

/// A sound project.
fn project() -> Project {
    let project = Project::new();
    project.write(PATH, CAMPAIGN);
    project.write(
        "campaigns/people.csv",
        "phone,first_name\n+12025550143,Dana\n",
    );
    template(&project, "Hi {{ first_name }}");
    project
}

fn template(project: &Project, text: &str) {
    let quoted = serde_json::to_string(text).unwrap();
    let parts = format!("parts:\n  - type: text\n    value: {quoted}\n");
    project.write("templates/hello.yaml", parts);
}

/// It is refused, in words for people.
fn assert_refused(project: &Project, what: &str) {
    let checked = bounded(project, &["check", PATH]);
    assert_eq!(checked.code, Some(1), "{what}: {checked:?}");
    let said = checked.err.clone() + &checked.out;
    assert!(
        said.contains("nothing was sent") && said.len() < 40_000,
        "{what}: {said}"
    );
}

#[test]
fn campaigns_that_unfold_or_nest_without_end() {
    let mut laughs = "vars:\n  a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    let mut texts = format!("vars:\n  a: &a \"{}\"\n", "x".repeat(1_000));
    let mut merges = "vars:\n  a: &a { k: 1 }\n".to_owned();
    for (this, last) in ('b'..='w').zip('a'..) {
        let many = format!("*{last}, ").repeat(9);
        writeln!(laughs, "  {this}: &{this} [{many}]").unwrap();
        writeln!(texts, "  {this}: &{this} {{ x: *{last}, y: *{last} }}").unwrap();
        writeln!(
            merges,
            "  {this}: &{this} {{ <<: [{many}], {this}: *{last} }}"
        )
        .unwrap();
    }
    let blocks = (1..1_300).fold("vars:\n".to_owned(), |all, n| {
        all + &" ".repeat(n % 700) + "a:\n"
    });
    let keys = (0..90_000).fold(String::new(), |all, n| format!("{all}k{n}: 1\n"));
    for (what, more) in [
        ("aliases of lists", laughs),
        ("aliases of texts", texts),
        ("merge keys", merges),
        ("itself", "vars: &a { x: *a }\n".to_owned()),
        ("brackets", format!("vars: {}\n", "[".repeat(900_000))),
        ("braces", format!("vars: {}\n", "{a: ".repeat(200_000))),
        ("keys of keys", "? ".repeat(400_000)),
        ("dashes", format!("vars:\n  {}x\n", "- ".repeat(400_000))),
        ("indentation", blocks),
        ("fields", keys),
        ("one field again", "a: 1\n".repeat(150_000)),
        (
            "unknown aliases in one line",
            format!("vars: [{}]\n", "*u,".repeat(9_000)),
        ),
        (
            "tags in one line",
            format!("vars: [{}]\n", "!x y,".repeat(9_000)),
        ),
        (
            "an open quote",
            format!("description: \"{}", "x\n".repeat(450_000)),
        ),
        (
            "an anchor's name",
            format!("vars: &{} x\n", "a".repeat(900_000)),
        ),
        (
            "vars for a novel",
            format!("vars: {{ a: \"{}\" }}\n", "x".repeat(900_000)),
        ),
        ("more than a mebibyte", "#\n".repeat(600_000)),
    ] {
        let project = project();
        project.write(PATH, CAMPAIGN.to_owned() + &more);
        assert_refused(&project, what);
    }
}

/// Files that include two more each, with and without loops, and a component that calls itself.
fn with_files(project: &Project) {
    for n in 0..40 {
        let next = n + 1;
        let inner = format!("{{% include \"{next}.txt\" %}}").repeat(2);
        project.write(&format!("templates/{n}.txt"), inner);
        let inner = format!("{LOOPS}{{% include \"loops{next}.txt\" %}}{ENDS}");
        project.write(&format!("templates/loops{n}.txt"), inner);
    }
    project.write("templates/40.txt", "x");
    project.write("templates/loops40.txt", "x");
    project.write("templates/self.txt", "{% include \"self.txt\" %}");
    project.write("templates/twice.tera", "{% component Twice(n) %}{{ <Twice n={n ~ n} /> }}{{ <Twice n={n ~ n} /> }}{% endcomponent Twice %}");
}

const LOOPS: &str = "{% for a in range(end=1000) %}{% for b in range(end=1000) %}";
const ENDS: &str = "{% endfor %}{% endfor %}";

#[test]
fn templates_that_grow_without_end() {
    let set = "{% set x = \"0123456789\" %}";
    for (what, text) in [
        (
            "doubling",
            format!("{set}{}x", "{% set x = x ~ x %}".repeat(60)),
        ),
        (
            "doubling in a loop",
            format!(
                "{set}{{% for n in range(end=60) %}}{{% set_global x = x ~ x %}}{{% endfor %}}x"
            ),
        ),
        (
            "a text in itself",
            format!(
                "{set}{}x",
                "{% set x = x | replace(from=\"0\", to=x) %}".repeat(60)
            ),
        ),
        (
            "lists of lists",
            format!("{set}{}x", "{% set x = [x, x] %}".repeat(2_000)),
        ),
        (
            "what is captured",
            format!(
                "{{% set x %}}{LOOPS}{}{ENDS}{{% endset %}}x",
                "y".repeat(9_000)
            ),
        ),
    ] {
        let project = project();
        template(&project, &text);
        assert_refused(&project, what);
    }
}

#[test]
fn templates_that_would_never_end() {
    for (what, text) in [
        ("nested loops", format!("{LOOPS}{ENDS}x")),
        (
            "a huge range",
            "{% for a in range(end=9223372036854775807) %}x{% endfor %}".to_owned(),
        ),
        ("files in files", "{% include \"0.txt\" %}".to_owned()),
        (
            "files with loops in files",
            "{% include \"loops0.txt\" %}".to_owned(),
        ),
        ("a file in itself", "{% include \"self.txt\" %}".to_owned()),
        ("components", "{{ <Twice n=\"x\" /> }}".to_owned()),
        (
            "names that are not there",
            (0..2_000).fold(String::new(), |all, n| format!("{all}{{{{ a{n} }}}}")),
        ),
        (
            "parentheses",
            format!("{{{{ {}1{} }}}}", "(".repeat(20_000), ")".repeat(20_000)),
        ),
        (
            "conditions",
            format!(
                "{}x{}",
                "{% if 1 %}".repeat(3_000),
                "{% endif %}".repeat(3_000)
            ),
        ),
        (
            "a long template",
            "{{ first_name | default(value=\"x\") }}".repeat(20_000),
        ),
        ("braces", "{{".repeat(400_000)),
    ] {
        let project = project();
        template(&project, &text);
        with_files(&project);
        assert_refused(&project, what);
    }
}

/// Writes a list of which a piece comes `times` times; a hundred megabytes take a moment only.
fn list(project: &Project, start: &str, piece: &str, times: usize) {
    let file = File::create(project.path("campaigns/people.csv")).unwrap();
    let mut file = BufWriter::new(file);
    file.write_all(start.as_bytes()).unwrap();
    let together = piece.repeat(10_000);
    for _ in 0..times / 10_000 {
        file.write_all(together.as_bytes()).unwrap();
    }
    file.flush().unwrap();
}

#[test]
fn lists_of_one_endless_row() {
    for (what, start, piece, times) in [
        (
            "a row",
            "phone,first_name\n+12025550143,",
            "xxxxxxxxxx",
            20_000_000,
        ),
        (
            "a quoted cell",
            "phone,first_name\n+12025550143,\"",
            "xxxxxxxxx\n",
            20_000_000,
        ),
        ("a header", "phone,", "xxxxxxxxxx", 20_000_000),
        ("a million columns", "phone", ",c", 1_000_000),
        ("columns of one name", "phone", ",c", 500_000),
        (
            "nothing but quotes",
            "phone,first_name\n",
            "\"\"",
            5_000_000,
        ),
        (
            "nothing but empty rows",
            "phone,first_name\n",
            ",\n",
            500_000,
        ),
        ("ragged rows", "phone,first_name\n", "1,2,3\n", 200_000),
    ] {
        let project = project();
        list(&project, start, piece, times);
        assert_refused(&project, what);
    }
    for device in ["/dev/zero", "/dev/full"] {
        let project = project();
        project.write(PATH, CAMPAIGN.replace("people.csv", device));
        assert_refused(&project, device);
    }
}

/// Rows that are wrong one by one are left out or told, and counted.
#[test]
fn lists_whose_every_cell_is_a_burden_are_read_to_their_end() {
    let project = project();
    let campaign = CAMPAIGN.replace("people.csv", "people.csv, columns: { timezone: zone }");
    project.write(PATH, campaign);
    let zone = "Nowhere/".repeat(400);
    let rows = (0..8_000).fold("phone,first_name,zone\n".to_owned(), |mut rows, n| {
        writeln!(rows, "+1202555014{},Dana,{zone}{n}", n % 10).unwrap();
        rows
    });
    project.write("campaigns/people.csv", rows);
    let checked = bounded(&project, &["check", PATH]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.out.contains("8000 rows, 10 to send"), "{checked:?}");

    let columns = (0..2_000).fold("phone".to_owned(), |columns, n| format!("{columns},c{n}"));
    let row = format!("+12025550143{}\n", ",".repeat(2_000));
    project.write(
        "campaigns/people.csv",
        format!("{columns}\n{}", row.repeat(10)),
    );
    project.write(PATH, CAMPAIGN);
    template(&project, "{% for k, v in row %}{{ k }}{{ v }}{% endfor %}");
    let checked = bounded(&project, &["check", PATH]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
}

#[test]
fn preview_and_run_have_the_same_limits() {
    let project = project();
    template(
        &project,
        &format!(
            "{{% set x = \"01\" %}}{}x",
            "{% set x = x ~ x %}".repeat(60)
        ),
    );
    for args in [
        &["preview", PATH][..],
        &["preview", PATH, "--format", "html"],
        &["run", PATH, "--sandbox", "--yes"],
    ] {
        let seen = bounded(&project, args);
        assert_eq!(seen.code, Some(1), "{seen:?}");
    }
    // The bounds themselves work: what takes more is ended.
    let mut greedy = std::process::Command::new("sh");
    greedy.args([
        "-c",
        "ulimit -v 1048576; exec head -c 3000000000 /dev/zero | tail -n 1 >/dev/null",
    ]);
    assert_ne!(output(greedy).code, Some(0));
}
