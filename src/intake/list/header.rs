//! The header of a list: which column holds what, and under which names a template reaches it.

use std::collections::BTreeMap;

use crate::domain::campaign::Columns;
use crate::domain::channel::Channel;
use crate::domain::email::Email;
use crate::domain::phone::{HomeRegion, Phone};
use crate::domain::problem::{Place, Problem, Problems, nearest};

/// Headers under which a phone column is found when the campaign names none, normalised.
const PHONE_HEADERS: [&str; 18] = [
    "phone",
    "phonenumber",
    "phoneno",
    "mobile",
    "mobilephone",
    "mobilenumber",
    "mobileno",
    "cell",
    "cellphone",
    "cellnumber",
    "tel",
    "telephone",
    "telephonenumber",
    "telefon",
    "telefono",
    "whatsapp",
    "msisdn",
    "handy",
];

/// The same for a column of e-mail addresses.
const EMAIL_HEADERS: [&str; 6] = [
    "email",
    "emailaddress",
    "mail",
    "mailaddress",
    "correo",
    "courriel",
];

/// The first row of a list.
#[derive(Debug, Clone)]
pub struct Header {
    names: Vec<String>,
    normal: Vec<String>,
    snake: Vec<String>,
}

/// Which column is which, by position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// Where the message goes: a phone number, or an e-mail address over that channel.
    pub address: usize,
    /// Whether that is an e-mail address.
    pub is_mail: bool,
    /// Of people who are written to by e-mail; else it is the address.
    pub phone: Option<usize>,
    pub key: Option<usize>,
    pub timezone: Option<usize>,
    pub first_name: Option<usize>,
    pub last_name: Option<usize>,
    pub email: Option<usize>,
}

/// Without regard to case, space, underscore and hyphen.
pub fn normalise(name: &str) -> String {
    name.chars()
        .filter(|c| !c.is_whitespace() && *c != '_' && *c != '-')
        .flat_map(char::to_lowercase)
        .collect()
}

/// `First Name` → `first_name`, `CustomerID` → `customer_id`, `2nd visit` → `_2nd_visit`: a word
/// ends at anything but a letter or digit, before a capital after a small letter or digit, and
/// before the last capital of several when a small letter follows.
pub fn snake_case(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut out = String::with_capacity(name.len() + 4);
    let mut gap = false;
    for (at, letter) in letters.iter().enumerate() {
        if !letter.is_alphanumeric() {
            gap = !out.is_empty();
            continue;
        }
        let before = at.checked_sub(1).and_then(|at| letters.get(at));
        let after = letters.get(at + 1);
        let starts_word = letter.is_uppercase()
            && before.is_some_and(|b| {
                b.is_lowercase()
                    || b.is_numeric()
                    || (b.is_uppercase() && after.is_some_and(|a| a.is_lowercase()))
            });
        let first = out.is_empty();
        if gap || (starts_word && !first) || (first && letter.is_numeric()) {
            out.push('_');
        }
        gap = false;
        out.extend(letter.to_lowercase());
    }
    out
}

/// What the addresses of a list are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Phone,
    Mail,
}

impl Header {
    /// Reads the first row; `place` is where it stands. Two columns of one name are an error.
    pub fn new(cells: Vec<String>, place: &Place) -> (Self, Problems) {
        let names: Vec<String> = cells
            .into_iter()
            .map(|cell| cell.trim().to_owned())
            .collect();
        let header = Self {
            normal: names.iter().map(|name| normalise(name)).collect(),
            snake: names.iter().map(|name| snake_case(name)).collect(),
            names,
        };
        let mut problems = Problems::default();
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        for (normal, name) in header.normal.iter().zip(&header.names) {
            if normal.is_empty() {
                continue;
            }
            if let Some(first) = seen.insert(normal, name) {
                let message = if first == name {
                    format!("the column '{name}' is there twice")
                } else {
                    format!("the columns '{first}' and '{name}' have the same name")
                };
                problems.push(Problem::error(message).at(place.clone()).help(
                    "case, spaces, underscores and hyphens do not count; rename one of them",
                ));
            }
        }
        (header, problems)
    }

    pub fn len(&self) -> usize {
        self.names.len()
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// As it stands in the list, without space around it.
    pub fn name(&self, column: usize) -> &str {
        self.names.get(column).map_or("", String::as_str)
    }

    /// The columns that have a name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names
            .iter()
            .map(String::as_str)
            .filter(|name| !name.is_empty())
    }

