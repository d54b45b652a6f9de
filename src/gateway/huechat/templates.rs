//! The templates of the account (huechat §8.1): which there are, whether they are approved, and how
//! many values each takes.

use serde_json::Value;

use super::super::{Template, Turns};
use super::pages::Pages;
use super::{HueChat, answer, body};
use crate::domain::outcome::Outcome;

/// More templates than any account has.
const MOST_PAGES: usize = 50;

impl HueChat {
    pub(super) async fn list_templates(&self, turns: &dyn Turns) -> Result<Vec<Template>, Outcome> {
        let mut pages = Pages::of(self, body::TEMPLATES.to_owned(), Vec::new());
        let mut all = Vec::new();
        for _ in 0..MOST_PAGES {
            let rows = pages.next(turns).await.map_err(answer::of_the_account)?;
            let Some(rows) = rows else { break };
            all.extend(rows.iter().filter_map(template));
        }
        Ok(all)
    }
}

fn template(row: &Value) -> Option<Template> {
    let text = |name: &str| row.get(name)?.as_str().map(str::to_owned);
    let status = text("status").unwrap_or_default().to_lowercase();
    let body = text("body").or_else(|| component(row));
    let counted = row.get("parameter_count").and_then(Value::as_u64);
    Some(Template {
        name: text("name")?,
        language: text("language"),
        approved: status == "approved",
        parameters: counted
            .and_then(|count| usize::try_from(count).ok())
            .or_else(|| body.as_deref().map(variables)),
        status,
        body,
    })
}

/// The words where they stand as the platform has them.
fn component(row: &Value) -> Option<String> {
    let components = row.get("components")?.as_array()?;
    let body = components.iter().find(|one| {
        let kind = one.get("type").and_then(Value::as_str);
        kind.is_some_and(|kind| kind.eq_ignore_ascii_case("body"))
    })?;
    body.get("text")?.as_str().map(str::to_owned)
}

/// How many different variables are in a text.
fn variables(body: &str) -> usize {
    let mut names: Vec<&str> = Vec::new();
    let mut rest = body;
    while let Some((_, after)) = rest.split_once("{{") {
        let Some((name, behind)) = after.split_once("}}") else {
            break;
        };
        if !names.contains(&name.trim()) {
            names.push(name.trim());
        }
        rest = behind;
    }
    names.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_template_is_read_in_both_shapes() {
        let plain = template(&json!({ "name": "parcel_ready", "language": "en_US",
            "status": "APPROVED", "body": "Hello {{1}}, {{2}} until {{ 3 }}, {{1}}.",
            "category": "utility" }))
        .unwrap();
        assert_eq!((plain.approved, plain.parameters), (true, Some(3)));
        let parts = template(&json!({ "name": "welcome", "status": "paused",
            "components": [{ "type": "HEADER", "text": "{{1}}" },
                { "type": "BODY", "text": "Hi {{1}}{{2}}" }] }))
        .unwrap();
        assert_eq!((parts.approved, parts.parameters), (false, Some(2)));
        assert_eq!(parts.status, "paused");
    }

    #[test]
    fn what_is_not_told_is_not_guessed() {
        let bare = template(&json!({ "name": "welcome" })).unwrap();
        assert_eq!((bare.approved, bare.parameters), (false, None));
        assert_eq!(template(&json!({ "status": "approved" })), None);
        assert_eq!(variables("{{1} {{"), 0);
    }
}
