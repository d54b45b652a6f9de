use super::*;

fn place(line: u32, column: u32, width: u32, excerpt: Option<&str>) -> Place {
    Place {
        file: "campaigns/x.yaml".to_owned(),
        line,
        column,
        width,
        excerpt: excerpt.map(str::to_owned),
    }
}

fn show(problems: &[Problem]) -> String {
    let mut all = Problems::default();
    for problem in problems {
        all.push(problem.clone());
    }
    render(&all, Paint::Plain, 80)
}

#[test]
fn a_report_has_place_caret_label_and_remedy() {
    let problem = Problem::error("a campaign has no field 'recipents'")
        .at(place(4, 1, 9, Some("recipents:")))
        .label("unknown field")
        .help("did you mean `recipients`?");
    insta::assert_snapshot!(show(&[problem]));
}

#[test]
fn errors_come_first_in_the_order_of_the_file_then_warnings() {
    let at = |line| place(line, 1, 1, Some("x: 1"));
    let text = show(&[
        Problem::warning("w").at(at(1)),
        Problem::error("b").at(at(9)),
        Problem::error("a").at(at(2)),
        Problem::error("nowhere"),
    ]);
    let order: Vec<usize> = ["nowhere", "× a", "× b", "⚠ w"]
        .iter()
        .map(|message| text.find(message).unwrap())
        .collect();
    assert!(order.is_sorted(), "{text}");
    assert!(text.ends_with("3 problems and 1 warning; nothing was sent\n"));
}

#[test]
fn the_caret_stands_below_the_place_behind_tabs_and_wide_characters() {
    insta::assert_snapshot!(show(&[
        Problem::error("tabs").at(place(1, 4, 4, Some("\ta\tfour x"))),
        Problem::error("wide").at(place(2, 5, 6, Some("姓名: \"漢字漢字\" x"))),
        Problem::error("at the end").at(place(3, 6, 0, Some("name:"))),
        Problem::error("below nothing").at(place(4, 1, 0, Some(""))),
        Problem::error("hidden").at(place(5, 9, 3, None)),
    ]));
}

#[test]
fn a_very_long_line_is_cut_around_the_place() {
    let line = format!(
        "vars: {{ {} needle {} }}",
        "x".repeat(5_000),
        "y".repeat(5_000)
    );
    let column = u32::try_from(line.find("needle").unwrap() + 1).unwrap();
    let text = show(&[Problem::error("found").at(place(1, column, 6, Some(&line)))]);
    assert!(text.contains(&format!("campaigns/x.yaml:1:{column}")));
    assert!(
        text.lines().all(|line| line.chars().count() <= 82),
        "{text}"
    );
    let lines: Vec<&str> = text.lines().collect();
    let shown = lines
        .iter()
        .position(|line| line.contains("needle"))
        .unwrap();
    let before = |line: &str, word| line.split(word).next().unwrap().chars().count();
    assert_eq!(
        before(lines[shown], "needle"),
        before(lines[shown + 1], "^^^^^^")
    );
}

#[test]
fn a_file_cannot_move_the_cursor_or_turn_the_text_round() {
    let text = show(&[Problem::error("bad \u{1b}[31m\u{202e}")
        .at(place(1, 1, 1, Some("\u{1b}[2Jx\u{7}")))
        .label("\r")
        .help("\u{8}")]);
    assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{7}', '\r', '\u{8}']));
}

#[test]
fn colours_only_when_asked_for() {
    let problems = Problems::from(Problem::error("x").at(place(1, 1, 1, Some("x"))));
    assert!(!render(&problems, Paint::Plain, 80).contains('\u{1b}'));
    assert!(render(&problems, Paint::Colors, 80).contains('\u{1b}'));
}
