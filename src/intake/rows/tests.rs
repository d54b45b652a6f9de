//! Whole lists through whole campaigns, in temporary folders.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::domain::delivery::SkipReason;
use crate::domain::message::{Media, Part};
use crate::domain::recipient::{Row, Verdict};
use crate::intake::campaign_file;

mod channels;
mod errors;
mod hostile;
mod shipped;
mod table;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest";

/// A campaign in a folder of its own.
struct Folder {
    dir: tempfile::TempDir,
    recipients: String,
    top: String,
    parts: String,
    /// What the campaign says of its way to people.
    way: String,
}

/// What a list came to.
#[derive(Debug, Default)]
struct Outcome {
    rows: Vec<Row>,
    media: Vec<Media>,
    problems: Vec<String>,
    records: u64,
}

impl Folder {
    fn new(parts: &str) -> Self {
        let folder = Self {
            dir: tempfile::tempdir().unwrap(),
            recipients: String::new(),
            top: String::new(),
            parts: parts.to_owned(),
            way: "from: [\"+15555550100\"]".to_owned(),
        };
        folder.file("images/marco.png", PNG);
        folder
    }

    fn text(value: &str) -> Self {
        let value = value.replace('\n', "\n      ");
        Self::new(&format!("  - type: text\n    value: |-\n      {value}\n"))
    }

    /// A line more below `recipients`.
    fn with(mut self, line: &str) -> Self {
        writeln!(self.recipients, "  {line}").unwrap();
        self
    }

    /// Over a channel of a HueChat account.
    fn by(mut self, channel: &str) -> Self {
        self.way = format!("channel: {channel}");
        self
    }

    /// A line more at the top of the campaign.
    fn top(mut self, line: &str) -> Self {
        writeln!(self.top, "{line}").unwrap();
        self
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn load(&self) -> (Option<Loaded>, Problems) {
        let campaign = format!(
            "name: test\ngateway: chert\n{}\nmessage: message.yaml\n{}recipients:\n  csv: list.csv\n  region: US\n{}",
            self.way, self.top, self.recipients
        );
        self.file("campaign.yaml", campaign);
        self.file("message.yaml", format!("parts:\n{}", self.parts));
        let (file, problems) = campaign_file::read(&self.dir.path().join("campaign.yaml"));
        assert!(!problems.has_errors(), "{problems:?}");
        load(&file.unwrap())
    }

    fn lines(&self, problems: &Problems) -> Vec<String> {
        let root = format!("{}/", self.dir.path().display());
        let line = |p: &Problem| {
            let help = p
                .help
                .as_ref()
                .map(|help| format!(" [{help}]"))
                .unwrap_or_default();
            format!("{p}{help}").replace(&root, "")
        };
        problems.iter().map(line).collect()
    }

    /// Everything that is found when this list is read.
    fn run(&self, list: impl AsRef<[u8]>) -> Outcome {
        self.file("list.csv", list);
        let (loaded, problems) = self.load();
        let mut outcome = Outcome {
            problems: self.lines(&problems),
            ..Outcome::default()
        };
        let Some(loaded) = loaded else {
            return outcome;
        };
        let run = RunId::parse("test@once").unwrap();
        let mut rows = match loaded.open_list().and_then(|list| loaded.rows(&run, list)) {
            Ok(rows) => rows,
            Err(problems) => {
                outcome.problems.extend(self.lines(&problems));
                return outcome;
            }
        };
        for chunk in rows.by_ref() {
            outcome.rows.extend(chunk.rows);
            outcome.media.extend(chunk.media);
            outcome.problems.extend(self.lines(&chunk.problems));
        }
        outcome.records = rows.finish().records;
        outcome
    }

    /// The texts of the messages, or why there is none, row by row.
    fn texts(&self, list: impl AsRef<[u8]>) -> Vec<String> {
        let outcome = self.run(list);
        assert_eq!(outcome.problems, Vec::<String>::new());
        outcome
            .rows
            .iter()
            .map(|row| in_words(&row.verdict))
            .collect()
    }
}

fn in_words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Send { message, .. } => {
            let texts = message.parts.iter().map(|part| match part {
                Part::Text { value, .. } => value.clone(),
                Part::Template { name, .. } => format!("({name})"),
                Part::Media { .. } => "(media)".to_owned(),
                Part::RichLink { url, title, .. } => format!("({url} {title:?})"),
            });
            texts.collect::<Vec<_>>().join(" + ")
        }
        Verdict::Skip { reason, detail, .. } => format!("{reason}: {detail}"),
    }
}

const LIST: &str = "Mobile,First Name,CustomerID,visits\n\
    (202) 555-0143,Dana,007,3\n\
    +1 202-555-0144,José,1.50,0\n";

