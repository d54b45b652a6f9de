//! Who a row is about, to a provider that writes to contacts alone. Does not know whether the
//! provider has met the person.

use super::super::template::render::Cells as _;
use super::cells::RowCells;
use super::desk::{At, Desk, Stop};
use super::list_place;
use crate::domain::contact::{Contact, MAX_NAME_CHARS};

impl Desk {
    /// The contact of a row; none where a number is enough.
    pub(super) fn contact(&self, at: At, cells: &RowCells<'_>) -> Result<Option<Contact>, Stop> {
        let (Some(_), Some(column)) = (self.roles.channel, self.roles.first_name) else {
            return Ok(None);
        };
        let first_name = self.name(at, cells, column)?.ok_or_else(|| {
            let column = self.header.name(column);
            self.indispensable(
                at,
                format!("'{column}', the first name that a contact needs, is empty"),
            )
        })?;
        let last_name = match self.roles.last_name {
            Some(column) => self.name(at, cells, column)?,
            None => None,
        };
        Ok(Some(Contact {
            first_name,
            last_name,
        }))
    }

    /// A name in one line.
    fn name(&self, at: At, cells: &RowCells<'_>, column: usize) -> Result<Option<String>, Stop> {
        let name = one_line(cells.cell(column));
        let chars = name.chars().count();
        if chars > MAX_NAME_CHARS {
            let column = self.header.name(column);
            let message = format!(
                "'{column}' has {chars} characters; a contact's name has at most {MAX_NAME_CHARS}"
            );
            let mut found = self.found(at, &message, list_place(&self.list, at.line));
            found.problem.help = Some("shorten it, or leave the row out with `where`".to_owned());
            return Err(Stop::Found(found));
        }
        Ok((!name.is_empty()).then_some(name))
    }
}

/// Line ends, tabs and other control characters make no name; what they part stays apart.
fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_control() || c.is_whitespace());
    words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line() {
        for (cell, name) in [
            ("Dana", "Dana"),
            (" Dana\tMaria\r\nRoe ", "Dana Maria Roe"),
            ("Da\u{7}na", "Da na"),
            ("\u{0}", ""),
        ] {
            assert_eq!(one_line(cell), name);
        }
    }
}
