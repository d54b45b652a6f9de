//! How a message stands, out of the conversation that it is in (huechat §7.3).

use serde_json::Value;

use super::super::{Asked, Turns};
use super::pages::{Pages, time};
use super::{HueChat, body, discreet, platform};
use crate::domain::outcome::Outcome;
use crate::domain::receipt::Receipt;

/// Pages of a conversation that are read for one message.
const MOST_PAGES: usize = 20;

impl HueChat {
    /// How a message stands, by the conversation that it is in: there is no other way to ask
    /// (huechat §7.3).
    pub(super) async fn standing(
        &self,
        asked: &Asked<'_>,
        turns: &dyn Turns,
    ) -> Result<Receipt, Outcome> {
        let Some(conversation) = asked.chat_id else {
            return Ok(Receipt::UnderWay);
        };
        let mut pages = Pages::of(self, body::messages_of(conversation), Vec::new()).paced();
        for _ in 0..MOST_PAGES {
            let Some(rows) = pages.next(turns).await? else {
                return Ok(Receipt::Unknown);
            };
            let is_it =
                |row: &&Value| row.get("id").and_then(Value::as_str) == Some(asked.message_id);
            if let Some(row) = rows.iter().find(is_it) {
                return Ok(receipt(row));
            }
        }
        Ok(Receipt::Unknown)
    }
}

/// How a message stands, out of its own fields; from the list and from an event alike.
pub(super) fn receipt(row: &Value) -> Receipt {
    let (delivered_at, read_at) = (time(row, "delivered_at"), time(row, "read_at"));
    let status = row.get("status").and_then(Value::as_str);
    match (status, delivered_at, read_at) {
        (Some("read"), ..) | (_, _, Some(_)) => Receipt::Read {
            delivered_at,
            at: read_at,
        },
        (Some("delivered"), ..) | (_, Some(_), _) => Receipt::Delivered { at: delivered_at },
        (Some("failed"), ..) => {
            let said = row.get("error").and_then(Value::as_str);
            let mut failure = platform::failure(said);
            discreet::hide(&mut failure, &discreet::words_of(row));
            failure.text = format!("taken by the provider and given up later: {}", failure.text);
            Receipt::Failed {
                for_all: platform::is_about_the_template(failure.code),
                failure,
            }
        }
        _ => Receipt::UnderWay,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_counts_more_than_a_status_that_lags_behind_it() {
        let at = "2026-06-10T16:05:40Z";
        let delivered = Receipt::Delivered {
            at: Some(at.parse().unwrap()),
        };
        for (row, expected) in [
            (
                serde_json::json!({"status":"sent","delivered_at":at}),
                delivered.clone(),
            ),
            (
                serde_json::json!({"status":"delivered","delivered_at":at,"read_at":null}),
                delivered,
            ),
            (
                serde_json::json!({"status":"read"}),
                Receipt::Read {
                    delivered_at: None,
                    at: None,
                },
            ),
            (serde_json::json!({"status":"sent"}), Receipt::UnderWay),
            (
                serde_json::json!({"status":"teleported"}),
                Receipt::UnderWay,
            ),
            (serde_json::json!({}), Receipt::UnderWay),
        ] {
            assert_eq!(receipt(&row), expected, "{row}");
        }
        let failed = serde_json::json!({"status":"failed","error":"131026: Message undeliverable"});
        let Receipt::Failed { failure, .. } = receipt(&failed) else {
            panic!("not failed");
        };
        assert_eq!(failure.code, Some(131_026));
    }
}
