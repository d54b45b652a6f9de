//! Whatever a provider repeats in its answers, no outcome shows the key, the message, or a whole
//! number or address.

use proptest::prelude::*;
use proptest::sample::select;
use secrecy::SecretString;
use sendoff::domain::address::Address;
use sendoff::domain::channel::Channel;
use sendoff::domain::contact::Contact;
use sendoff::gateway::huechat::HueChat;
use sendoff::gateway::{AtOnce, Gateway, Now};
use serde_json::json;

use super::{account, request_for};
use crate::gateway::server::{Received, Reply, Server, reply};

/// What an answer repeats of its request.
#[derive(Debug, Clone, Copy)]
enum Echo {
    Key,
    Body,
    /// The values in the body, one behind the other.
    Values,
    Path,
    /// Everything that was received.
    All,
}

/// Where it does.
#[derive(Debug, Clone, Copy)]
enum Place {
    Message,
    Quoted,
    Name,
    RequestId,
    Header,
    /// As the reason of a message that failed at once.
    Error,
    Html,
}

fn echoed(request: &Received, echo: Echo) -> String {
    let key = request.header("x-api-key").unwrap();
    let path = request.line().split(' ').nth(1).unwrap();
    match echo {
        Echo::Key => key.to_owned(),
        Echo::Body => request.text().to_owned(),
        Echo::Values => {
            let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let values = body
                .as_object()
                .into_iter()
                .flat_map(|fields| fields.values());
            let values: Vec<&str> = values.filter_map(|value| value.as_str()).collect();
            values.join(" ")
        }
        Echo::Path => path.to_owned(),
        Echo::All => format!("{path} {key} {}", request.text()),
    }
}

fn answer(request: &Received, status: u16, (echo, place, before): (Echo, Place, &str)) -> Reply {
    let said = format!("{before}{}", echoed(request, echo));
    let body = match place {
        Place::Message => json!({ "error": "unprocessable", "message": said }),
        Place::Quoted => json!({ "error": "unprocessable", "message": format!("'{said}' is bad") }),
        Place::Name => json!({ "error": said, "message": "No" }),
        Place::RequestId => json!({ "error": "conflict", "message": "No", "request_id": said }),
        Place::Header => json!({ "error": "conflict", "message": "No" }),
        Place::Error => json!({ "id": "msg_1", "status": "failed", "error": said }),
        Place::Html => return reply(status, &[], &format!("<html>{said}</html>")),
    };
    let header: String = said.chars().filter(char::is_ascii_graphic).collect();
    let headers = [("x-request-id", &*header)];
    let headers = if matches!(place, Place::Header) {
        &headers[..]
    } else {
        &[]
    };
    let status = if matches!(place, Place::Error) {
        201
    } else {
        status
    };
    reply(status, headers, &body.to_string())
}

/// Whom the message is to, in every sense of the word.
#[derive(Debug, Clone)]
struct Person {
    address: String,
    name: String,
    words: String,
    key: String,
}

fn person() -> impl Strategy<Value = Person> {
    let address = prop_oneof![
        "\\+1202555010[0-9]",
        "[a-z]{3,8}[.][a-z]{2,6}@[a-z]{4,8}[.]example",
    ];
    let words = "[A-Z][a-z]{3,8}, [a-z]{3,8} [0-9]{2} [a-zäß]{4,9} [a-z]{4,9}( “[a-z]{3,30}”){0,2}";
    (address, "Zq[a-z]{4,9}", words, "sk_test_[A-Za-z0-9]{12,24}").prop_map(
        |(address, name, words, key)| Person {
            address,
            name,
            words,
            key,
        },
    )
}

/// What must not be shown, in no case of letters.
fn hidden(person: &Person) -> Vec<String> {
    const PIECE: usize = 14;
    let words: Vec<char> = person.words.to_lowercase().chars().collect();
    let pieces = words.windows(PIECE).map(|piece| piece.iter().collect());
    let address = person.address.trim_start_matches('+').to_owned();
    let rest = [
        address,
        person.name.to_lowercase(),
        person.key.to_lowercase(),
    ];
    pieces.chain(rest).collect()
}

async fn shown(person: &Person, status: u16, how: (Echo, Place, &'static str)) -> Vec<String> {
    let server = Server::answering(move |request| answer(request, status, how));
    let now: Now = std::sync::Arc::new(super::now);
    let account = account(&format!("http://{}/v2", server.address));
    let key = SecretString::from(person.key.as_str());
    let gateway = HueChat::new(&account, key, now).unwrap();
    let parts = json!([{ "type": "text", "value": person.words }]).to_string();
    let request = request_for(Channel::Email, &person.address, None, &parts);
    let sent = gateway.send(&request).await;
    let contact = Contact {
        first_name: person.name.clone(),
        last_name: Some(person.name.clone()),
    };
    let to = Address::stored(&person.address).unwrap();
    let made = gateway.contact(&to, &contact, &AtOnce).await;
    let listed = gateway.lines().await;
    vec![
        format!("{sent:?}"),
        format!("{made:?}"),
        format!("{listed:?}"),
        format!("{gateway:?} {request:?}"),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 160, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_outcome_repeats_what_a_provider_repeats(
        person in person(),
        status in select(&[400u16, 401, 403, 404, 409, 422, 429, 500, 503][..]),
        echo in select(&[Echo::Key, Echo::Body, Echo::Values, Echo::Path, Echo::All][..]),
        place in select(&[Place::Message, Place::Quoted, Place::Name, Place::RequestId, Place::Header, Place::Error, Place::Html][..]),
        before in select(&["", "bad request: ", "131026: ", "it's not: "][..]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let shown = runtime.block_on(shown(&person, status, (echo, place, before)));
        let hidden = hidden(&person);
        for one in &shown {
            let plain = one.to_lowercase();
            let leak = hidden.iter().find(|hidden| plain.contains(hidden.as_str()));
            prop_assert_eq!(leak, None, "{}", one);
        }
    }
}
