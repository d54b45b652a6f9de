//! What goes on the wire, to the byte.

use sendoff::domain::channel::Channel;
use sendoff::domain::outcome::{Outcome, Scope};
use sendoff::gateway::{Gateway, Recall};

use super::{KEY, TAKEN, TEXT, gateway_at, gist, message, pair, request, request_for, sought};
use crate::gateway::server::reply;

#[tokio::test]
async fn a_message_is_this_request_and_no_other() {
    let (mut server, gateway) = pair(vec![reply(201, &[], TAKEN)]);
    let outcome = gateway.send(&request()).await;
    assert_eq!(
        outcome,
        Outcome::Accepted {
            message_id: Some("msg_0b7e44c1d2".to_owned()),
            chat_id: Some("conv_91af3d".to_owned())
        }
    );
    let got = server.next();
    let body =
        r#"{"channel":"whatsapp","message_type":"text","content":"Hi Dana, your parcel is here"}"#;
    assert_eq!(got.line(), "POST /v2/contact/cnt_5f/message HTTP/1.1");
    assert_eq!(got.text(), body);
    let mut headers: Vec<&str> = got.head.lines().skip(1).collect();
    headers.sort_unstable();
    // Nothing that is meant to make a repeat harmless: nobody promises that it would.
    assert_eq!(
        headers,
        [
            "accept: */*",
            &format!("content-length: {}", body.len()),
            "content-type: application/json",
            &format!("host: {}", server.address),
            concat!("user-agent: sendoff/", env!("CARGO_PKG_VERSION")),
            &format!("x-api-key: {KEY}"),
        ]
    );
    assert!(server.is_idle());
}

#[tokio::test]
async fn each_kind_of_message_has_its_own_fields() {
    use Channel::{Email, Instagram, Sms, Whatsapp};
    for (channel, parts, body) in [
        (
            Sms,
            r#"[{"type":"text","value":"Hi “Dana” 🚰\n"},{"type":"rich_link","url":"https://x.example/a?b=c&d"}]"#,
            r#"{"channel":"sms","message_type":"text","content":"Hi “Dana” 🚰\n\nhttps://x.example/a?b=c&d"}"#,
        ),
        (
            Whatsapp,
            r#"[{"type":"template","name":"parcel_ready","parameters":{"3":"5 March","1":"Asha","2":"PX \"204\""}}]"#,
            r#"{"channel":"whatsapp","message_type":"template","template_name":"parcel_ready","template_parameters":{"1":"Asha","2":"PX \"204\"","3":"5 March"}}"#,
        ),
        (
            Whatsapp,
            r#"[{"type":"template","name":"welcome","language":"en_US","parameters":{}}]"#,
            r#"{"channel":"whatsapp","message_type":"template","template_name":"welcome","template_language":"en_US"}"#,
        ),
        (
            Instagram,
            r#"[{"type":"media","url":"https://x.example/a.PNG?v=2"}]"#,
            r#"{"channel":"instagram","message_type":"image","media_url":"https://x.example/a.PNG?v=2"}"#,
        ),
        (
            Whatsapp,
            r#"[{"type":"media","url":"https://x.example/a.jpg"},{"type":"text","value":"Look"}]"#,
            r#"{"channel":"whatsapp","message_type":"image","content":"Look","media_url":"https://x.example/a.jpg"}"#,
        ),
        (
            Whatsapp,
            r#"[{"type":"text","value":"Our menu"},{"type":"media","url":"https://x.example/menu.pdf"}]"#,
            r#"{"channel":"whatsapp","message_type":"document","content":"Our menu","media_url":"https://x.example/menu.pdf","filename":"menu.pdf"}"#,
        ),
        (
            Email,
            r#"[{"type":"text","value":"It is ready","subject":"Your parcel"}]"#,
            r#"{"channel":"email","message_type":"text","subject":"Your parcel","content":"It is ready"}"#,
        ),
    ] {
        let (mut server, gateway) = pair(vec![reply(201, &[], TAKEN)]);
        let request = request_for(channel, "+12025550143", Some("cnt_5f"), parts);
        gateway.send(&request).await;
        let got = server.next();
        assert_eq!(got.text(), body);
        assert_eq!(got.line(), "POST /v2/contact/cnt_5f/message HTTP/1.1");
        assert!(server.is_idle(), "one request");
    }
}

