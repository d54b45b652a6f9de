//! The sender lines of the account (chert §12). Which of them a message leaves by is decided
//! elsewhere.

use serde_json::Value;

use super::super::Line;
use super::super::http::Answer;
use super::{Chert, answer};
use crate::domain::outcome::{Failure, Outcome};
use crate::domain::phone::Phone;

impl Chert {
    pub(super) async fn list_lines(&self) -> Result<Vec<Line>, Outcome> {
        let asked = self.get("/phone-numbers", &[]).await;
        let answer = asked.map_err(answer::of_the_account)?;
        read(&answer).ok_or_else(|| Outcome::StopRun {
            failure: Failure {
                http: Some(answer.status),
                text: "what answers at `base_url` is not Chert's API; check the address".to_owned(),
                ..Failure::default()
            },
        })
    }
}

/// A line whose number cannot be addressed is left out; no campaign could name it.
fn read(answer: &Answer) -> Option<Vec<Line>> {
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    let rows = body.get("phone_numbers").or(Some(&body))?.as_array()?;
    Some(rows.iter().filter_map(line).collect())
}

fn line(row: &Value) -> Option<Line> {
    let text = |name: &str| row.get(name).and_then(Value::as_str);
    let phone = Phone::parse(text("phone_number")?, None).ok();
    let phone = phone.or_else(|| Phone::from_e164(text("phone_number")?).ok())?;
    let id = text("id").or_else(|| text("phone_line_id"));
    Some(Line {
        id: answer::usable(id.map(str::to_owned)).unwrap_or_default(),
        phone,
        active: row.get("is_active").and_then(Value::as_bool) != Some(false),
    })
}
