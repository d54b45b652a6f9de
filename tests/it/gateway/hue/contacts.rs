//! How a person is made known (huechat §6.1, §13): created, or looked up where there is one, and
//! never written to who was taken out. All of it may be asked again.

use sendoff::domain::address::Address;
use sendoff::domain::contact::Contact;
use sendoff::domain::outcome::{Outcome, Scope};
use sendoff::gateway::{AtOnce, Gateway};

use super::{KEY, gist, pair, refusal};
use crate::gateway::server::{Reply, Server, Then, raw, reply};

const PHONE: &str = "+12025550143";
const EMAIL: &str = "dana.k@example.org";
const MADE: &str = r#"{"id":"cnt_5f","phone":"+12025550143","email":null,"first_name":"Dana","full_name":"Dana Kim","preferred_channel":null,"metadata":{},"status":"active","created_at":"2026-06-10T09:15:00Z","last_contacted":null}"#;

async fn asked(
    to: &str,
    last_name: Option<&str>,
    replies: Vec<Reply>,
) -> (Server, Result<Option<String>, Outcome>) {
    let (server, gateway) = pair(replies);
    let contact = Contact {
        first_name: "Dana".to_owned(),
        last_name: last_name.map(str::to_owned),
    };
    let to = Address::stored(to).unwrap();
    let made = gateway.contact(&to, &contact, &AtOnce).await;
    (server, made)
}

fn conflict() -> Reply {
    reply(409, &[], &refusal(409, "conflict"))
}

#[tokio::test]
async fn a_contact_is_this_request_and_its_name_the_answers() {
    for (to, last_name, body) in [
        (
            PHONE,
            Some("Kim"),
            r#"{"phone":"+12025550143","first_name":"Dana","last_name":"Kim"}"#,
        ),
        (
            PHONE,
            None,
            r#"{"phone":"+12025550143","first_name":"Dana"}"#,
        ),
        (
            EMAIL,
            None,
            r#"{"email":"dana.k@example.org","first_name":"Dana"}"#,
        ),
    ] {
        // Some answer a second one with the contact that there is (huechat §15, A8).
        for status in [200, 201] {
            let (mut server, made) = asked(to, last_name, vec![reply(status, &[], MADE)]).await;
            assert_eq!(made, Ok(Some("cnt_5f".to_owned())));
            let got = server.next();
            assert_eq!(got.line(), "POST /v2/contact HTTP/1.1");
            assert_eq!(got.text(), body);
            assert_eq!(got.header("x-api-key"), Some(KEY));
            assert_eq!(got.header("content-type"), Some("application/json"));
            assert!(server.is_idle());
        }
    }
}

#[tokio::test]
async fn one_that_there_is_is_looked_up_by_its_address() {
    for (to, path) in [(PHONE, "%2B12025550143"), (EMAIL, "dana.k%40example.org")] {
        let bare = reply(409, &[], "<html>");
        for first in [conflict(), bare] {
            let (mut server, made) = asked(to, None, vec![first, reply(200, &[], MADE)]).await;
            assert_eq!(made, Ok(Some("cnt_5f".to_owned())));
            server.next();
            let got = server.next();
            assert_eq!(got.line(), format!("GET /v2/contact/{path} HTTP/1.1"));
            assert_eq!(got.text(), "");
            assert!(server.is_idle());
        }
    }
}

#[tokio::test]
async fn a_look_up_that_does_not_name_one_contact_names_none() {
    let two = r#"{"data":[{"id":"cnt_1"},{"id":"cnt_2"}],"pagination":{"total":2}}"#;
    let list = r#"[{"id":"cnt_1"},{"id":"cnt_2"}]"#;
    for (answer, expected) in [
        (
            reply(404, &[], &refusal(404, "not_found")),
            ("permanent", None, None),
        ),
        (
            reply(409, &[], &refusal(409, "conflict")),
            ("permanent", None, None),
        ),
        (reply(200, &[], two), ("stop_run", None, None)),
        (reply(200, &[], list), ("stop_run", None, None)),
        (reply(200, &[], ""), ("stop_run", None, None)),
        (reply(500, &[], ""), ("retry", Some(Scope::Recipient), None)),
        (
            raw("", Then::Close),
            ("retry", Some(Scope::Recipient), None),
        ),
        (
            reply(429, &[("retry-after", "8")], ""),
            ("retry", Some(Scope::Account), Some(8)),
        ),
    ] {
        let (mut server, made) = asked(PHONE, None, vec![conflict(), answer]).await;
        assert_eq!(gist(&made.unwrap_err()), expected);
        server.next();
        server.next();
        assert!(server.is_idle());
    }
}

