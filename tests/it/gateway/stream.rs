//! The event stream against bytes written by hand: what is asked for, what is told, and how it
//! ends. And a request that is taken back while it waits for its connection.

use sendoff::gateway::{AtOnce, Recall, Telling, Told};
use tokio::io::AsyncReadExt as _;

use super::*;
use crate::gateway::server::{Then, raw, reply};

const EVENT: &str = r#"data: {"type":"message.received","event_id":"evt-1","created_at":"2026-06-10T16:05:42Z","payload":{"from":"+12025550143","to":"+12025550188","text":"STOP","event_id":"evt-1"}}"#;

/// A stream of this text, in one piece that is as long as it says.
fn answer_of(text: &str, then: Then) -> Reply {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
                transfer-encoding: chunked\r\n\r\n";
    raw(format!("{head}{:x}\r\n{text}\r\n", text.len()), then)
}

async fn opened(replies: Vec<Reply>) -> (Server, Box<dyn Telling>) {
    let (server, gateway) = pair(replies);
    let since = "2026-06-10T09:00:00Z".parse().unwrap();
    let opened = gateway.stream(Some(since), &AtOnce).await.unwrap();
    (server, opened.expect("there is a stream"))
}

fn name(told: &Told) -> &str {
    match told {
        Told::Reply(reply) => &reply.event_id,
        Told::Unreadable => "unreadable",
        Told::Closed => "closed",
        Told::Broken(why) => why,
    }
}

async fn all(mut stream: Box<dyn Telling>) -> Vec<String> {
    let mut names = Vec::new();
    loop {
        let told = stream.next().await;
        names.push(name(&told).to_owned());
        if matches!(told, Told::Closed | Told::Broken(_)) {
            return names;
        }
    }
}

#[tokio::test]
async fn rows_and_bare_envelopes_are_told_until_the_stream_closes() {
    let bare = EVENT.replace("evt-1", "evt-2");
    let bare = bare.split_once(r#""payload":"#).unwrap().1;
    let bare = bare.strip_suffix('}').unwrap().replace(
        r#""event_id""#,
        r#""timestamp":"2026-06-10T16:05:43Z","event_id""#,
    );
    let text = format!(
        ": hi\n\nid: 1\nevent: message.received\n{EVENT}\n\ndata: {bare}\n\ndata: no json\n\n\
         data: {{\"type\":\"reaction.added\"}}\n\nevent: close\n\n{EVENT}\n\n"
    );
    let (mut server, stream) = opened(vec![answer_of(&text, Then::Hang)]).await;
    assert_eq!(
        all(stream).await,
        ["evt-1", "evt-2", "unreadable", "closed"]
    );
    let request = server.next();
    assert_eq!(
        request.line(),
        "GET /api/v1/events/stream?since=2026-06-10T09%3A00%3A00.000Z HTTP/1.1"
    );
    assert_eq!(request.header("accept"), Some("text/event-stream"));
    assert!(request.header("x-chert-signature").is_some());
}

#[tokio::test]
async fn a_stream_that_is_cut_in_the_middle_of_an_event_tells_the_whole_ones_and_breaks() {
    for then in [Then::Close, Then::Reset] {
        let half = EVENT.split_at(60).0;
        let text = format!("{EVENT}\n\nevent: message.received\n{half}");
        let (_server, stream) = opened(vec![answer_of(&text, then)]).await;
        assert_eq!(all(stream).await.len(), 2, "one event, and the end");
    }
}

#[tokio::test]
async fn a_line_without_an_end_breaks_the_stream() {
    let text = format!("{EVENT}\n\ndata: {}", "x".repeat(1_100_000));
    let (_server, stream) = opened(vec![answer_of(&text, Then::Hang)]).await;
    assert_eq!(
        all(stream).await.last().unwrap(),
        "a line of it does not end"
    );
}

#[tokio::test]
async fn a_provider_without_a_stream_is_told_from_one_that_refuses() {
    let none = r#"{"success":false,"error":{"code":2011,"message":"no"}}"#;
    for answer in [reply(404, &[], none), reply(404, &[], "<html>")] {
        let (_server, gateway) = pair(vec![answer]);
        assert!(gateway.stream(None, &AtOnce).await.unwrap().is_none());
    }
    let denied = r#"{"success":false,"error":{"code":2004,"message":"no"}}"#;
    let (_server, gateway) = pair(vec![reply(401, &[], denied)]);
    let refused = gateway.stream(None, &AtOnce).await.unwrap_err();
    assert!(matches!(refused, Outcome::StopRun { .. }), "{refused:?}");
    let (_server, gateway) = pair(vec![reply(200, &[], "{}")]);
    let odd = gateway.stream(None, &AtOnce).await.unwrap_err();
    assert!(matches!(odd, Outcome::Retry { .. }), "{odd:?}");
}

#[tokio::test]
async fn a_stream_is_not_ended_by_the_time_that_an_answer_may_take() {
    let server = Server::start(vec![answer_of(&format!("{EVENT}\n\n"), Then::Hang)]);
    let short = ChertAccount {
        timeout: SignedDuration::from_millis(300),
        ..account(&server.base_url())
    };
    let gateway = gateway_of(short).unwrap();
    let mut stream = gateway.stream(None, &AtOnce).await.unwrap().unwrap();
    assert_eq!(name(&stream.next().await), "evt-1");
    let longer = std::time::Duration::from_millis(900);
    let silent = tokio::time::timeout(longer, stream.next()).await;
    assert!(silent.is_err(), "it is still open: {silent:?}");
}

#[tokio::test]
async fn a_request_that_is_taken_back_while_it_waits_for_its_connection_does_not_leave() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/api/v1", listener.local_addr().unwrap());
    let gateway = gateway_of(account(&base)).unwrap();
    let message = request(&gateway, None);
    let recall = Recall::new(|| true);
    let (outcome, heard) = tokio::join!(gateway.send_unless(&message, &recall), async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.ok();
        bytes
    });
    assert_eq!(outcome, None);
    assert!(heard.is_empty(), "{} bytes have left", heard.len());
}

#[tokio::test]
async fn a_request_that_is_not_taken_back_is_the_same_as_ever() {
    let (mut server, gateway) = pair(vec![reply(200, &[], TAKEN), reply(200, &[], TAKEN)]);
    let message = request(&gateway, None);
    let outcome = gateway.send(&message).await;
    let guarded = gateway.send_unless(&message, &Recall::new(|| false)).await;
    assert_eq!(guarded, Some(outcome));
    let (plain, guarded) = (server.next(), server.next());
    assert_eq!(plain.head, guarded.head);
    assert_eq!(plain.body, guarded.body);
    assert_eq!(guarded.connection, 0, "the connection is kept");
}
