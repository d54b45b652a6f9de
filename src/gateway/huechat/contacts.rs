//! Makes people known to the provider (huechat §6): by creating a contact, or, where there is one
//! with the same address already, by looking it up. Either may be repeated without harm.

use bytes::Bytes;
use reqwest::Method;
use serde_json::Value;

use super::super::Turns;
use super::super::http::Answer;
use super::{HueChat, answer, body};
use crate::domain::address::Address;
use crate::domain::contact::Contact;
use crate::domain::outcome::{Failure, Outcome};

const CONFLICT: u16 = 409;

impl HueChat {
    pub(super) async fn contact_of(
        &self,
        to: &Address,
        contact: &Contact,
        turns: &dyn Turns,
    ) -> Result<String, Outcome> {
        let new: Bytes = body::new_contact(to, contact).into();
        let posting = self.ask(Method::POST, (body::CONTACT, &[]), new.clone());
        let answer = posting.await?;
        if answer.status != CONFLICT {
            // A success that cannot be read is one all the same: the contact is there (huechat §13).
            match read(&self.success(answer, &new)?) {
                Err(Outcome::StopRun { .. }) => {}
                read => return read,
            }
        }
        turns.next().await?;
        read(&self.get(&body::contact(to.expose()), &[]).await?)
    }
}

/// The id of a contact that may be written to. Some deployments may answer with the one that was
/// there (huechat §15, A8); whichever it is, its id counts.
fn read(answer: &Answer) -> Result<String, Outcome> {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let text = |name: &str| {
        let value = body.as_ref()?.get(name)?.as_str()?;
        Some(value.to_owned())
    };
    let Some(id) = answer::usable(text("id")) else {
        return Err(answer::unusable(answer.status, "a contact without an id"));
    };
    match text("status").as_deref() {
        Some(status @ ("inactive" | "deleted")) => Err(Outcome::Permanent {
            failure: Failure {
                http: Some(answer.status),
                text: format!("the contact is {status} at the provider; it is never written to"),
                ..Failure::default()
            },
        }),
        _ => Ok(id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::Class;
    use reqwest::header::HeaderMap;

    fn of(body: &str) -> Result<String, Outcome> {
        read(&Answer {
            status: 200,
            headers: HeaderMap::new(),
            body: body.as_bytes().to_vec().into(),
        })
    }

    #[test]
    fn an_id_is_all_that_is_needed() {
        assert_eq!(of(r#"{"id":"cnt_1"}"#), Ok("cnt_1".to_owned()));
        let whole =
            r#"{"id":"cnt_1","status":"active","metadata":{"a":[1]},"last_contacted":null}"#;
        assert_eq!(of(whole), Ok("cnt_1".to_owned()));
    }

    #[test]
    fn nobody_who_was_taken_out_is_written_to() {
        for status in ["inactive", "deleted"] {
            let body = format!(r#"{{"id":"cnt_1","status":"{status}"}}"#);
            assert_eq!(of(&body).unwrap_err().class(), Class::Permanent);
        }
    }

    #[test]
    fn what_is_no_contact_stops_the_run() {
        for body in ["", "[]", "{}", "<html>", r#"{"id":3}"#] {
            assert_eq!(of(body).unwrap_err().class(), Class::StopRun, "{body}");
        }
    }
}
