//! `sendoff preview`: what it shows is what a run would send, and nothing a list holds can break
//! out of its place.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::init::{project, sendoff};

const DOCS: &str = include_str!("../../docs/preview.md");
const PNG: &[u8] = include_bytes!("../../src/cli/init/hello.png");

/// A campaign in a folder of its own.
struct Shop {
    dir: tempfile::TempDir,
}

impl Shop {
    fn new(more: &str, parts: &str, list: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let shop = Self { dir };
        let campaign = format!(
            "name: shop\ngateway: chert\nfrom: [\"+15555550100\", \"+15555550101\"]\n\
             message: message.yaml\n{more}\n"
        );
        shop.file("shop.yaml", campaign);
        shop.file("message.yaml", format!("parts:\n{parts}"));
        shop.file("list.csv", list);
        shop
    }

    /// One text, and a list read as American numbers.
    fn text(value: &str, list: &str) -> Self {
        let parts = format!("  - type: text\n    value: \"{value}\"\n");
        Self::new("recipients: { csv: list.csv, region: US }", &parts, list)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.dir.path().join(name), content).unwrap();
    }

    fn json(&self, args: &[&str]) -> Value {
        json(self.dir.path(), "shop.yaml", args)
    }

    fn refused(&self, args: &[&str]) -> String {
        let mut command = sendoff(self.dir.path());
        let refused = command
            .args(["preview", "shop.yaml"])
            .args(args)
            .assert()
            .code(1);
        assert_eq!(refused.get_output().stdout, b"");
        String::from_utf8(refused.get_output().stderr.clone()).unwrap()
    }
}

fn shown(dir: &Path, campaign: &str, args: &[&str]) -> String {
    let mut command = sendoff(dir);
    let shown = command
        .args(["preview", campaign])
        .args(args)
        .assert()
        .success();
    String::from_utf8(shown.get_output().stdout.clone()).unwrap()
}

fn json(dir: &Path, campaign: &str, args: &[&str]) -> Value {
    let args = [&["--format", "json"], args].concat();
    serde_json::from_str(&shown(dir, campaign, &args)).unwrap()
}

#[test]
fn the_example_of_the_guide_is_what_a_new_project_shows() {
    let example = DOCS
        .split_once("```text\n")
        .unwrap()
        .1
        .split_once("```")
        .unwrap()
        .0;
    let dir = project();
    assert_eq!(shown(dir.path(), "campaigns/first.yaml", &[]), example);
}

#[test]
fn the_json_has_the_fields_of_the_guide_and_no_others() {
    let dir = project();
    let first = json(dir.path(), "campaigns/first.yaml", &[]);
    let skipped = json(dir.path(), "campaigns/first.yaml", &["--row", "3"]);
    let table = DOCS.split_once("| Field | Holds |\n|---|---|\n").unwrap().1;
    let named: Vec<&str> = table
        .lines()
        .take_while(|line| line.starts_with('|'))
        .flat_map(|line| line.split('|').nth(1).unwrap().split(','))
        .map(|field| field.trim().trim_matches('`'))
        .collect();
    let mut real: Vec<&str> = Vec::new();
    for preview in [&first, &skipped] {
        for field in preview.as_object().unwrap().keys() {
            if !real.contains(&field.as_str()) {
                real.push(field);
            }
        }
    }
    let sorted = |mut names: Vec<&'static str>| {
        names.sort_unstable();
        names
    };
    real.sort_unstable();
    assert_eq!(sorted(named), real);
}

#[test]
fn the_body_is_the_one_that_goes_on_the_wire() {
    let dir = project();
    let preview = json(
        dir.path(),
        "campaigns/first.yaml",
        &["--to", "202 555 0144"],
    );
    let digest = preview["parts"][0]["file"]["sha256"].as_str().unwrap();
    let key = preview["idempotency_key"].as_str().unwrap();
    assert_eq!(preview["request"]["method"], "POST");
    assert_eq!(preview["request"]["path"], "/chats");
    assert_eq!(
        preview["request"]["body"],
        format!(
            "{{\"from\":\"+15555550100\",\"to\":[\"+12025550144\"],\"message\":{{\"parts\":[\
             {{\"type\":\"media\",\"attachment_id\":\"{digest}\"}},\
             {{\"type\":\"text\",\"value\":\"Hi José, your order A-1042 is ready!\\nWe are open \
             until 6 today. See you soon at the Corner Bakery.\"}},\
             {{\"type\":\"rich_link\",\"url\":\"https://example.com/orders/a-1042\",\"title\":\
             \"Your order\",\"summary\":\"Where to find us, and what else is fresh today\"}}],\
             \"idempotency_key\":\"{key}\"}}}}"
        )
    );
    // printf 'first\nonce\n+12025550144\n0\n0' | sha256sum
    assert_eq!(key, "so1-792fd238e96bf81f0fb0026bf403690f2f086adb");
    assert_eq!(preview["run"], "first@once");
}

