//! JSON laid out for reading, fields in their own order. Changes nothing but the white space
//! between tokens; does not check that the text is JSON.

/// `json` over several lines, two spaces a level.
pub(super) fn indent(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let mut tokens = json.chars().peekable();
    while let Some(c) = tokens.next() {
        match c {
            '"' => {
                out.push(c);
                string(&mut tokens, &mut out);
            }
            '{' | '[' => {
                out.push(c);
                if tokens.peek().is_some_and(|next| matches!(next, '}' | ']')) {
                    out.extend(tokens.next());
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

/// Copies a string whose opening quote has been written.
fn string(tokens: &mut impl Iterator<Item = char>, out: &mut String) {
    let mut escaped = false;
    for c in tokens {
        out.push(c);
        match c {
            '"' if !escaped => return,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_keep_their_order() {
        assert_eq!(
            indent(r#"{"b":["+1"],"a":{},"c":"x\"{,\\"}"#),
            "{\n  \"b\": [\n    \"+1\"\n  ],\n  \"a\": {},\n  \"c\": \"x\\\"{,\\\\\"\n}"
        );
    }

    proptest! {
        #[test]
        fn nothing_but_white_space_changes(key in "\\PC{0,8}", value in "[\\PC\n\"\\\\]{0,20}", n: i32) {
            let json = serde_json::json!({ key: [value, n, null, {}, [[]]], "z": true });
            let read: serde_json::Value = serde_json::from_str(&indent(&json.to_string())).unwrap();
            prop_assert_eq!(read, json);
        }
    }
}
