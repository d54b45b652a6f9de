//! What goes on the wire, to the byte.

use jiff::SignedDuration;
use sendoff::domain::account::ChertAuth;
use sendoff::domain::outcome::{Outcome, Scope};
use sendoff::domain::phone::Phone;
use sendoff::gateway::{Gateway, GatewayError, Line};

use super::server::{Then, raw, reply};
use super::{SECRET, TAKEN, account, gateway_of, pair, request};

const FIRST_BODY: &str = concat!(
    r#"{"from":"+12025550188","to":["+12025550143"],"message":{"parts":["#,
    r#"{"type":"media","attachment_id":"att_7"},"#,
    r#"{"type":"text","value":"Hi Dana, it's “Joe” 🚰"},"#,
    r#"{"type":"rich_link","url":"https://search.example/review?placeid=a&b","title":"Review"}],"#,
    r#""idempotency_key":"so1-b5b0f38089d494d9a50ad472756d85af7d8367ca"}}"#
);
/// `hmac.new(SECRET, b"1781082900." + FIRST_BODY, "sha256").hexdigest()` in Python.
const FIRST_SIGNATURE: &str = "6a5aed53980a97b0a53577bdfc2338f85bb01cb7ff13cac9731a69e0a53c3c25";
/// The same over the empty body.
const EMPTY_SIGNATURE: &str = "e011a101178090bb43507ac00e49628adc9c9b2d551c8813db164a48029aa767";

fn signed(seconds: i64, hex: &str) -> String {
    format!("v1,{seconds},{hex}")
}

#[tokio::test]
async fn a_first_message_is_this_request_and_no_other() {
    let (mut server, gateway) = pair(vec![reply(200, &[], TAKEN)]);
    let outcome = gateway.send(&request(&gateway, None)).await;
    assert_eq!(
        outcome,
        Outcome::Accepted {
            message_id: Some("msg_1".to_owned()),
            chat_id: Some("ch_1".to_owned())
        }
    );
    let got = server.next();
    assert_eq!(got.line(), "POST /api/v1/chats HTTP/1.1");
    assert_eq!(got.text(), FIRST_BODY);
    let mut headers: Vec<&str> = got.head.lines().skip(1).collect();
    headers.sort_unstable();
    assert_eq!(
        headers,
        [
            "accept: */*",
            &format!("content-length: {}", FIRST_BODY.len()),
            "content-type: application/json",
            &format!("host: {}", server.address),
            concat!("user-agent: sendoff/", env!("CARGO_PKG_VERSION")),
            &format!(
                "x-chert-signature: {}",
                signed(1_781_082_900, FIRST_SIGNATURE)
            ),
            "x-chert-tenant: acme-7a3f",
        ]
    );
}

