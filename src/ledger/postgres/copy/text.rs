//! Rows as `COPY` takes them. Which rows is not known here.

use std::fmt::Write as _;

use super::super::super::copy::catalogue::Kind;
use super::super::super::copy::{Row, Table, Value};

/// Rows in the text format of `COPY`:
/// <https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.2>
pub(super) fn as_text(table: &Table, rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let columns = table.columns.iter().zip(&row.0).take(table.shared);
        for (at, (column, value)) in columns.enumerate() {
            if at > 0 {
                text.push('\t');
            }
            match (column.kind, value) {
                (_, Value::Null) | (Kind::OrZero, Value::Integer(0)) => text.push_str("\\N"),
                (_, Value::Integer(number)) => {
                    write!(text, "{number}").ok();
                }
                (_, Value::Text(value)) => escape(&mut text, value),
                (_, Value::Bytes(bytes)) => {
                    text.push_str("\\\\x");
                    for byte in bytes {
                        write!(text, "{byte:02x}").ok();
                    }
                }
            }
        }
        text.push('\n');
    }
    text
}

fn escape(text: &mut String, value: &str) {
    for letter in value.chars() {
        match letter {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::super::copy::Name;
    use super::*;

    #[test]
    fn a_row_is_written_so_that_no_value_ends_it() {
        let row = Row(vec![
            Value::Text("ab".into()),
            Value::Text("a\\b\tc\nd\re \\N".into()),
            Value::Null,
            Value::Bytes(vec![0, 9, 10, 92, 255]),
            Value::Integer(-7),
        ]);
        let text = as_text(Name::Media.table(), &[row]);
        assert_eq!(
            text,
            "ab\ta\\\\b\\tc\\nd\\re \\\\N\t\\N\t\\\\x00090a5cff\t-7\n"
        );
    }
}
