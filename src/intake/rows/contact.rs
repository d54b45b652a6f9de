//! Who the person of a row is to a provider that writes to contacts: their name, as one line of
//! bounded length. Does not know whether the provider knows them already.

use super::super::template::render::Cells as _;
use super::cells::RowCells;
use super::desk::{At, Desk, Stop};
use super::list_place;
use crate::domain::campaign::OnEmpty;
use crate::domain::contact::{Contact, MAX_NAME_CHARS};

/// `None` where a number is enough.
pub(super) fn of(desk: &Desk, at: At, cells: &RowCells<'_>) -> Result<Option<Contact>, Stop> {
    if desk.kit.campaign.terms.channel.is_none() {
        return Ok(None);
    }
    let name = |column: Option<usize>| {
        let Some(column) = column else {
            return Ok(None);
        };
        let name = one_line(cells.cell(column));
        let chars = name.chars().count();
        if chars > MAX_NAME_CHARS {
            let header = desk.header.name(column);
            let words =
                format!("'{header}' has {chars} characters; a name has at most {MAX_NAME_CHARS}");
            let mut found = desk.found(at, &words, list_place(&desk.list, at.line));
            found.problem.help = Some("shorten it in the list".to_owned());
            return Err(Stop::Found(found));
        }
        Ok(Some(name).filter(|name| !name.is_empty()))
    };
    let roles = desk.roles;
    if let Some(first_name) = name(roles.first_name)? {
        return Ok(Some(Contact {
            first_name,
            last_name: name(roles.last_name)?,
        }));
    }
    let header = roles
        .first_name
        .map_or("first_name", |column| desk.header.name(column));
    let in_vain = match desk.kit.campaign.recipients.on_empty {
        OnEmpty::Allow => "; `on_empty: allow` cannot help with that",
        OnEmpty::Skip | OnEmpty::Error => "",
    };
    Err(desk.missing(
        at,
        format!("'{header}' is empty, and HueChat knows nobody without a first name{in_vain}"),
    ))
}

/// A name without line ends, other control characters, and needless space.
fn one_line(cell: &str) -> String {
    let words = cell.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_of_words() {
        assert_eq!(one_line(" Dana\n\tMarie \u{7}Ruiz "), "Dana Marie Ruiz");
        assert_eq!(one_line("\u{0} \r\n"), "");
    }
}
