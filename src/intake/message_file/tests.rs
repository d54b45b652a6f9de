use proptest::prelude::*;

use super::*;

fn read_text(text: &str) -> (Option<MessageFile>, Problems) {
    read_source(Source::new("m.yaml".to_owned(), text.to_owned()))
}

fn first_text(text: &str) -> Text {
    let (message, problems) = read_text(text);
    assert!(problems.is_empty(), "{problems:?}\n{text}");
    let PartBody::Text { value, .. } = message.unwrap().parts.remove(0).body else {
        panic!("the first part is a text");
    };
    value
}

#[test]
fn every_part_arrives_with_its_place() {
    let text = "\
parts:
  - type: media
    file: images/{{ technician | slugify }}.png
  - type: text
    when: visits > 1
    value: |-
      Hi {{ first_name }},
      thank you.
  - type: rich_link
    url: https://example.com/{{ place_id }}
    title: Leave a review
    summary: s
    image_url: https://example.com/i.png
    icon_url: https://example.com/c.png
  - { type: media, url: https://example.com/a.png }
";
    let (message, problems) = read_text(text);
    assert!(problems.is_empty(), "{problems:?}");
    let message = message.unwrap();
    assert_eq!((message.name.as_str(), message.text()), ("m.yaml", text));
    assert_eq!(message.file.role, "message");
    let lines: Vec<u32> = message.parts.iter().map(|part| part.place.line).collect();
    assert_eq!(lines, [2, 4, 9, 15]);
    let [media, body, link, url] = message.parts.as_slice() else {
        panic!("four parts");
    };
    assert!(matches!(&media.body, PartBody::Media { file } if file.value.starts_with("images/")));
    assert_eq!(body.when.as_ref().unwrap().value, "visits > 1");
    assert!(
        matches!(&body.body, PartBody::Text { value, .. } if value.value.ends_with("thank you."))
    );
    assert!(matches!(
        &link.body,
        PartBody::RichLink { title: Some(_), summary: Some(_), image_url: Some(_), icon_url: Some(_), url }
            if url.value.starts_with("https://")
    ));
    assert!(matches!(&url.body, PartBody::MediaUrl { .. }));
}

/// `(line, column)` of the character `@` in the file, and where the value's `@` is said to be.
fn found(file: &str) -> ((u32, u32), (u32, u32)) {
    let text = first_text(file);
    let at = |text: &str| {
        let before = text.split('@').next().unwrap();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
        (u32::try_from(line).unwrap(), u32::try_from(column).unwrap())
    };
    let (line, column) = at(&text.value);
    let place = text.locate(line, column);
    assert_eq!(place.file, "m.yaml");
    let shown = place
        .excerpt
        .unwrap()
        .chars()
        .nth(place.column as usize - 1);
    assert_eq!(shown, Some('@'), "{file}");
    (at(file), (place.line, place.column))
}

#[test]
fn a_position_in_a_text_is_found_in_the_file_however_it_is_written() {
    let values = [
        "Hi @ you",
        "\"Hi @ you\"",
        "'it''s @ you'",
        "\"a \\\" \\u00e9 \\U0001F600 \\uD83D\\uDE00 \\x41 \\t@\"",
        "plain over\n      two lines\n\n      and @ more",
        "\"quoted over\n      two \\\n      lines \\n\n\n      and @ more\"",
        "'single over\n      two lines\n\n\n      and é @ more'",
        "|-\n      one\n\n        two\n      @ three",
        "|\n\n      \n      é one @\n",
        "|2\n        @ two more",
        ">-\n      folded\n      over @ lines",
        ">\n      folded\n\n      par\n        more\n        indented @\n      less\n",
        ">-\n      a\n\n\n        b\n\n      c @",
        "|-   # a comment\n      one\n      漢字 @ x",
        "!!str x @y",
    ];
    for value in values {
        let file = format!("parts:\n  - type: text\n    value: {value}\n");
        let (there, said) = found(&file);
        assert_eq!(there, said, "{file}\n{value}");
        let windows = file.replace('\n', "\r\n");
        let (_, said) = found(&windows);
        assert_eq!(there, said, "CR LF\n{file}");
    }
}

#[test]
fn a_position_outside_the_text_is_taken_to_its_end() {
    let text = first_text(
        "parts:\n  - type: text\n    value: |-\n      one\n      two\n  - {type: media, url: u}\n",
    );
    let at = |line, column| {
        let place = text.locate(line, column);
        (place.line, place.column)
    };
    assert_eq!(at(1, 99), (4, 10));
    assert_eq!(at(2, 99), (5, 10));
    assert_eq!(at(0, 0), (4, 7));
    let place = text.place();
    assert_eq!((place.line, place.column, place.width), (4, 7, 3));
    let (line, column) = at(99, 99);
    assert!(line >= 5 && column >= 1);
}

/// Writes a text in double quotes, every odd character escaped.
fn double_quoted(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            '\n' => quoted += "\\n",
            c if c.is_control() || u32::from(c) > 0xffff => {
                let escape = format!("\\U{:08x}", u32::from(c));
                quoted.push_str(&escape);
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

proptest! {
    /// Whatever stands before it, the mark is found in each style that can hold the text.
    #[test]
    fn the_mark_is_found_in_any_text(
        before in "[a-zé漢😀'\"\\\\:#,{}\\[\\] ]{0,12}(\n[ a-zé'\"\\\\]{0,8}){0,4}",
        after in "[a-z' ]{0,8}(\n[a-z ]{0,6}){0,3}",
    ) {
        let text = format!("x{before}@{after}x");
        let quoted = double_quoted(&text);
        let block = |style: &str| {
            let lines: Vec<&str> = std::iter::once(style).chain(text.lines()).collect();
            lines.join("\n      ")
        };
        for value in [quoted, block("|-"), block(">-"), block("|+")] {
            let file = format!("parts:\n  - type: text\n    value: {value}\n");
            let (there, said) = found(&file);
            prop_assert_eq!(there, said, "{}", file);
        }
        let single = format!("'{}'", text.replace('\'', "''").replace('\n', "\n\n      "));
        let file = format!("parts:\n  - type: text\n    value: {single}\n");
        let (there, said) = found(&file);
        prop_assert_eq!(there, said, "{}", file);
    }

    #[test]
    fn any_place_in_any_text_can_be_asked_for(
        text in "[ -~\n]{0,80}", line in 0u32..9, column in 0u32..90,
    ) {
        let (message, _) = read_text(&format!("parts:\n  - type: text\n    value: {text}\n"));
        if let Some(message) = message
            && let Some(PartSource { body: PartBody::Text { value, .. }, .. }) = message.parts.first()
        {
            let place = value.locate(line, column);
            prop_assert!(place.line >= 1 && place.column >= 1);
        }
    }
}
