//! How a message stands that was accepted: by the list of its conversation, which is all there is
//! to ask (huechat §7.2, §7.3).

use sendoff::domain::outcome::Outcome;
use sendoff::domain::receipt::Receipt;
use sendoff::gateway::{Asked, AtOnce, Gateway};
use serde_json::{Value, json};

use super::gateway_at;
use super::lists::{Lists, at, noise, ours};

async fn standing(rows: Vec<Value>, chat_id: Option<&str>) -> Result<Receipt, Outcome> {
    let lists = Lists {
        page: 2,
        ..Lists::of(rows)
    };
    let server = lists.serve();
    let asked = Asked {
        message_id: "msg_1",
        chat_id,
    };
    gateway_at(server.address).state(&asked, &AtOnce).await
}

#[tokio::test]
async fn a_message_stands_as_its_own_row_says() {
    for (fields, expected) in [
        (json!({ "status": "sent" }), Receipt::UnderWay),
        (json!({ "status": "parked" }), Receipt::UnderWay),
        (json!({ "status": null }), Receipt::UnderWay),
        (
            json!({ "status": "delivered", "delivered_at": at(6) }),
            Receipt::Delivered {
                at: at(6).parse().ok(),
            },
        ),
        (
            json!({ "status": "sent", "read_at": at(9) }),
            Receipt::Read {
                delivered_at: None,
                at: at(9).parse().ok(),
            },
        ),
    ] {
        let mut row = ours("msg_1", 1);
        for (name, value) in fields.as_object().unwrap() {
            row[name] = value.clone();
        }
        let rows = vec![noise(1, 9), noise(2, 8), noise(3, 7), row];
        assert_eq!(
            standing(rows, Some("conv_1")).await,
            Ok(expected),
            "{fields}"
        );
    }
}

#[tokio::test]
async fn a_failure_is_told_without_the_message() {
    let mut row = ours("msg_1", 1);
    row["status"] = "failed".into();
    for (error, code) in [
        (json!("131026: Message undeliverable"), Some(131_026)),
        (json!("cannot send hi dana, your parcel is here"), None),
        (json!("mailbox dana.k@example.org, +12025550143"), None),
        (Value::Null, None),
    ] {
        row["error"] = error;
        let Receipt::Failed { failure, .. } =
            standing(vec![row.clone()], Some("conv_1")).await.unwrap()
        else {
            panic!("it did not fail");
        };
        assert_eq!(failure.code, code);
        for hidden in ["parcel is", "dana.k", "2025550143"] {
            assert!(!failure.text.contains(hidden), "{failure:?}");
        }
    }
}

#[tokio::test]
async fn what_is_not_shown_is_not_known() {
    let rows = vec![noise(1, 9), noise(2, 8), noise(3, 7)];
    assert_eq!(standing(rows, Some("conv_1")).await, Ok(Receipt::Unknown));
    assert_eq!(standing(Vec::new(), None).await, Ok(Receipt::UnderWay));
}