#[test]
fn a_row_that_is_left_out_says_why() {
    let list = "phone,name,keep\n202 555 0143,Dana,1\n12,Bo,1\n2025550144,,1\n2025550145,Mei,0\n\
                (202) 555-0143,Dana,1\n2025550146,Amara,1\n";
    let shop = Shop::new(
        "recipients: { csv: list.csv, region: US, where: keep == 1 }\nsuppress: [stop.csv]",
        "  - type: text\n    value: Hi {{ name }}\n",
        list,
    );
    shop.file("stop.csv", "phone\n+12025550146\n");
    let why = |row: &str| {
        let preview = shop.json(&["--row", row]);
        assert_eq!(preview["verdict"], "skip", "{row}");
        format!(
            "{}: {}",
            preview["reason"].as_str().unwrap(),
            preview["detail"].as_str().unwrap()
        )
    };
    assert_eq!(
        why("2"),
        "invalid_phone: 'phone': too few digits for a phone number"
    );
    assert_eq!(
        why("3"),
        "missing_value: 'name' is empty and the message prints it"
    );
    assert_eq!(why("4"), "filtered: `where` is not true for this row");
    assert_eq!(why("5"), "duplicate: row 1 is the same person");
    assert_eq!(
        why("6"),
        "suppressed: stands on a do-not-contact list of the campaign"
    );
    assert_eq!(shop.json(&[])["row"], 1);
    assert_eq!(shop.json(&["--to", "+12025550145"])["reason"], "filtered");
    let text = shown(shop.dir.path(), "shop.yaml", &["--row", "2"]);
    assert!(
        text.contains(
            "To nobody, row 2 (line 3 of list.csv)\n\nNo message: no usable phone number.\n"
        ),
        "{text}"
    );
}

#[test]
fn a_person_is_found_by_phone_or_key_like_in_a_run() {
    // Row 2 is row 1 by its key, so row 3 is the first with its phone; row 4 is row 3 by its key.
    let list = "phone,id\n2025550143,A\n2025550144,A\n2025550144,B\n2025550145,B\n2025550146,C\n";
    let shop = Shop::new(
        "recipients: { csv: list.csv, region: US, columns: { key: id } }",
        "  - type: text\n    value: Hi\n",
        list,
    );
    let duplicate = |row: &str| shop.json(&["--row", row])["detail"].clone();
    assert_eq!(duplicate("2"), "row 1 is the same person");
    assert_eq!(duplicate("3"), Value::Null);
    assert_eq!(duplicate("4"), "row 3 is the same person");
    assert_eq!(shop.json(&["--row", "5"])["recipient"]["key"], "C");
}

#[test]
fn the_first_row_that_is_sent_is_shown_and_lines_take_turns() {
    let shop = Shop::text(
        "Hi {{ name }}",
        "phone,name\n,A\n2025550143,\n2025550144,Bo\n2025550145,Di\n",
    );
    let first = shop.json(&[]);
    assert_eq!(
        (&first["row"], &first["line"]),
        (&3.into(), &"+15555550100".into())
    );
    assert_eq!(shop.json(&["--row", "4"])["line"], "+15555550101");
}

#[test]
fn a_file_that_an_earlier_row_named_is_shown_too() {
    let mut list = "phone,name\n".to_owned();
    for n in 0..1_200 {
        // Every row its own person.
        writeln!(list, "+1{}55501{:02},P{n}", 201 + n / 100, n % 100).unwrap();
    }
    let parts = "  - type: media\n    file: a.png\n  - type: text\n    value: Hi {{ name }}\n";
    let shop = Shop::new("recipients: { csv: list.csv, region: US }", parts, &list);
    shop.file("a.png", PNG);
    let late = shop.json(&["--row", "1150"]);
    assert_eq!(late["parts"][0]["file"]["bytes"], PNG.len());
    assert_eq!(late["parts"][1]["value"], "Hi P1149");
    assert_eq!(late["list_line"], 1151);
}

#[test]
fn a_row_or_phone_that_is_not_there_is_named() {
    let shop = Shop::text(
        "Hi {{ name }}",
        "phone,name\n2025550143,Dana\n2025550144,\n",
    );
    let said = shop.refused(&["--row", "99"]);
    assert!(
        said.contains("error: row 99: the list has 2 rows"),
        "{said}"
    );
    let said = shop.refused(&["--to", "202-555-0199"]);
    assert!(
        said.contains("+1202•••0199 is not in the list of 2 rows"),
        "{said}"
    );
    let said = shop.refused(&["--to", "call me"]);
    assert!(said.contains("--to: this is not a phone number"), "{said}");
    let mut command = sendoff(shop.dir.path());
    command
        .args(["preview", "shop.yaml", "--row", "0"])
        .assert()
        .code(2);

    shop.file("list.csv", "phone,name\n2025550143,\n12,Bo\n");
    let said = shop.refused(&[]);
    assert!(
        said.contains("no row of the list would be sent: 1 × no usable phone number, 1 × a value the message needs is empty"),
        "{said}"
    );
}