#[tokio::test]
async fn a_name_of_the_provider_stays_one_piece_of_the_path() {
    for (to, contact_id, path) in [
        (
            "+12025550143",
            Some("cnt/../5f?x#y z"),
            "cnt%2F..%2F5f%3Fx%23y%20z",
        ),
        ("+12025550143", None, "%2B12025550143"),
        ("dana@example.org", None, "dana%40example.org"),
    ] {
        let (mut server, gateway) = pair(vec![reply(201, &[], TAKEN)]);
        gateway
            .send(&request_for(Channel::Sms, to, contact_id, TEXT))
            .await;
        let line = format!("POST /v2/contact/{path}/message HTTP/1.1");
        assert_eq!(server.next().line(), line);
    }
}

#[tokio::test]
async fn what_is_only_asked_has_the_key_and_no_body() {
    let empty = r#"{"data":[],"pagination":{"limit":1,"offset":0,"total":0,"has_more":false}}"#;
    let (mut server, gateway) = pair(vec![reply(200, &[], empty); 3]);
    assert_eq!(gateway.lines().await.unwrap(), []);
    let message = message(TEXT);
    let others = std::collections::HashSet::new();
    let sought = sought(&message, None, &others);
    gateway
        .find(&sought, &sendoff::gateway::AtOnce)
        .await
        .unwrap();
    gateway.templates(&sendoff::gateway::AtOnce).await.unwrap();
    for path in [
        "/v2/contacts?limit=1",
        "/v2/conversations?status=all&sort=last_message_at%3Adesc&channel=whatsapp&limit=100&offset=0",
        "/v2/channels/whatsapp/templates?limit=100&offset=0",
    ] {
        let got = server.next();
        assert_eq!(got.line(), format!("GET {path} HTTP/1.1"));
        assert_eq!(got.header("x-api-key"), Some(KEY));
        for absent in ["authorization", "content-type", "content-length", "cookie"] {
            assert_eq!(got.header(absent), None, "{absent}");
        }
        assert_eq!(got.text(), "");
    }
    assert!(server.is_idle());
}

#[tokio::test]
async fn no_redirect_is_followed_and_nothing_is_sent_twice() {
    for status in [300, 301, 302, 303, 304, 307, 308, 399] {
        let moved = reply(status, &[("location", "/v2/elsewhere")], "");
        let (mut server, gateway) = pair(vec![moved]);
        let outcome = gateway.send(&request()).await;
        // Those that answer a request which was done, or say nothing about it, prove nothing.
        let expected = if [301, 302, 307, 308].contains(&status) {
            assert!(outcome.why().contains("base_url"), "{outcome:?}");
            "stop_run"
        } else {
            "uncertain"
        };
        assert_eq!(gist(&outcome), (expected, None, None), "{status}");
        server.next();
        assert!(server.is_idle(), "{status}");
    }
}

#[tokio::test]
async fn every_try_sends_the_same_bytes_on_the_same_connection() {
    let busy = || reply(429, &[("retry-after", "1")], "");
    let (mut server, gateway) = pair(vec![busy(), busy(), reply(201, &[], TAKEN)]);
    for _ in 0..3 {
        gateway.send(&request()).await;
    }
    let first = server.next();
    for _ in 0..2 {
        let got = server.next();
        assert_eq!(
            (got.connection, &got.body, &got.head),
            (0, &first.body, &first.head)
        );
    }
}

#[tokio::test]
async fn a_message_that_is_recalled_puts_nothing_on_the_wire() {
    let (mut server, gateway) = pair(vec![reply(201, &[], TAKEN)]);
    let outcome = gateway.send_unless(&request(), &Recall::new(|| true)).await;
    assert_eq!(outcome, None);
    assert!(server.is_idle());
    let outcome = gateway
        .send_unless(&request(), &Recall::new(|| false))
        .await;
    assert_eq!(outcome.unwrap().class().as_str(), "accepted");
    assert_eq!(server.next().body, &request().body[..]);
}

#[tokio::test]
async fn where_no_one_listens_nothing_was_sent() {
    // Bound but never listened on, so that no one else gets the port and everyone is refused.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let gateway = gateway_at(socket.local_addr().unwrap());
    let outcome = gateway.send(&request()).await;
    assert_eq!(gist(&outcome), ("retry", Some(Scope::Account), Some(1)));
    assert!(outcome.why().contains("refuses connections"), "{outcome:?}");
}
