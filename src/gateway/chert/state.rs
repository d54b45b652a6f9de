//! Reads how one message stands (chert §8.1). Its body was never documented, so that it is taken
//! wrapped or bare, and what is not understood is a message that is still under way.

use jiff::Timestamp;
use serde_json::Value;

use super::{Chert, body, codes};
use crate::domain::outcome::{Failure, Outcome};
use crate::domain::receipt::Receipt;

impl Chert {
    pub(super) async fn state_of(&self, message_id: &str) -> Result<Receipt, Outcome> {
        let outcome = match self.get(&body::message(message_id), &[]).await {
            Ok(answer) => return Ok(read(&answer.body, message_id)),
            Err(outcome) => outcome,
        };
        let code = outcome.failure().and_then(|failure| failure.code);
        if code == Some(codes::MESSAGE_UNKNOWN) {
            return Ok(Receipt::Unknown);
        }
        Err(outcome)
    }
}

/// A time that is there counts more than a status that lags behind it.
fn read(body: &[u8], message_id: &str) -> Receipt {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return Receipt::UnderWay;
    };
    // A failure may say why in a text of the same name.
    let wrapped = body.get("message").filter(|inner| inner.is_object());
    let message = wrapped.unwrap_or(&body);
    let text = |name: &str| message.get(name).and_then(Value::as_str);
    let time = |name: &str| text(name).and_then(|at| at.parse::<Timestamp>().ok());
    let id = text("id").or_else(|| text("message_id"));
    if id.is_some_and(|id| id != message_id) {
        return Receipt::UnderWay;
    }
    let (delivered_at, read_at) = (time("delivered_at"), time("read_at"));
    match (text("status"), delivered_at, read_at) {
        (Some("read"), ..) | (_, _, Some(_)) => Receipt::Read {
            delivered_at,
            at: read_at,
        },
        (Some("delivered"), ..) | (_, Some(_), _) => Receipt::Delivered { at: delivered_at },
        (Some("failed"), ..) => Receipt::Failed {
            failure: given_up(message),
            for_all: false,
        },
        _ => Receipt::UnderWay,
    }
}

/// Why a message failed that was taken. Where the provider says so was never documented: it is
/// looked for where it says so of a message that was not taken.
fn given_up(message: &Value) -> Failure {
    let inner = message.get("error").filter(|error| error.is_object());
    let places = [Some(message), inner];
    let find = |name: &str| places.iter().flatten().find_map(|place| place.get(name));
    let code = find("code").or_else(|| find("error_code"));
    let code = code.and_then(Value::as_u64);
    let reason = ["message", "reason", "error"]
        .into_iter()
        .filter_map(find)
        .find_map(Value::as_str)
        .filter(|reason| !reason.trim().is_empty());
    let text = match reason {
        Some(reason) => format!("taken by the provider and given up later: {reason}"),
        None => "taken by the provider and given up later".to_owned(),
    };
    Failure {
        code: code.and_then(|code| u32::try_from(code).ok()),
        http: None,
        text,
        trace_id: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELIVERED: &str = "2026-06-10T16:05:40Z";
    const OPENED: &str = "2026-06-10T16:06:00Z";

    fn look(body: &str) -> Receipt {
        read(body.as_bytes(), "m1")
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn it_is_read_wrapped_and_bare() {
        let bare = format!(r#"{{"id":"m1","status":"delivered","delivered_at":"{DELIVERED}"}}"#);
        let wrapped = format!(r#"{{"message":{bare}}}"#);
        let named = bare.replace("\"id\"", "\"message_id\"");
        for body in [bare, wrapped, named] {
            assert_eq!(
                look(&body),
                Receipt::Delivered {
                    at: Some(at(DELIVERED))
                },
                "{body}"
            );
        }
    }

    #[test]
    fn a_time_counts_more_than_a_status_that_lags() {
        let body = format!(r#"{{"id":"m1","status":"sent","delivered_at":"{DELIVERED}"}}"#);
        assert_eq!(
            look(&body),
            Receipt::Delivered {
                at: Some(at(DELIVERED))
            }
        );
        let body = format!(r#"{{"status":"delivered","delivered_at":null,"read_at":"{OPENED}"}}"#);
        let opened = Receipt::Read {
            delivered_at: None,
            at: Some(at(OPENED)),
        };
        assert_eq!(look(&body), opened);
        let body = format!(r#"{{"status":"failed","delivered_at":"{DELIVERED}"}}"#);
        assert_eq!(
            look(&body),
            Receipt::Delivered {
                at: Some(at(DELIVERED))
            }
        );
    }

    #[test]
    fn a_status_counts_without_a_time() {
        let opened = Receipt::Read {
            delivered_at: None,
            at: None,
        };
        assert_eq!(look(r#"{"status":"read"}"#), opened);
        let delivered = Receipt::Delivered { at: None };
        assert_eq!(
            look(r#"{"status":"delivered","delivered_at":7}"#),
            delivered
        );
    }

    #[test]
    fn a_failure_tells_its_code_and_reason_wherever_they_stand() {
        let failed = |body: &str| {
            let Receipt::Failed { failure, .. } = look(body) else {
                panic!("not failed: {body}");
            };
            (failure.code, failure.text)
        };
        let bare = "taken by the provider and given up later";
        assert_eq!(failed(r#"{"status":"failed"}"#), (None, bare.to_owned()));
        let why = format!("{bare}: no such number");
        for body in [
            r#"{"status":"failed","code":4001,"message":"no such number"}"#,
            r#"{"status":"failed","error_code":4001,"error":"no such number"}"#,
            r#"{"message":{"status":"failed","error":{"code":4001,"message":"no such number"}}}"#,
        ] {
            assert_eq!(failed(body), (Some(4001), why.clone()), "{body}");
        }
        let odd = r#"{"status":"failed","code":"many","message":" "}"#;
        assert_eq!(failed(odd), (None, bare.to_owned()));
    }

    #[test]
    fn what_is_not_understood_is_still_under_way() {
        for body in [
            "",
            "[]",
            "{}",
            "nonsense",
            r#"{"message":3}"#,
            r#"{"status":"queued"}"#,
            r#"{"status":"sent","delivered_at":null}"#,
            r#"{"status":"teleported"}"#,
            r#"{"id":"another","status":"read"}"#,
        ] {
            assert_eq!(look(body), Receipt::UnderWay, "{body}");
        }
    }
}
