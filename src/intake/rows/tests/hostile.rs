//! Templates and lists that would take all time or all memory, one for each way that was found.

use super::*;

const PEOPLE: &str = "phone,first_name\n2025550143,Dana\n2025550144,Lee\n";

/// The message of every problem, without the row.
fn said(folder: &Folder, list: &str) -> String {
    let problems = folder.run(list).problems.join("\n");
    assert!(!problems.is_empty());
    problems
}

fn assert_refused(template: &str, why: &str) {
    let said = said(&Folder::text(template), PEOPLE);
    assert!(said.contains(why), "{template}\n{said}");
}

const TOO_LARGE: &str = "puts together more than 64 KiB";
const TOO_MANY: &str = "go round more than 20,000 times";

#[test]
fn a_value_that_doubles_is_stopped_wherever_it_does() {
    let set = "{% set x = \"0123456789\" %}";
    for doubling in [
        "{% set x = x ~ x %}".repeat(40),
        "{%- for n in range(end=40) -%} {%- set_global x = x ~ x -%} {%- endfor -%}".to_owned(),
        "{% set x %}{{ x }}{{ x }}{% endset %}".repeat(40),
        "{% set x %}{% filter upper %}{{ x }}{{ x }}{% endfilter %}{% endset %}".repeat(40),
        "{% set x = x | replace(from=\"0\", to=x) ~ x %}".repeat(40),
        "{% set x = [x, x] | join(sep=x) %}".repeat(40),
        "{% set x = [x, x] %}".repeat(40),
        "{% set x = [x] %}".repeat(3_000),
        "{% set x = \"1\\n2\" %}{% set x = x | indent(width=1000) ~ x %}".to_owned()
            + &"{% set x = x ~ x | indent(width=1000) %}".repeat(40),
    ] {
        assert_refused(&format!("{set}{doubling}done"), TOO_LARGE);
    }
}

#[test]
fn text_that_is_captured_and_not_printed_is_counted() {
    let line = "0123456789".repeat(500);
    let loops = "{% for a in range(end=1000) %}{% for b in range(end=1000) %}";
    let ends = "{% endfor %}{% endfor %}";
    assert_refused(
        &format!("{{% set x %}}{loops}{line}{ends}{{% endset %}}done"),
        TOO_LARGE,
    );
    assert_refused(
        &format!(
            "{{% set y = \"{line}\" %}}{{% set x %}}{loops}{{{{ y }}}}{ends}{{% endset %}}done"
        ),
        "more than 64 KiB",
    );
}

#[test]
fn loops_are_counted_through_every_file() {
    let loops = "{% for a in range(end=1000) %}{% for b in range(end=1000) %}";
    let ends = "{% endfor %}{% endfor %}";
    assert_refused(&format!("{loops}{ends}done"), TOO_MANY);
    let folder = Folder::text("{% include \"a.txt\" %}done");
    folder.file("a.txt", format!("{loops}{{% include \"b.txt\" %}}{ends}"));
    folder.file("b.txt", format!("{loops}{{% include \"c.txt\" %}}{ends}"));
    folder.file("c.txt", "");
    assert!(said(&folder, PEOPLE).contains(TOO_MANY));
    let cell = "0123456789".repeat(1_000);
    let folder = Folder::text("{% for a in note %}{% for b in note %}{% endfor %}{% endfor %}done");
    assert!(said(&folder, &format!("phone,note\n2025550143,{cell}\n")).contains(TOO_MANY));
    let folder = Folder::text("{% for a in note %}{% endfor %}{{ [a for a in note] }}");
    assert!(said(&folder, PEOPLE).contains("a list cannot be made with `for`"));
}

#[test]
fn components_that_call_each_other_without_end_are_stopped() {
    let folder = Folder::text("{{ <A n=\"x\" /> }}done");
    folder.file(
        "a.tera",
        "{% component A(n) %}{% if n | length < 18 %}{{ <A n={n ~ \"x\"} /> }}{{ <A n={n ~ \"x\"} /> }}{% endif %}{% endcomponent A %}",
    );
    assert!(said(&folder, PEOPLE).contains(TOO_MANY));
    folder.file(
        "a.tera",
        "{% component A(n) %}{% if n | length < 9999999 %}{{ <A n={n ~ n ~ n ~ n} /> }}{% endif %}{% endcomponent A %}",
    );
    assert!(said(&folder, PEOPLE).contains(TOO_LARGE));
}

#[test]
fn files_inside_files_have_an_end() {
    let folder = Folder::text("{% include \"0.txt\" %}done");
    let chain = |length: usize| {
        for n in 0..length {
            let next = format!("{{%- include \"{}.txt\" -%}}", n + 1);
            folder.file(&format!("{n}.txt"), next.repeat(2));
        }
        folder.file(&format!("{length}.txt"), "");
    };
    chain(7);
    assert_eq!(folder.run(PEOPLE).problems, Vec::<String>::new());
    assert_eq!(folder.texts(PEOPLE), ["done", "done"]);
    chain(8);
    assert!(said(&folder, PEOPLE).contains("go more than 8 deep"));
    chain(200);
    assert!(said(&folder, PEOPLE).contains("made of more than 64 files"));
}