    /// The names under which a template reaches the columns.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.snake
            .iter()
            .map(String::as_str)
            .filter(|name| !name.is_empty())
    }

    /// The column of exactly this header, as `row["…"]` asks for it.
    pub fn exact(&self, name: &str) -> Option<usize> {
        self.names
            .iter()
            .position(|known| known == name.trim() && !known.is_empty())
    }

    /// The column of this header, without regard to case, space, underscore and hyphen.
    pub fn find(&self, name: &str) -> Option<usize> {
        let normal = normalise(name);
        self.normal
            .iter()
            .position(|known| *known == normal && !known.is_empty())
    }

    /// The column that a variable of a template means: the one whose `snake_case` it is, else the
    /// one that matches without regard to underscores.
    pub fn variable(&self, name: &str) -> Option<usize> {
        self.snake
            .iter()
            .position(|known| known == name)
            .or_else(|| self.find(name))
    }

    /// Finds the columns that the campaign names. `places` says where it names them; where it
    /// does not, the problem stands at the header. The channel says what an address is, and
    /// whether people need a first name.
    pub fn roles(
        &self,
        columns: &Columns,
        channel: Option<Channel>,
        places: &BTreeMap<String, Place>,
        header: &Place,
    ) -> Result<Roles, Problems> {
        let mut problems = Problems::default();
        let mut named = |role: &str, name: Option<&String>| {
            let name = name?;
            let found = self.find(name);
            if found.is_none() {
                let place = places.get(role).unwrap_or(header);
                problems.push(self.missing(name).at(place.clone()));
            }
            found
        };
        let is_mail = channel.is_some_and(Channel::is_mail);
        let phone = named("phone", columns.phone.as_ref());
        let email = named("email", columns.email.as_ref());
        let (named_address, found) = if is_mail {
            (columns.email.is_some(), email)
        } else {
            (columns.phone.is_some(), phone)
        };
        let roles = Roles {
            address: found.unwrap_or(0),
            is_mail,
            phone: phone.or_else(|| self.find("phone")).filter(|_| is_mail),
            key: named("key", columns.key.as_ref()),
            timezone: named("timezone", columns.timezone.as_ref()),
            first_name: named("first_name", columns.first_name.as_ref())
                .or_else(|| self.find("first_name")),
            last_name: named("last_name", columns.last_name.as_ref())
                .or_else(|| self.find("last_name")),
            email: email.or_else(|| self.find("email")),
        };
        if channel.is_some() && roles.first_name.is_none() && columns.first_name.is_none() {
            problems.push(self.nameless().at(header.clone()));
        }
        let address = if named_address {
            Ok(roles.address)
        } else {
            self.usual(if is_mail { Kind::Mail } else { Kind::Phone })
        };
        match address {
            Ok(address) if problems.is_empty() => Ok(Roles { address, ..roles }),
            Ok(_) => Err(problems),
            Err(problem) => {
                problems.push(problem.at(header.clone()));
                Err(problems)
            }
        }
    }

    /// That nobody in the list has a name.
    fn nameless(&self) -> Problem {
        Problem::error(
            "the list has no column of first names, and HueChat knows nobody without one",
        )
        .help(format!(
            "name it in the campaign, `columns: {{ first_name: … }}`; {}",
            self.in_words()
        ))
    }

    fn missing(&self, name: &str) -> Problem {
        let normals: Vec<String> = self.names().map(normalise).collect();
        let wanted = normalise(name);
        let near = nearest(&wanted, normals.iter().map(String::as_str))
            .and_then(|near| self.find(near))
            .map(|column| format!("did you mean '{}'? ", self.name(column)));
        Problem::error(format!("the list has no column '{name}'"))
            .label("no such column")
            .help(format!("{}{}", near.unwrap_or_default(), self.in_words()))
    }

    fn in_words(&self) -> String {
        const SHOWN: usize = 20;
        let names: Vec<&str> = self.names().collect();
        let shown: Vec<String> = names
            .iter()
            .take(SHOWN)
            .map(|name| format!("'{name}'"))
            .collect();
        let more = names.len().saturating_sub(SHOWN);
        let rest = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        format!("the list has {}{rest}", shown.join(", "))
    }

    /// The columns whose header says that they hold addresses.
    pub fn all_usual(&self, kind: Kind) -> Vec<usize> {
        let usual: &[&str] = match kind {
            Kind::Mail => &EMAIL_HEADERS,
            Kind::Phone => &PHONE_HEADERS,
        };
        (0..self.len())
            .filter(|column| {
                self.normal
                    .get(*column)
                    .is_some_and(|n| usual.contains(&n.as_str()))
            })
            .collect()
    }

    /// The one column whose header says that it holds addresses.
    pub fn usual(&self, kind: Kind) -> Result<usize, Box<Problem>> {
        let is_mail = kind == Kind::Mail;
        let found = self.all_usual(kind);
        let (role, kind, one) = if is_mail {
            ("email", "e-mail", "an e-mail address")
        } else {
            ("phone", "phone", "a phone number")
        };
        match found.as_slice() {
            [column] => Ok(*column),
            [] => {
                let headless = self.names().any(|cell| {
                    if is_mail {
                        Email::parse(cell).is_ok()
                    } else {
                        Phone::parse(cell, HomeRegion::parse("US")).is_ok()
                    }
                });
                let problem = Problem::error(format!("the list has no {kind} column"));
                Err(Box::new(if headless {
                    problem.help(format!(
                        "the first line holds {one}; it must name the columns, such as `{role},first_name`"
                    ))
                } else {
                    problem.help(format!(
                        "name it in the campaign, `columns: {{ {role}: … }}`; {}",
                        self.in_words()
                    ))
                }))
            }
            several => {
                let names: Vec<String> = several
                    .iter()
                    .map(|column| format!("'{}'", self.name(*column)))
                    .collect();
                Err(Box::new(
                    Problem::error(format!(
                        "the list has more than one {kind} column: {}",
                        names.join(", ")
                    ))
                    .help(format!(
                        "say in the campaign which one counts, `columns: {{ {role}: … }}`"
                    )),
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place {
            file: "list.csv".into(),
            line: 1,
            column: 1,
            width: 0,
            excerpt: None,
        }
    }

    fn header(cells: &[&str]) -> Header {
        let (header, problems) =
            Header::new(cells.iter().map(ToString::to_string).collect(), &place());
        assert!(problems.is_empty());
        header
    }

    fn messages(problems: &Problems) -> Vec<String> {
        problems
            .iter()
            .map(|p| format!("{p} ({})", p.help.clone().unwrap_or_default()))
            .collect()
    }

    #[test]
    fn headers_become_variables_by_the_written_rule() {
        for (header, variable) in [
            ("First Name", "first_name"),
            ("CustomerID", "customer_id"),
            ("customerId", "customer_id"),
            ("HTTPServer", "http_server"),
            ("ZIP", "zip"),
            ("Address1", "address1"),
            ("address 2", "address_2"),
            ("e-mail", "e_mail"),
            ("  spaced  ", "spaced"),
            ("2nd visit", "_2nd_visit"),
            ("Total ($)", "total"),
            ("Straße", "straße"),
        ] {
            assert_eq!(snake_case(header), variable);
        }
    }

    #[test]
    fn the_rule_in_the_documentation_is_the_one_that_holds() {
        let docs = include_str!("../../../docs/templates.md");
        let table = docs.split("| Header | Name |\n|---|---|\n").nth(1).unwrap();
        let rows: Vec<Vec<&str>> = table
            .lines()
            .take_while(|line| line.starts_with('|'))
            .map(|line| line.split('`').skip(1).step_by(2).collect())
            .collect();
        assert!(rows.len() > 3);
        for row in rows {
            assert_eq!(snake_case(row[0]), row[1]);
        }
    }

    #[test]
    fn a_column_is_found_whatever_its_dress() {
        let header = header(&["Mobile Phone", "FIRSTNAME", "", "customer-id"]);
        assert_eq!(header.find("mobile_phone"), Some(0));
        assert_eq!(header.find("Customer ID"), Some(3));
        assert_eq!(header.variable("first_name"), Some(1));
        assert_eq!(header.exact("FIRSTNAME"), Some(1));
        assert_eq!(header.exact("FirstName"), None);
        assert_eq!(header.find(""), None);
    }

    #[test]
    fn two_columns_of_one_name_are_refused() {
        let cells = ["Phone", "First Name", "first_name"];
        let (_, problems) = Header::new(cells.map(str::to_owned).to_vec(), &place());
        assert_eq!(
            messages(&problems),
            [
                "list.csv:1:1: the columns 'First Name' and 'first_name' have the same name (case, spaces, underscores and hyphens do not count; rename one of them)"
            ]
        );
    }

    #[test]
    fn a_missing_column_comes_with_the_nearest_and_with_all() {
        let header = header(&["Mobile", "First Name", "TZ"]);
        let columns = Columns {
            phone: Some("Moblie".into()),
            key: Some("CustomerID".into()),
            ..Columns::default()
        };
        let at = Place {
            file: "c.yaml".into(),
            line: 7,
            column: 12,
            width: 6,
            excerpt: None,
        };
        let places = BTreeMap::from([("phone".to_owned(), at)]);
        let problems = header.roles(&columns, None, &places, &place()).unwrap_err();
        assert_eq!(
            messages(&problems),
            [
                "c.yaml:7:12: the list has no column 'Moblie' (did you mean 'Mobile'? the list has 'Mobile', 'First Name', 'TZ')",
                "list.csv:1:1: the list has no column 'CustomerID' (the list has 'Mobile', 'First Name', 'TZ')",
            ]
        );
    }

    #[test]
    fn the_phone_column_is_found_but_never_guessed() {
        let roles = |cells: &[&str]| {
            header(cells).roles(&Columns::default(), None, &BTreeMap::new(), &place())
        };
        assert_eq!(roles(&["name", "Cell Phone"]).unwrap().address, 1);
        let both = messages(&roles(&["Phone", "Mobile"]).unwrap_err());
        assert!(
            both[0].contains("more than one phone column: 'Phone', 'Mobile'"),
            "{both:?}"
        );
        let none = messages(&roles(&["name", "age"]).unwrap_err());
        assert!(none[0].contains("no phone column"), "{none:?}");
        let headless = messages(&roles(&["+12025550143", "Dana"]).unwrap_err());
        assert!(
            headless[0].contains("first line holds a phone number"),
            "{headless:?}"
        );
    }
}
