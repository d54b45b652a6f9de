//! The templates of an account (huechat §8.1): which there are, how they are filled in, and how
//! the control surface changes them. Approval happens elsewhere; here a template is what it says.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::errors::{Error, Refusal};
use super::exchange::{Call, Done};
use super::pages::Asked;

/// Whether a template may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HueApproval {
    Approved,
    Pending,
    Rejected,
    Paused,
    Disabled,
}

/// What a template is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HueCategory {
    Marketing,
    #[default]
    Utility,
    Authentication,
}

/// A template of WhatsApp. Its places are `{{1}}`, `{{2}}` and so on, or named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HueTemplate {
    pub name: String,
    #[serde(default = "english")]
    pub language: String,
    #[serde(default)]
    pub category: HueCategory,
    pub status: HueApproval,
    pub body: String,
}

pub(super) type Template = HueTemplate;

fn english() -> String {
    "en_US".to_owned()
}

/// The longest body with everything filled in.
pub(super) const MAX_BODY_CHARS: usize = 1_024;
pub(super) const MAX_TEMPLATE_NAME: usize = 512;
/// More than anybody sets up by hand.
const MOST_TEMPLATES: usize = 1_000;

/// A body, taken apart.
fn pieces(body: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = body;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some(inside) = rest.strip_prefix("{{")
            && let Some((name, after)) = inside.split_once("}}")
        {
            rest = after;
            return Some(Piece::Place(name.trim()));
        }
        let mut later = rest.char_indices().skip(1).map(|(at, _)| at);
        let end = later.find(|at| rest.get(*at..).is_some_and(|tail| tail.starts_with("{{")));
        let end = end.unwrap_or(rest.len());
        let (text, after) = rest.split_at(end);
        rest = after;
        Some(Piece::Text(text))
    })
}

enum Piece<'a> {
    Text(&'a str),
    Place(&'a str),
}

impl HueTemplate {
    /// A template with the usual language and category.
    pub fn new(name: &str, status: HueApproval, body: &str) -> Self {
        Self {
            name: name.to_owned(),
            language: english(),
            category: HueCategory::default(),
            status,
            body: body.to_owned(),
        }
    }

    /// The names of its places.
    fn places(&self) -> BTreeSet<&str> {
        pieces(&self.body)
            .filter_map(|piece| match piece {
                Piece::Place(name) => Some(name),
                Piece::Text(_) => None,
            })
            .collect()
    }

    /// The text that a person sees, where every place has exactly one value in order.
    pub(super) fn fill(&self, given: &BTreeMap<String, String>) -> Result<String, Refusal> {
        let mismatch = |why: String| Refusal::new(Error::TemplateParameters).because(why);
        let places = self.places();
        for place in &places {
            if !given.contains_key(*place) {
                return Err(mismatch(format!("Parameter {place} is missing")));
            }
        }
        for (name, value) in given {
            if !places.contains(name.as_str()) {
                return Err(mismatch(format!("The template has no parameter {name}")));
            }
            if value.trim().is_empty() {
                return Err(mismatch(format!("Parameter {name} is empty")));
            }
            if value.contains(['\n', '\r', '\t']) || value.contains("     ") {
                return Err(mismatch(format!(
                    "Parameter {name} has a line break, a tab or more than four spaces in a row"
                )));
            }
        }
        let text: String = pieces(&self.body)
            .map(|piece| match piece {
                Piece::Text(text) => text,
                Piece::Place(name) => given.get(name).map_or("", String::as_str),
            })
            .collect();
        if text.chars().count() > MAX_BODY_CHARS {
            return Err(mismatch(
                "The text with its parameters is longer than 1024 characters".to_owned(),
            ));
        }
        Ok(text)
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "language": self.language,
            "category": self.category,
            "status": self.status,
            "body": self.body,
            "parameter_count": self.places().len(),
        })
    }
}

/// Whether a name can be that of a template.
pub(super) fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=MAX_TEMPLATE_NAME).contains(&text.len()) && text.bytes().all(fits)
}

/// The template of this name, and in this language where one is named, that can be used.
pub(super) fn usable<'a>(
    all: &'a [HueTemplate],
    name: &str,
    language: Option<&str>,
) -> Result<&'a HueTemplate, Refusal> {
    let named = || {
        all.iter().filter(|one| {
            one.name == name && language.is_none_or(|language| one.language == language)
        })
    };
    let approved = named().find(|one| one.status == HueApproval::Approved);
    approved.ok_or_else(|| {
        Refusal::new(match named().next() {
            Some(_) => Error::TemplateNotApproved,
            None => Error::TemplateNotFound,
        })
    })
}