#[test]
fn a_row_becomes_a_message() {
    let folder = Folder::new(
        "  - type: media\n    file: images/{{ who | slugify }}.png\n\
         \x20 - type: text\n    value: Hi {{ first_name }}, your number is {{ customer_id }}.\n\
         \x20 - type: rich_link\n    url: https://example.com/{{ customer_id }}\n    title: \"{{ row[\\\"First Name\\\"] }} {{ vars.who }} {{ recipient.key }} {{ run.id }}\"\n",
    )
    .with("columns: { key: customer id }")
    .top("vars: { who: Marco }");
    let outcome = folder.run(LIST);
    assert_eq!(outcome.problems, Vec::<String>::new());
    assert_eq!(
        outcome.rows.iter().map(|row| (row.number, row.line, in_words(&row.verdict))).collect::<Vec<_>>(),
        [
            (1, 2, "(media) + Hi Dana, your number is 007. + (https://example.com/007 Some(\"Dana Marco 007 test@once\"))".to_owned()),
            (2, 3, "(media) + Hi José, your number is 1.50. + (https://example.com/1.50 Some(\"José Marco 1.50 test@once\"))".to_owned()),
        ]
    );
    assert_eq!(outcome.media.len(), 1);
    assert_eq!(outcome.media[0].bytes, PNG);
    let Verdict::Send { recipient, .. } = &outcome.rows[1].verdict else {
        panic!("not sent")
    };
    assert_eq!(
        (recipient.key.as_str(), recipient.phone.expose()),
        ("1.50", "+12025550144")
    );
}

#[test]
fn where_compares_numbers_and_truths_as_such() {
    let list = "phone,visits,complained,zip\n2025550143,3,FALSE,02134\n2025550144,0,false,1\n2025550145,12,TRUE,1\n2025550146,,false,1\n2025550147,n/a,false,1\n";
    let folder = Folder::text("Hi").with("where: visits > 2 and not complained");
    assert_eq!(
        folder.texts(list),
        [
            "Hi",
            "filtered: `where` is not true for this row",
            "filtered: `where` is not true for this row",
            "filtered: `where` cannot be true for this row: 'visits' is empty",
            "render_error: cannot compare a text with a number (DIR/campaign.yaml:8)",
        ]
        .map(|text| text.replace("DIR", &folder.dir.path().display().to_string()))
    );
    let folder = Folder::text("Hi").with("where: zip == \"02134\"");
    assert_eq!(
        folder
            .texts(list)
            .iter()
            .filter(|text| *text == "Hi")
            .count(),
        1
    );
}

#[test]
fn a_bad_phone_is_skipped_with_the_reason_in_words() {
    let list = "phone,visits\n4.15556E+09,1\n,1\ncall me,1\n12,0\n2025550143,1\n";
    assert_eq!(
        Folder::text("Hi").with("where: visits > 0").texts(list),
        [
            "invalid_phone: 'phone': a spreadsheet has turned this number into scientific notation; its digits are lost",
            "invalid_phone: 'phone': the cell is empty",
            "invalid_phone: 'phone': this is not a phone number",
            "filtered: `where` is not true for this row",
            "Hi",
        ]
    );
}

/// One row with an empty name, and what the template makes of it.
fn with_empty(template: &str) -> String {
    let list = "phone,name,company\n2025550143,\" \",\n2025550144,Dana,Acme\n";
    let mut texts = Folder::text(template).texts(list);
    texts.truncate(1);
    texts.pop().unwrap()
}

#[test]
fn an_empty_cell_that_is_printed_stops_the_row() {
    let missing = "missing_value: 'name' is empty and the message prints it";
    for template in [
        "Hi {{ name }},",
        "Hi {{ name | title }},",
        "Hi {{ row[\"name\"] }},",
        "{{ \"Hi \" ~ name }},",
        "{% if company %}x{% else %}Hi {{ name }}{% endif %}",
        "{% set n = name %}Hi {{ n }}",
    ] {
        assert_eq!(with_empty(template), missing, "{template}");
    }
    assert_eq!(
        with_empty("{{ name }} of {{ company }}"),
        "missing_value: 'name' and 'company' are empty and the message prints them"
    );
}

#[test]
fn an_empty_cell_that_is_guarded_does_not() {
    for (template, text) in [
        ("Hi {{ name | default(value=\"there\") }},", "Hi there,"),
        ("Hi{{ name | default(value=\"\") }},", "Hi,"),
        ("Hi{% if name %} {{ name }}{% endif %},", "Hi,"),
        ("Hi{% if name != \"\" %} {{ name }}{% endif %},", "Hi,"),
        ("Hi{% if name | length > 0 %} {{ name }}{% endif %},", "Hi,"),
        ("Hi{% if name | trim %} {{ name }}{% endif %},", "Hi,"),
        ("Hi{{ \" \" ~ name if name else \"\" }},", "Hi,"),
        ("Hi,{# {{ name }} #}", "Hi,"),
    ] {
        assert_eq!(with_empty(template), text, "{template}");
    }
}

