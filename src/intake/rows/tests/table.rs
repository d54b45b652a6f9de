//! Random tables in every dress: what was written is what is read.

use super::*;

#[derive(Debug, Clone, Copy)]
enum Dress {
    Utf8,
    Utf8Bom,
    Utf16Le,
    Utf16Be,
    Windows1252,
}

fn encode(text: &str, dress: Dress) -> Vec<u8> {
    let units =
        |marked: String, to: fn(u16) -> [u8; 2]| marked.encode_utf16().flat_map(to).collect();
    match dress {
        Dress::Utf8 => text.as_bytes().to_vec(),
        Dress::Utf8Bom => format!("\u{FEFF}{text}").into_bytes(),
        Dress::Utf16Le => units(format!("\u{FEFF}{text}"), u16::to_le_bytes),
        Dress::Utf16Be => units(format!("\u{FEFF}{text}"), u16::to_be_bytes),
        Dress::Windows1252 => encoding_rs::WINDOWS_1252.encode(text).0.into_owned(),
    }
}

fn write(
    table: &[Vec<String>],
    delimiter: u8,
    style: csv::QuoteStyle,
    end: csv::Terminator,
) -> String {
    let mut writer = csv::WriterBuilder::new()
        .delimiter(delimiter)
        .quote_style(style)
        .terminator(end)
        .from_writer(Vec::new());
    for row in table {
        writer.write_record(row).unwrap();
    }
    String::from_utf8(writer.into_inner().unwrap()).unwrap()
}

fn a_dress() -> impl Strategy<Value = Dress> {
    prop_oneof![
        Just(Dress::Utf8),
        Just(Dress::Utf8Bom),
        Just(Dress::Utf16Le),
        Just(Dress::Utf16Be),
        Just(Dress::Windows1252)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(
        cells in proptest::collection::vec(("[a-zéß ,;|\t\"'\n]{0,12}", "[a-z,;\"]{1,8}"), 1..30),
        delimiter in prop_oneof![Just(b','), Just(b';'), Just(b'\t'), Just(b'|')],
        always in any::<bool>(),
        crlf in any::<bool>(),
        dress in a_dress(),
    ) {
        let mut table = vec![vec!["phone".to_owned(), "note".to_owned(), "tag".to_owned()]];
        for (n, (note, tag)) in cells.iter().enumerate() {
            table.push(vec![format!("+120255501{n:02}"), note.clone(), tag.clone()]);
        }
        let style = if always { csv::QuoteStyle::Always } else { csv::QuoteStyle::Necessary };
        let end = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let text = write(&table, delimiter, style, end);
        let folder = Folder::text("<{{ note }}|{{ tag }}>").with("on_empty: allow");
        let outcome = folder.run(encode(&text, dress));
        let errors: Vec<_> = outcome.problems.iter().filter(|p| !p.contains("Windows-1252")).collect();
        prop_assert_eq!(errors, Vec::<&String>::new());
        prop_assert_eq!(outcome.rows.len(), cells.len());
        for (row, (note, tag)) in outcome.rows.iter().zip(&cells) {
            let note = if note.trim().is_empty() { "" } else { note };
            prop_assert_eq!(in_words(&row.verdict), format!("<{note}|{tag}>"));
        }
    }

    #[test]
    fn any_bytes_are_a_list_or_a_problem(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let outcome = Folder::text("Hi").run(&bytes);
        prop_assert!(!outcome.problems.is_empty() || outcome.records > 0);
    }

    #[test]
    fn any_text_is_a_template_or_a_problem(
        template in r#"([a-z ]|\{\{ (name|phone|other)( \| (upper|int|default\(value="x"\)|nope))? \}\}|\{% if name %\}|\{% else %\}|\{% endif %\}|[{}%"|]){0,12}"#,
    ) {
        let folder = Folder::text(&format!("x{template}"));
        let outcome = folder.run("phone,name\n2025550143,Dana\n2025550144,\n");
        // Each row has a verdict unless something is said.
        prop_assert!(outcome.rows.len() == 2 || !outcome.problems.is_empty());
    }

    #[test]
    fn no_message_goes_out_with_a_gap(
        names in proptest::collection::vec("[A-Z ]{0,3}", 1..12),
        guard in 0..3_usize,
    ) {
        let template = ["Hi {{ name }}!", "Hi {{ name | default(value=\"you\") }}!", "Hi {% if name %}{{ name }}{% else %}you{% endif %}!"][guard];
        let mut list = "phone,name\n".to_owned();
        for (n, name) in names.iter().enumerate() {
            writeln!(list, "20255501{n:02},{name}").unwrap();
        }
        let outcome = Folder::text(template).run(&list);
        for (row, name) in outcome.rows.iter().zip(&names) {
            match &row.verdict {
                Verdict::Send { .. } if name.trim().is_empty() => prop_assert_eq!(in_words(&row.verdict), "Hi you!"),
                Verdict::Send { .. } => prop_assert_eq!(in_words(&row.verdict), format!("Hi {name}!")),
                Verdict::Skip { reason, .. } => {
                    prop_assert_eq!(*reason, SkipReason::MissingValue);
                    prop_assert!(guard == 0 && name.trim().is_empty());
                }
            }
        }
    }
}