#[test]
fn a_problem_of_another_row_is_told_and_hides_nothing() {
    let shop = Shop::text(
        "Hi {{ name }}",
        "phone,name\n2025550143,Dana\n2025550144,Bo,extra\n",
    );
    let mut command = sendoff(shop.dir.path());
    let shown = command.args(["preview", "shop.yaml"]).assert().success();
    let out = shown.get_output();
    assert!(String::from_utf8_lossy(&out.stdout).contains("│ Hi Dana │"));
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(
        said.contains("this row has 3 cells, the header has 2"),
        "{said}"
    );
    assert!(
        said.contains("No run starts before this is mended"),
        "{said}"
    );
    let said = shop.refused(&["--row", "2"]);
    assert!(
        said.contains("row 2 makes no message: something is wrong with it"),
        "{said}"
    );
}

#[test]
fn a_list_on_standard_input_is_read_like_any_other() {
    let shop = Shop::new(
        "recipients: { csv: \"-\", region: US }",
        "  - type: text\n    value: Hi {{ name }}\n",
        "",
    );
    let mut command = sendoff(shop.dir.path());
    command.args(["preview", "shop.yaml", "--row", "3", "--format", "json"]);
    command.write_stdin("phone,name\n2025550143,Dana\n2025550144,Bo\n2025550143,Di\n");
    let shown = command.assert().success();
    let preview: Value = serde_json::from_slice(&shown.get_output().stdout).unwrap();
    assert_eq!(preview["detail"], "row 1 is the same person");
    assert_eq!(preview["list"], "standard input");
}

#[test]
fn the_run_is_the_next_one_of_the_schedule() {
    let shop = Shop::new(
        "recipients: { csv: list.csv, region: US }\n\
         schedule: { cron: \"0 21 * * *\", timezone: America/Chicago }",
        "  - type: text\n    value: Hi in {{ run.id }}\n",
        "phone\n2025550143\n",
    );
    let preview = shop.json(&[]);
    let run = preview["run"].as_str().unwrap();
    assert!(
        run.starts_with("shop@20") && run.contains("T21:00-0"),
        "{run}"
    );
    assert_eq!(preview["parts"][0]["value"], format!("Hi in {run}"));
    assert!(
        preview["starts"]
            .as_str()
            .unwrap()
            .contains("21:00 in Chicago")
    );
}

#[test]
fn an_address_in_a_first_text_is_warned_of() {
    let shop = Shop::text("Hi, see example.com", "phone\n2025550143\n");
    let preview = shop.json(&[]);
    let warning = preview["warnings"][0].as_str().unwrap();
    assert!(
        warning.starts_with("Part 1 is refused: a first message must not have a web address"),
        "{warning}"
    );
}

#[test]
fn the_page_loads_nothing_and_shows_what_lists_hold_as_text() {
    let list = "phone,name,ID\n2025550143,\"<script>alert(1)</script>\"\"'&\",\"<i>\"\n";
    let parts = "  - type: media\n    file: a.png\n\
                 \x20 - type: text\n    value: Hi {{ name }}\n\
                 \x20 - type: rich_link\n    url: https://example.com/?q={{ name | urlencode }}&x=\"><b>\n    title: \"{{ name }}\"\n    summary: \"{{ name }}\"\n    image_url: https://example.com/i.png\n";
    let shop = Shop::new(
        "recipients: { csv: list.csv, region: US, columns: { key: ID } }",
        parts,
        list,
    );
    shop.file("a.png", PNG);
    let page = shown(shop.dir.path(), "shop.yaml", &["--format", "html"]);
    assert!(
        page.contains("content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\"")
    );
    assert!(page.contains("src=\"data:image/png;base64,iVBORw0KGgo"));
    assert!(page.contains("Hi &lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;"));
    for bad in [
        "<script",
        "<b>\"",
        "<i>",
        "src=\"http",
        "url(",
        "@import",
        "<link",
        "<iframe",
    ] {
        assert!(!page.contains(bad), "{bad}");
    }
    // Only the card leads anywhere, and only when it is clicked.
    assert_eq!(page.matches("href=").count(), 1);
    assert!(page.ends_with("</html>\n"));
}

#[test]
fn a_page_is_written_to_a_file() {
    let dir = project();
    let mut command = sendoff(dir.path());
    command.args([
        "preview",
        "campaigns/first.yaml",
        "--row",
        "5",
        "--format",
        "html",
    ]);
    let written = command.args(["-o", "out.html"]).assert().success();
    assert_eq!(written.get_output().stdout, b"");
    let page = fs::read_to_string(dir.path().join("out.html")).unwrap();
    assert!(page.contains("No message: a value the message needs is empty."));
    let mut command = sendoff(dir.path());
    command.args([
        "preview",
        "campaigns/first.yaml",
        "-o",
        "no/such/folder.txt",
    ]);
    let refused = command.assert().code(1);
    let said = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
    assert!(said.contains("cannot write 'no/such/folder.txt'"), "{said}");
}

#[test]
fn a_preview_needs_no_settings_and_leaves_nothing_behind() {
    let shop = Shop::text("Hi", "phone\n2025550143\n");
    shop.json(&[]);
    let mut left: Vec<_> = fs::read_dir(shop.dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["list.csv", "message.yaml", "shop.yaml"]);
}