#[test]
fn on_empty_decides_what_an_empty_cell_means() {
    let list = "phone,name\n2025550143,\n";
    assert_eq!(
        Folder::text("Hi {{ name }},")
            .with("on_empty: allow")
            .texts(list),
        ["Hi ,"]
    );
    assert_eq!(
        Folder::text("Hi {{ name }},")
            .with("on_empty: error")
            .run(list)
            .problems,
        [
            "list.csv:2:1: row 1 (line 2 of list.csv): 'name' is empty and the message prints it [fill the cell, or write `on_empty: skip` to leave such rows out]"
        ]
    );
}

#[test]
fn a_part_whose_when_is_false_is_dropped() {
    let parts = "  - type: text\n    value: Hi\n    when: plan == \"gold\"\n  - type: rich_link\n    url: https://example.com\n    title: \"{{ note | default(value='') }}\"\n";
    let list = "phone,plan,note\n2025550143,gold,\n2025550144,tin,x\n";
    assert_eq!(
        Folder::new(parts).texts(list),
        [
            "Hi + (https://example.com None)",
            "(https://example.com Some(\"x\"))"
        ]
    );
}

#[test]
fn templates_share_files_and_components_of_their_folder() {
    let folder =
        Folder::text("Hi {{ name }}{% include \"parts/sign.txt\" %} {{ <Bold text={name} /> }}");
    folder.file("parts/sign.txt", ", yours {{ vars.who }}");
    folder.file(
        "bold.tera",
        "{% component Bold(text) %}*{{ text }}*{% endcomponent Bold %}",
    );
    let folder = folder.top("vars: { who: Marco }");
    assert_eq!(
        folder.texts("phone,name\n2025550143,Dana\n"),
        ["Hi Dana, yours Marco *Dana*"]
    );
    let files = folder.load().0.unwrap().files();
    let names: Vec<_> = files
        .iter()
        .map(|f| (f.role.as_str(), f.text.is_some()))
        .collect();
    assert_eq!(
        names,
        [
            ("campaign", true),
            ("message", true),
            ("include", true),
            ("include", true)
        ]
    );
}

#[test]
fn a_row_that_the_template_cannot_do_is_skipped_alone() {
    let list = "phone,age\n2025550143,12\n2025550144,twelve\n";
    let folder = Folder::text("{{ age | int + 1 }}");
    assert_eq!(
        folder.texts(list),
        [
            "13".to_owned(),
            format!(
                "render_error: the string '…' cannot be converted to an int in base 10 ({}/message.yaml:4)",
                folder.dir.path().display()
            )
        ]
    );
}

#[test]
fn rows_stream_in_order_and_bounded() {
    let mut list = "phone,n\n".to_owned();
    for n in 0..7_000 {
        writeln!(list, "20255501{:02},{n}", n % 100).unwrap();
    }
    let folder = Folder::text("{{ n }}");
    folder.file("list.csv", &list);
    let loaded = folder.load().0.unwrap();
    let mut rows = loaded
        .rows(
            &RunId::parse("test@once").unwrap(),
            loaded.open_list().unwrap(),
        )
        .unwrap();
    let mut next = 1;
    for chunk in rows.by_ref() {
        assert!(chunk.rows.len() <= 512);
        for row in chunk.rows {
            assert_eq!((row.number, row.line), (next, next + 1));
            assert_eq!(in_words(&row.verdict), (next - 1).to_string());
            next += 1;
        }
    }
    let facts = rows.finish();
    assert_eq!((facts.records, next), (7_000, 7_001));
    assert_eq!(
        facts.file.sha256,
        crate::domain::digest::Digest::of(list.as_bytes())
    );
}

#[test]
fn rows_can_be_driven_from_another_thread() {
    fn sendable<T: Send>(_: &T) {}
    let folder = Folder::text("Hi");
    let loaded = folder.load().0.unwrap();
    let input = ListInput::new("standard input", Box::new("phone\n2025550143\n".as_bytes()));
    let rows = loaded
        .rows(&RunId::parse("test@once").unwrap(), input)
        .unwrap();
    sendable(&rows);
    sendable(&loaded);
    assert_eq!(rows.map(|chunk| chunk.rows.len()).sum::<usize>(), 1);
}

#[test]
fn a_list_can_be_dropped_half_read() {
    let list = format!("phone\n{}", "2025550143\n".repeat(20_000));
    let folder = Folder::text("Hi");
    let loaded = folder.load().0.unwrap();
    let input = ListInput::new("standard input", Box::new(std::io::Cursor::new(list)));
    let mut rows = loaded
        .rows(&RunId::parse("test@once").unwrap(), input)
        .unwrap();
    assert_eq!(rows.next().unwrap().rows.len(), 512);
}