#[tokio::test]
async fn nobody_who_was_taken_out_is_written_to() {
    for status in ["inactive", "deleted"] {
        let body = MADE.replace("active", status);
        let existing = reply(200, &[], &body);
        for script in [vec![existing.clone()], vec![conflict(), existing]] {
            let (_server, made) = asked(PHONE, None, script).await;
            let outcome = made.unwrap_err();
            assert_eq!(gist(&outcome), ("permanent", None, None));
            assert!(outcome.why().contains(status), "{outcome:?}");
        }
    }
}

#[tokio::test]
async fn a_contact_whose_answer_cannot_be_read_is_looked_up() {
    for unreadable in ["", "<html>", "{}", "[]", r#"{"id":7}"#, r#"{"id":"cnt_5f""#] {
        let script = vec![reply(201, &[], unreadable), reply(200, &[], MADE)];
        let (mut server, made) = asked(PHONE, None, script).await;
        assert_eq!(made, Ok(Some("cnt_5f".to_owned())), "{unreadable}");
        server.next();
        assert_eq!(
            server.next().line(),
            "GET /v2/contact/%2B12025550143 HTTP/1.1"
        );
        let script = vec![reply(201, &[], unreadable); 2];
        let (_server, made) = asked(PHONE, None, script).await;
        assert_eq!(
            gist(&made.unwrap_err()),
            ("stop_run", None, None),
            "{unreadable}"
        );
    }
}

#[tokio::test]
async fn whatever_is_left_open_is_simply_asked_again() {
    let recipient = ("retry", Some(Scope::Recipient), None);
    let half = "HTTP/1.1 201 X\r\ncontent-length: 99\r\n\r\n{\"id\":\"cnt";
    for (answer, expected) in [
        (raw("", Then::Close), recipient),
        (raw("", Then::Reset), recipient),
        (raw(half, Then::Close), recipient),
        (reply(500, &[], &refusal(500, "internal_error")), recipient),
        (reply(502, &[], "<html>"), recipient),
        (reply(503, &[], ""), recipient),
        (reply(504, &[], ""), recipient),
        (reply(408, &[], ""), recipient),
        (
            reply(503, &[("retry-after", "3")], ""),
            ("retry", Some(Scope::Account), Some(3)),
        ),
        (
            reply(429, &[], r#"{"retry_after":4}"#),
            ("retry", Some(Scope::Account), Some(4)),
        ),
        (
            reply(400, &[], &refusal(400, "invalid_input")),
            ("permanent", None, None),
        ),
        (
            reply(422, &[], &refusal(422, "unprocessable")),
            ("permanent", None, None),
        ),
        (
            reply(401, &[], &refusal(401, "unauthorized")),
            ("stop_run", None, None),
        ),
        (
            reply(403, &[], &refusal(403, "forbidden")),
            ("stop_run", None, None),
        ),
        (
            reply(302, &[("location", "/x")], ""),
            ("stop_run", None, None),
        ),
    ] {
        let (mut server, made) = asked(PHONE, None, vec![answer]).await;
        assert_eq!(gist(&made.unwrap_err()), expected);
        server.next();
        assert!(server.is_idle());
    }
    // The first try had worked: the second one is told so.
    let script = vec![raw("", Then::Close), conflict(), reply(200, &[], MADE)];
    let (_server, gateway) = pair(script);
    let contact = Contact {
        first_name: "Dana".to_owned(),
        last_name: None,
    };
    let to = Address::stored(PHONE).unwrap();
    assert!(gateway.contact(&to, &contact, &AtOnce).await.is_err());
    let made = gateway.contact(&to, &contact, &AtOnce).await;
    assert_eq!(made, Ok(Some("cnt_5f".to_owned())));
}
