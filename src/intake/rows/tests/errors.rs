//! What is said when something is wrong, word for word.

use super::*;

fn problems(folder: &Folder, list: &str) -> String {
    folder.run(list).problems.join("\n")
}

const PEOPLE: &str = "phone,first_name\n2025550143,Dana\n2025550144,Lee\n";

#[test]
fn an_unknown_name_is_shown_where_it_stands() {
    let folder = Folder::text(
        "Hi there,\nthis is {{ frist_name }} {{ vars.shop }} {{ row[\"Frist\"] }} {{ run.ID }}",
    );
    insta::assert_snapshot!("name_unknown", problems(&folder, PEOPLE));
    let folder = Folder::text("Hi {{ nick_name | default(value=\"you\") }}");
    insta::assert_snapshot!("name_default_only", problems(&folder, PEOPLE));
    let folder = Folder::text("Hi{% if nick is defined %} {{ nick }}{% endif %}");
    assert_eq!(problems(&folder, PEOPLE), "");
    let folder = Folder::text("Hi {{ first_name }}").top("vars: { first_name: Bob }");
    insta::assert_snapshot!("name_collision", problems(&folder, PEOPLE));
}

#[test]
fn a_broken_template_is_shown_where_it_breaks() {
    for (template, name) in [
        ("Hi {{ first_name", "unclosed"),
        (
            "Hi\n{{ first_name | slugfy }} {{ x | nosuchthing }}",
            "filter",
        ),
        (
            "{% include \"../x.txt\" %}{% include \"none.txt\" %}",
            "include",
        ),
        (
            "{% for a in x %}{% for b in a %}{% for c in b %}{% endfor %}{% endfor %}{% endfor %}",
            "loops",
        ),
        (
            "{% for a in range(end=1000) %}{% for b in range(end=1000) %}x{% endfor %}{% endfor %}",
            "rounds",
        ),
        (
            "{% for a in range(end=1000) %}a line that is seventy characters long, printed a thousand times in all\n{% endfor %}",
            "long",
        ),
        ("{{ __tera_context }}", "context"),
    ] {
        let folder = Folder::text(template);
        insta::assert_snapshot!(format!("template_{name}"), problems(&folder, PEOPLE));
    }
}

#[test]
fn where_and_when_are_expressions() {
    let folder = Folder::new("  - type: text\n    value: Hi\n    when: \"{{ first_name }}\"\n")
        .with("where: visits > 0 and");
    insta::assert_snapshot!("when_braces", problems(&folder, PEOPLE));
    let folder = Folder::text("Hi").with("where: visit > 0");
    insta::assert_snapshot!(
        "where_unknown",
        problems(&folder, "phone,visits\n2025550143,1\n")
    );
    let folder = Folder::text("Hi").with("where: visits == \"1\"");
    insta::assert_snapshot!(
        "where_quoted_number",
        problems(&folder, "phone,visits\n2025550143,1\n")
    );
}

#[test]
fn a_list_that_cannot_be_read_says_so() {
    let folder = Folder::text("Hi");
    for (list, name) in [
        ("", "empty"),
        ("phone,first_name\n", "no_rows"),
        ("phone,first_name\n2025550143\n2025550144,a,b\n", "ragged"),
        (
            "phone,first_name\n2025550143,\"Dana\n2025550144,Lee\n",
            "unclosed",
        ),
        ("phone,Phone\n1,2\n", "twice"),
        ("name,age\nDana,3\n", "no_phone"),
        ("PK\u{3}\u{4}xl/workbook.xml", "xlsx"),
    ] {
        insta::assert_snapshot!(format!("list_{name}"), problems(&folder, list));
    }
    let folder = Folder::text("Hi").with("columns: { phone: Moblie, key: CustomerID }");
    insta::assert_snapshot!(
        "columns_missing",
        problems(&folder, "Mobile,Name\n2025550143,x\n")
    );
    let folder = Folder::text("Hi").with("columns: { phone: phone }");
    let (loaded, _) = folder.load();
    let problem = loaded.unwrap().open_list().unwrap_err();
    insta::assert_snapshot!("list_missing", folder.lines(&problem).join("\n"));
}

#[test]
fn the_providers_rules_hold_for_every_row() {
    let cases = [
        (
            "  - type: text\n    value: a\n  - type: text\n    value: b\n",
            "adjacent",
        ),
        (
            "  - type: rich_link\n    url: example.com/{{ first_name }}\n",
            "url",
        ),
        (
            "  - type: media\n    file: images/{{ first_name | slugify }}.png\n",
            "no_image",
        ),
        (
            "  - type: media\n    file: \"{{ first_name }}/../../x.png\"\n",
            "outside",
        ),
        (
            "  - type: text\n    value: Hi\n    when: first_name == \"Dana\"\n",
            "no_parts",
        ),
        (
            "  - type: text\n    value: \"{% for n in range(end=900) %}{{ first_name }} is great {% endfor %}\"\n",
            "long",
        ),
    ];
    for (parts, name) in cases {
        insta::assert_snapshot!(
            format!("rule_{name}"),
            problems(&Folder::new(parts), PEOPLE)
        );
    }
}

#[test]
fn a_template_that_fails_for_all_rows_stops_the_run() {
    let folder = Folder::text("{{ first_name | int }}");
    insta::assert_snapshot!("template_all_rows", problems(&folder, PEOPLE));
}

#[test]
fn the_same_problem_is_told_a_few_times_only() {
    let list = format!("phone,first_name\n{}", "2025550143\n".repeat(5_000));
    insta::assert_snapshot!("list_repeated", problems(&Folder::text("Hi"), &list));
}

#[test]
fn a_list_full_of_problems_is_told_in_part_and_counted() {
    let mut list = "phone,first_name\n".to_owned();
    for n in 0..3_000 {
        writeln!(list, "2025550143,Dana{n}").unwrap();
    }
    let folder = Folder::new("  - type: rich_link\n    url: \"{{ first_name }}\"\n");
    let outcome = folder.run(&list);
    assert_eq!(outcome.problems.len(), crate::domain::problem::SHOWN + 1);
    let end = outcome.problems.last().unwrap();
    assert_eq!(
        end,
        "list.csv:1:1: 2950 more rows have problems of their own"
    );
}

#[test]
fn a_warning_does_not_stop_a_run_however_often_it_comes() {
    let row = "2025550143,Dana,Mars/Olympus\n";
    let list = format!("phone,first_name,tz\n{}", row.repeat(9_000));
    let folder = Folder::text("Hi").with("columns: { phone: phone, timezone: tz }");
    let outcome = folder.run(&list);
    assert_eq!(outcome.problems.len(), 1, "{:?}", outcome.problems);
    assert_eq!(outcome.rows.len(), 9_000);
}

#[test]
fn odd_cells_are_warned_about() {
    let list = b"phone,first_name,tz\n2025550143,Jos\xE9,Mars/Olympus\n";
    let folder =
        Folder::text("Hi {{ first_name }}").with("columns: { phone: phone, timezone: tz }");
    let outcome = folder.run(list);
    assert_eq!(in_words(&outcome.rows[0].verdict), "Hi José");
    insta::assert_snapshot!("odd_cells", outcome.problems.join("\n"));
    let folder = Folder::text("Hi").with("columns: { phone: phone, key: first_name }");
    insta::assert_snapshot!(
        "odd_key",
        problems(&folder, "phone,first_name\n2025550143,\"a\nb\"\n")
    );
}