/// Those of a sandbox that is told of none (huechat §12).
pub(super) fn usual() -> Vec<HueTemplate> {
    use HueApproval::{Approved, Pending};
    vec![
        HueTemplate::new(
            "order_confirmation",
            Approved,
            "Hello {{1}}, we have your order {{2}} of {{3}}. It leaves us on {{4}}.",
        ),
        HueTemplate::new(
            "appointment_reminder",
            Approved,
            "Hello {{1}}, this is about your appointment on {{2}} at {{3}}.",
        ),
        HueTemplate::new(
            "welcome",
            Approved,
            "Welcome, {{1}}. Write to us at any time.",
        ),
        HueTemplate {
            category: HueCategory::Marketing,
            ..HueTemplate::new(
                "pending_promo",
                Pending,
                "{{1}}, something new is on our menu.",
            )
        },
    ]
}

/// Why a set of templates cannot be used, in words for whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplates {
    #[error("the sandbox keeps at most {MOST_TEMPLATES} templates")]
    TooMany,
    #[error("'{0}' is no name of a template: lower-case letters, digits and _, at most 512")]
    Name(String),
    #[error("'{0}' is there twice in one language")]
    Twice(String),
    #[error("'{0}' has an empty body, or one of more than 1024 characters")]
    Body(String),
}

/// Looks a whole set through.
pub(super) fn check(all: &[HueTemplate]) -> Result<(), BadTemplates> {
    if all.len() > MOST_TEMPLATES {
        return Err(BadTemplates::TooMany);
    }
    let mut seen = BTreeSet::new();
    for one in all {
        if !is_name(&one.name) {
            return Err(BadTemplates::Name(one.name.clone()));
        }
        if one.body.trim().is_empty() || one.body.chars().count() > MAX_BODY_CHARS {
            return Err(BadTemplates::Body(one.name.clone()));
        }
        if !seen.insert((&one.name, &one.language)) {
            return Err(BadTemplates::Twice(one.name.clone()));
        }
    }
    Ok(())
}

impl Call {
    pub(super) fn templates(&self) -> Result<Done, Refusal> {
        let page = Asked::parse(&self.query)?.page()?;
        let store = self.hue.store();
        Ok(Done::json(
            200,
            &page.of(&store.templates, HueTemplate::json),
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use proptest::prelude::*;

    fn given(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_template_takes_exactly_its_own_parameters() {
        let body = "Hello {{1}}, {{ 2 }} of {{1}} is ready.";
        let template = HueTemplate::new("x", HueApproval::Approved, body);
        let text = template
            .fill(&given(&[("1", "Dana"), ("2", "it")]))
            .unwrap();
        assert_eq!(text, "Hello Dana, it of Dana is ready.");
        for wrong in [
            &[("1", "Dana")][..],
            &[("1", "Dana"), ("2", "it"), ("3", "more")],
            &[("1", "Dana"), ("2", " ")],
            &[("1", "Dana"), ("2", "a\nb")],
            &[("1", "Dana"), ("2", "a     b")],
        ] {
            let refused = template.fill(&given(wrong)).unwrap_err();
            assert_eq!(refused.name, "template_parameters_mismatch");
        }
    }

    #[test]
    fn the_templates_of_the_start_have_the_parameters_that_are_promised() {
        use HueApproval::{Approved, Pending};
        let counts: Vec<_> = usual()
            .iter()
            .map(|one| (one.name.clone(), one.places().len(), one.status))
            .collect();
        assert_eq!(
            counts,
            [
                ("order_confirmation".to_owned(), 4, Approved),
                ("appointment_reminder".to_owned(), 3, Approved),
                ("welcome".to_owned(), 1, Approved),
                ("pending_promo".to_owned(), 1, Pending),
            ]
        );
        assert_eq!(check(&usual()), Ok(()));
    }

    proptest! {
        #[test]
        fn what_is_filled_in_stands_where_its_place_was(
            parts in prop::collection::vec(("[a-zä .]{0,6}", 1usize..4), 1..8),
        ) {
            let (mut body, mut expected) = (String::new(), String::new());
            let mut values = BTreeMap::new();
            for (text, place) in parts {
                write!(body, "{text}{{{{{place}}}}}").unwrap();
                write!(expected, "{text}<{place}>").unwrap();
                values.insert(place.to_string(), format!("<{place}>"));
            }
            let template = HueTemplate::new("x", HueApproval::Approved, &body);
            prop_assert_eq!(template.fill(&values).unwrap(), expected);
        }
    }
}
