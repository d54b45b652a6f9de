//! Cells of a row: how a record falls apart into them, what they count as in `where`, and how they
//! are kept out of messages about them.

use csv::StringRecord;
use tera::Value;

use super::super::template::render::Cells;

/// The cells of a record, as templates see them.
pub(super) struct RowCells<'a>(pub(super) &'a StringRecord);

impl Cells for RowCells<'_> {
    fn cell(&self, column: usize) -> &str {
        let text = self.0.get(column).unwrap_or_default();
        if text.trim().is_empty() { "" } else { text }
    }
}

/// The records of a piece of a list; each is checked for its number of cells by the caller.
pub(super) fn reader(text: &str, delimiter: u8) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(text.as_bytes())
}

/// The cells of one record.
pub(super) fn cells_of(record: &str, delimiter: u8) -> Vec<String> {
    let first = reader(record, delimiter)
        .into_records()
        .next()
        .and_then(Result::ok);
    first
        .map(|record| record.iter().map(str::to_owned).collect())
        .unwrap_or_default()
}

/// A cell as `where` sees it: plain numbers and true/false as such, all else as text. A number
/// with a leading zero, such as a postcode, is a text.
pub(super) fn typed(text: &str) -> Value {
    let cell = text.trim();
    if is_text(cell) {
        return Value::from(text);
    }
    if let Ok(whole) = cell.parse::<i64>() {
        return Value::from(whole);
    }
    match cell.parse::<f64>() {
        Ok(number) => Value::from(number),
        Err(_) => Value::from(cell.eq_ignore_ascii_case("true")),
    }
}

/// Neither a plain number (at most 15 digits, so that it is exact) nor true/false.
pub(super) fn is_text(cell: &str) -> bool {
    if cell.eq_ignore_ascii_case("true") || cell.eq_ignore_ascii_case("false") {
        return false;
    }
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let leading_zero = whole.len() > 1 && whole.starts_with('0');
    !(number(whole) && number(fraction) && !leading_zero && digits.len() <= 15)
}

/// A template engine's message without what a cell says: it may be about a person.
pub(super) fn redacted(message: &str, record: &StringRecord) -> String {
    let secret = |quoted: &str| {
        record
            .iter()
            .map(str::trim)
            .filter(|cell| !cell.is_empty())
            .any(|cell| quoted == cell || (cell.chars().count() > 2 && quoted.contains(cell)))
    };
    let pieces = message.split('\'').enumerate();
    let shown: Vec<&str> = pieces
        .map(|(n, piece)| {
            if n % 2 == 1 && secret(piece) {
                "…"
            } else {
                piece
            }
        })
        .collect();
    shown.join("'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_numbers_and_truths_compare_as_such() {
        for number in ["0", "3", "-2", "1.50", "0.5", "true", "FALSE"] {
            assert!(!is_text(number), "{number}");
        }
        for text in [
            "007",
            "1,000",
            "+1",
            "1e3",
            "",
            "yes",
            "4.",
            ".5",
            "1234567890123456",
        ] {
            assert!(is_text(text), "{text}");
        }
        assert_eq!(typed(" 3 "), Value::from(3));
        assert_eq!(typed("1.5"), Value::from(1.5));
        assert_eq!(typed("True"), Value::from(true));
        assert_eq!(typed("007"), Value::from("007"));
    }

    #[test]
    fn what_a_cell_says_is_not_repeated() {
        let record = StringRecord::from(vec!["Dana Roe", "x"]);
        assert_eq!(
            redacted("the string 'Dana Roe' is no int", &record),
            "the string '…' is no int"
        );
        assert_eq!(
            redacted("variable 'name' is not defined", &record),
            "variable 'name' is not defined"
        );
    }
}