#[test]
fn what_a_message_is_made_of_is_bounded() {
    let long = "x".repeat(70_000);
    assert_refused(&long, "the text has 70000 characters");
    assert_refused(
        &format!("{{# {long} #}}x"),
        "the template is longer than 64 KiB",
    );
    let folder = Folder::text("{{ note ~ note ~ note | length }}");
    let list = format!("phone,note\n2025550143,{long}\n");
    assert!(
        said(&folder, &list).contains("the cells that the template uses hold more than 64 KiB")
    );
    let folder = Folder::text("x").with("where: note == \"a\"");
    assert!(folder.texts(&list)[0].contains("the cells that the template uses"));
}

#[test]
fn a_fault_stands_where_the_user_wrote_it() {
    let tags = "{% set a = 1 %}{% for n in [1] %}{% set b = 2 %}{{ n }}{% endfor %} ";
    for (fault, at, why) in [
        (
            "{{ 1 ~ a | nosuch }}",
            "nosuch",
            "there is no filter 'nosuch'",
        ),
        ("{{ a.b.c }}", "b.c", "field 'b' is not defined"),
        (
            "{% set_global b = x ~ a %}{{ nope }}",
            "x ~",
            "there is no column or variable 'x'",
        ),
    ] {
        for before in ["", "{%- set c = 1 -%} \n"] {
            let template = format!("{before}{tags}{fault}");
            let line = template.lines().last().unwrap();
            let place = (4 + before.lines().count(), 7 + line.find(at).unwrap());
            let said = said(&Folder::text(&template), PEOPLE);
            let expected = format!("message.yaml:{}:{}: ", place.0, place.1);
            assert!(
                said.contains(&expected) && said.contains(why),
                "{template}\n{said}"
            );
        }
    }
}

#[test]
fn a_template_says_the_same_with_all_that_is_counted() {
    let template = "{%- set a = \"x\" -%}  {% for n in [1, 2] -%}\n  {% set a = n %}{{ a }},{%- endfor %}{{ a }}\n{% set_global b %} c {% endset %}[{{ b }}]{% set d = first_name | default(value=\"\") %}{{ d }}";
    let folder = Folder::text(template);
    assert_eq!(
        folder.texts("phone,first_name\n2025550143,Dana\n2025550144,\n"),
        ["1,2,x\n[ c ]Dana", "1,2,x\n[ c ]"]
    );
}

#[test]
fn a_row_of_empty_cells_is_not_rendered_once_for_each() {
    let columns: String = (0..3_000).fold(String::new(), |all, n| format!("{all},c{n}"));
    let list = format!("phone{columns}\n2025550143{}\n", ",".repeat(3_000));
    let folder =
        Folder::text("{% for k, v in row %}{% if v %}{{ v }}{% endif %}{% endfor %}{{ c2999 }}");
    let texts = folder.texts(&list);
    assert_eq!(
        texts,
        ["missing_value: 'c2999' is empty and the message prints it"]
    );
}

#[test]
fn a_header_of_one_name_again_and_again_is_told_in_short() {
    let list = format!("phone{}\n", ",a".repeat(400_000));
    let outcome = Folder::text("Hi").run(list);
    assert!(outcome.problems.iter().all(|problem| problem.len() < 2_000));
}

#[test]
fn a_quote_is_no_delimiter() {
    let outcome = Folder::text("Hi").run("sep=\"\nphone\"name\n2025550143\"x\n");
    assert!(!outcome.problems.is_empty());
}

/// Where the caller has little room, as here and on some systems the main thread.
#[test]
fn expressions_as_deep_as_they_may_be_need_no_stack_of_the_caller() {
    let little = std::thread::Builder::new().stack_size(512 * 1024);
    let caller = little.spawn(|| {
        for link in [".inf", "[0]", " | upper"] {
            let folder = Folder::text(&format!("{{{{ first_name{} }}}}", link.repeat(254)));
            folder.file("list.csv", PEOPLE);
            drop(folder.load());
        }
    });
    caller.unwrap().join().unwrap();
}

#[test]
fn a_loop_over_a_row_goes_as_the_list_does() {
    let columns: Vec<String> = (0..40).map(|n| format!("c{}", n * 7 % 40)).collect();
    let list = format!(
        "phone,{}\n2025550143{}\n",
        columns.join(","),
        ",x".repeat(40)
    );
    let folder = Folder::text("{% for k, v in row %}{{ k }},{% endfor %}{{ c1 }}");
    for _ in 0..3 {
        assert_eq!(
            folder.texts(&list),
            [format!("phone,{},x", columns.join(","))]
        );
    }
}