#[tokio::test]
async fn a_follow_up_goes_to_its_chat() {
    let (mut server, gateway) = pair(vec![reply(200, &[], TAKEN)]);
    let follow_up = request(&gateway, Some("iMessage;+;chat 4/2"));
    gateway.send(&follow_up).await;
    let got = server.next();
    assert_eq!(
        got.line(),
        "POST /api/v1/chats/iMessage%3B%2B%3Bchat%204%2F2/messages HTTP/1.1"
    );
    assert!(got.text().starts_with(r#"{"message":{"parts":["#));
}

#[tokio::test]
async fn every_try_sends_the_same_bytes_on_the_same_connection() {
    let busy = || reply(503, &[], r#"{"error":{"code":3002,"retryable":true}}"#);
    let (mut server, gateway) = pair(vec![busy(), busy(), reply(200, &[], TAKEN)]);
    let tries = [(); 3].map(|()| request(&gateway, None));
    assert_eq!(tries[0], tries[1]);
    for request in &tries {
        gateway.send(request).await;
    }
    for _ in 0..3 {
        let got = server.next();
        assert_eq!((got.connection, got.text()), (0, FIRST_BODY));
    }
}

#[tokio::test]
async fn a_bearer_account_sends_the_token_and_no_signature() {
    let (mut server, _) = pair(vec![reply(200, &[], TAKEN)]);
    let gateway = gateway_of(sendoff::domain::account::ChertAccount {
        auth: ChertAuth::Bearer,
        tenant: None,
        ..account(&format!("{}/", server.base_url()))
    })
    .unwrap();
    gateway.send(&request(&gateway, None)).await;
    let got = server.next();
    assert_eq!(got.line(), "POST /api/v1/chats HTTP/1.1");
    let bearer = format!("Bearer {SECRET}");
    assert_eq!(got.header("authorization"), Some(bearer.as_str()));
    assert_eq!(got.header("x-chert-signature"), None);
    assert_eq!(got.header("x-chert-tenant"), None);
}

const SKEWED: &str =
    r#"{"success":false,"error":{"status":401,"code":2013,"message":"skew","retryable":false}}"#;

#[tokio::test]
async fn a_wrong_clock_is_set_by_the_answer_and_the_request_signed_once_more() {
    let date = [("date", "Wed, 10 Jun 2026 09:25:00 GMT")];
    let taken = || reply(200, &[], TAKEN);
    let (mut server, gateway) = pair(vec![reply(401, &date, SKEWED), taken(), taken()]);
    for _ in 0..2 {
        let outcome = gateway.send(&request(&gateway, None)).await;
        assert_eq!(outcome.class().as_str(), "accepted");
    }
    let seconds: Vec<String> = (0..3)
        .map(|_| {
            let got = server.next();
            assert_eq!(got.text(), FIRST_BODY);
            let signature = got.header("x-chert-signature").unwrap().to_owned();
            signature.split(',').nth(1).unwrap().to_owned()
        })
        .collect();
    assert_eq!(seconds, ["1781082900", "1781083500", "1781083500"]);
}

#[tokio::test]
async fn a_clock_that_stays_wrong_stops_the_run_after_one_more_try() {
    let date = [("date", "Wed, 10 Jun 2026 09:25:00 GMT")];
    let skewed = || reply(401, &date, SKEWED);
    let (mut server, gateway) = pair(vec![skewed(), skewed()]);
    let outcome = gateway.send(&request(&gateway, None)).await;
    let failure = outcome.failure().unwrap();
    assert_eq!(
        (outcome.class().as_str(), failure.code),
        ("stop_run", Some(2013))
    );
    assert!(failure.text.contains("clock"));
    server.next();
    server.next();
    assert!(server.is_idle());
}

#[tokio::test]
async fn a_wrong_clock_without_a_date_to_set_it_by_stops_the_run_at_once() {
    let (mut server, gateway) = pair(vec![reply(401, &[], SKEWED)]);
    let outcome = gateway.send(&request(&gateway, None)).await;
    assert_eq!(outcome.class().as_str(), "stop_run");
    server.next();
    assert!(server.is_idle());
}

#[tokio::test]
async fn the_lines_are_those_that_can_be_addressed() {
    let body = r#"{"phone_numbers":[
        {"id":"pl_9K","phone_line_id":"pl_9K","phone_number":"+12025550188","service":"imessage",
         "is_active":true,"capabilities":["imessage","send"],"new":1},
        {"phone_line_id":"pl_2","phone_number":"+12025550189","is_active":false},
        {"id":"pl_3","phone_number":"none"},
        7]}"#;
    let (mut server, gateway) = pair(vec![reply(200, &[], body)]);
    let line = |id: &str, phone: &str, active| Line {
        id: id.to_owned(),
        phone: Phone::from_e164(phone).unwrap(),
        active,
    };
    assert_eq!(
        gateway.lines().await.unwrap(),
        [
            line("pl_9K", "+12025550188", true),
            line("pl_2", "+12025550189", false)
        ]
    );
    let got = server.next();
    assert_eq!(got.line(), "GET /api/v1/phone-numbers HTTP/1.1");
    let signature = signed(1_781_082_900, EMPTY_SIGNATURE);
    assert_eq!(got.header("x-chert-signature"), Some(signature.as_str()));
    assert_eq!((got.header("content-length"), got.text()), (None, ""));
}

#[tokio::test]
async fn lines_that_cannot_be_had_say_what_to_look_at() {
    let refused = r#"{"error":{"code":2004,"retryable":false}}"#;
    for (answer, class, words) in [
        (reply(401, &[], refused), "stop_run", "signing secret"),
        (reply(404, &[], "<html>"), "stop_run", "base_url"),
        (
            reply(200, &[], "<html>console</html>"),
            "stop_run",
            "base_url",
        ),
        (
            reply(302, &[("location", "/login")], ""),
            "stop_run",
            "base_url",
        ),
        (reply(502, &[], "<html>"), "retry", "fault"),
        (raw("", Then::Close), "retry", "broke"),
    ] {
        let (_server, gateway) = pair(vec![answer]);
        let outcome = gateway.lines().await.unwrap_err();
        assert_eq!(outcome.class().as_str(), class, "{outcome:?}");
        assert!(
            outcome.failure().unwrap().text.contains(words),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn where_no_one_listens_nothing_was_sent() {
    // Bound but never listened on, so that no one else gets the port and everyone is refused.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let gateway = gateway_of(account(&format!("http://{address}/api/v1"))).unwrap();
    let outcome = gateway.send(&request(&gateway, None)).await;
    let Outcome::Retry {
        after,
        scope,
        failure,
    } = outcome
    else {
        panic!("{outcome:?}");
    };
    // The wire's own wait, for everybody: it uses up no attempts.
    let first = Some(SignedDuration::from_secs(1));
    assert_eq!((after, scope), (first, Scope::Account));
    assert!(failure.text.contains("refuses connections"), "{failure:?}");
    assert!(failure.text.contains(&address.to_string()), "{failure:?}");
}

#[test]
fn an_account_that_cannot_work_is_refused_before_anything_is_sent() {
    let base = "https://console.trychert.com/api/v1";
    let insecure = account("http://console.trychert.com/api/v1");
    assert!(matches!(
        gateway_of(insecure),
        Err(GatewayError::BaseUrl { .. })
    ));
    let no_tenant = sendoff::domain::account::ChertAccount {
        tenant: None,
        ..account(base)
    };
    assert_eq!(gateway_of(no_tenant).unwrap_err(), GatewayError::NoTenant);
    for timeout in [SignedDuration::ZERO, SignedDuration::from_secs(-1)] {
        let hasty = sendoff::domain::account::ChertAccount {
            timeout,
            ..account(base)
        };
        assert_eq!(gateway_of(hasty).unwrap_err(), GatewayError::BadTimeout);
    }
}

#[test]
fn nothing_that_is_shown_has_the_secret_or_the_message() {
    let gateway = gateway_of(account("http://127.0.0.1:9/api/v1")).unwrap();
    let shown = format!("{gateway:?} {:?}", request(&gateway, None));
    assert!(
        !shown.contains("0123") && !shown.contains("Dana") && !shown.contains("555"),
        "{shown}"
    );
}
