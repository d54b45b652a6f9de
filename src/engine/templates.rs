//! The approved templates that a run's messages are made of, compared with those that the account
//! has, before anything leaves (huechat §8.1).

use std::collections::BTreeMap;

use crate::domain::message::{Message, Part};
use crate::domain::problem::Problem;
use crate::domain::single::MAX_TEMPLATE_CHARS;
use crate::gateway::Template;

/// A template as messages name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TemplateUse {
    pub name: String,
    pub language: Option<String>,
    /// How many values the messages give it.
    pub parameters: usize,
}

impl TemplateUse {
    pub fn of(message: &Message) -> Option<Self> {
        message.parts.iter().find_map(|part| match part {
            Part::Template {
                name,
                language,
                parameters,
            } => Some(Self {
                name: name.clone(),
                language: language.clone(),
                parameters: parameters.len(),
            }),
            Part::Text { .. } | Part::Media { .. } | Part::RichLink { .. } => None,
        })
    }
}

/// The messages that use one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uses {
    /// The most characters that the values of one message have together, and the line of the list
    /// on which that person stands.
    longest: usize,
    line: u64,
}

impl Uses {
    pub(super) fn look(&mut self, line: u64, message: &Message) {
        let chars = message.parts.iter().map(|part| match part {
            Part::Template { parameters, .. } => {
                parameters.values().map(|value| value.chars().count()).sum()
            }
            Part::Text { .. } | Part::Media { .. } | Part::RichLink { .. } => 0,
        });
        let chars: usize = chars.sum();
        if chars > self.longest || self.line == 0 {
            (self.longest, self.line) = (chars, line);
        }
    }
}

/// What is wrong with the uses, by what the account has. What the provider does not tell is not
/// held against anybody.
pub fn problems(uses: &BTreeMap<TemplateUse, Uses>, known: &[Template]) -> Vec<Problem> {
    let mut found = Vec::new();
    for (used, uses) in uses {
        let name = &used.name;
        let language = |one: &&Template| used.language.is_none() || one.language == used.language;
        let same: Vec<&Template> = known.iter().filter(|one| one.name == *name).collect();
        let fitting: Vec<&Template> = same.iter().copied().filter(language).collect();
        let template = fitting.iter().find(|one| one.approved).or(fitting.first());
        let Some(template) = template else {
            found.push(if same.is_empty() {
                let approved = known.iter().filter(|one| one.approved);
                let names: Vec<&str> = approved.map(|one| one.name.as_str()).collect();
                Problem::error(format!("the account has no template '{name}'")).help(
                    if names.is_empty() {
                        "no template of the account is approved; templates are written and \
                         approved at the provider"
                            .to_owned()
                    } else {
                        format!("its approved templates are {}", names.join(", "))
                    },
                )
            } else {
                let language = used.language.as_deref().unwrap_or_default();
                Problem::error(format!(
                    "the template '{name}' does not exist in the language '{language}'"
                ))
                .help("leave `language` out, or have the translation approved")
            });
            continue;
        };
        if !template.approved {
            let status = if template.status.is_empty() {
                "not approved"
            } else {
                &template.status
            };
            found.push(
                Problem::error(format!(
                    "the template '{name}' cannot be sent: it is {status}"
                ))
                .help("wait until the provider shows it as approved, or use another"),
            );
            continue;
        }
        if let Some(count) = template
            .parameters
            .filter(|count| *count != used.parameters)
        {
            found.push(
                Problem::error(format!(
                    "the template '{name}' takes {count} values, and messages give it {}",
                    used.parameters
                ))
                .help("give every variable of the template its number: `parameters: { \"1\": … }`"),
            );
            continue;
        }
        let words = template.body.as_deref().map_or(0, fixed_chars);
        if words + uses.longest > MAX_TEMPLATE_CHARS {
            found.push(
                Problem::error(format!(
                    "the template '{name}' becomes longer than {MAX_TEMPLATE_CHARS} characters with \
                     the values on line {} of the list",
                    uses.line
                ))
                .help("shorten the values"),
            );
        }
    }
    found
}

/// The characters of a template's own words, without its variables.
fn fixed_chars(body: &str) -> usize {
    let mut chars = 0;
    let mut rest = body;
    while let Some((before, after)) = rest.split_once("{{") {
        chars += before.chars().count();
        rest = after.split_once("}}").map_or("", |(_, behind)| behind);
    }
    chars + rest.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(name: &str, status: &str, parameters: usize) -> Template {
        Template {
            name: name.to_owned(),
            language: Some("en_US".to_owned()),
            approved: status == "approved",
            status: status.to_owned(),
            body: Some("Hello {{1}}, your order {{2}} is here.".to_owned()),
            parameters: Some(parameters),
        }
    }

    fn used(name: &str, values: &[&str], language: Option<&str>) -> Vec<String> {
        let numbered = values.iter().enumerate();
        let message = Message::of(vec![Part::Template {
            name: name.to_owned(),
            language: language.map(str::to_owned),
            parameters: numbered
                .map(|(n, value)| ((n + 1).to_string(), (*value).to_owned()))
                .collect(),
        }]);
        let mut uses = Uses::default();
        uses.look(7, &message);
        let all = [(TemplateUse::of(&message).unwrap(), uses)].into();
        let known = [
            template("ready", "approved", 2),
            template("promo", "pending", 2),
        ];
        let found = problems(&all, &known);
        found.iter().map(|one| one.message.clone()).collect()
    }

    #[test]
    fn a_template_that_is_approved_and_filled_is_fine() {
        assert!(used("ready", &["Asha", "PX-204"], None).is_empty());
        assert!(used("ready", &["Asha", "PX-204"], Some("en_US")).is_empty());
    }

    #[test]
    fn each_fault_is_named() {
        let one = |found: Vec<String>, word: &str| {
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].contains(word), "{found:?}");
        };
        one(used("gone", &["a"], None), "no template 'gone'");
        one(used("promo", &["a", "b"], None), "pending");
        one(used("ready", &["a"], None), "takes 2 values");
        one(used("ready", &["a", "b"], Some("de")), "language 'de'");
        one(used("ready", &["a", &"x".repeat(1_000)], None), "line 7");
        assert!(used("ready", &["a", &"x".repeat(990)], None).is_empty());
    }
}
