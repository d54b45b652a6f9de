//! Requests of HueChat: what they ask for, byte for byte (huechat §6.1, §7.1). Nothing in them
//! makes a repeat harmless: there is no key and no field of the caller's.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::segment::segment;
use super::super::{Envelope, Request};
use crate::domain::address::Address;
use crate::domain::channel::Channel;
use crate::domain::contact::Contact;
use crate::domain::single::Single;

pub(super) const CONTACT: &str = "/contact";
pub(super) const CONTACTS: &str = "/contacts";
pub(super) const CONVERSATIONS: &str = "/conversations";
pub(super) const TEMPLATES: &str = "/channels/whatsapp/templates";

/// The path of a contact, by its id or its address (huechat §6.2).
pub(super) fn contact(identifier: &str) -> String {
    format!("{CONTACT}/{}", segment(identifier))
}

/// The path of a conversation's messages (huechat §7.3).
pub(super) fn messages_of(conversation_id: &str) -> String {
    format!("/conversation/{}/messages", segment(conversation_id))
}

/// The fields of a message, in the order in which they are written.
#[derive(Debug, Serialize)]
struct Body<'a> {
    channel: Channel,
    message_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template_language: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template_parameters: Option<&'a BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<&'a str>,
}

/// What the provider calls this kind of message.
pub(super) fn message_type(single: &Single<'_>) -> &'static str {
    match single {
        Single::Text { .. } => "text",
        Single::Image { .. } => "image",
        Single::Document { .. } => "document",
        Single::Template { .. } => "template",
    }
}

/// The request for one delivery. Needs no account: the same envelope gives the same bytes
/// anywhere. A person without a contact yet has the address in its place, which the provider may
/// take as well (huechat §7.1).
pub fn request(envelope: &Envelope<'_>) -> Request {
    let single = envelope.message.single();
    let mut body = Body {
        channel: envelope.channel.unwrap_or(Channel::Whatsapp),
        message_type: message_type(&single),
        subject: None,
        content: None,
        template_name: None,
        template_language: None,
        template_parameters: None,
        media_url: None,
        filename: None,
    };
    match &single {
        Single::Text { content, subject } => {
            body.content = Some(content);
            body.subject = *subject;
        }
        Single::Image {
            url,
            caption,
            subject,
        } => {
            body.media_url = Some(url);
            body.content = caption.as_deref();
            body.subject = *subject;
        }
        Single::Document {
            url,
            filename,
            caption,
            subject,
        } => {
            body.media_url = Some(url);
            body.filename = filename.as_deref();
            body.content = caption.as_deref();
            body.subject = *subject;
        }
        Single::Template {
            name,
            language,
            parameters,
        } => {
            body.template_name = Some(name);
            body.template_language = *language;
            body.template_parameters = (!parameters.is_empty()).then_some(parameters);
        }
    }
    let person = envelope.contact_id.unwrap_or(envelope.to.expose());
    Request {
        path: format!("{CONTACT}/{}/message", segment(person)),
        body: json(&body).into(),
    }
}

#[derive(Debug, Serialize)]
struct NewContact<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    first_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_name: Option<&'a str>,
}

/// The body that makes a person known (huechat §6.1).
pub(super) fn new_contact(to: &Address, contact: &Contact) -> Vec<u8> {
    let (phone, email) = match to {
        Address::Phone(phone) => (Some(phone.expose()), None),
        Address::Email(email) => (None, Some(email.expose())),
    };
    json(&NewContact {
        phone,
        email,
        first_name: &contact.first_name,
        last_name: contact.last_name.as_deref(),
    })
}

/// Strings under fixed names: there is nothing that could fail.
fn json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::key::IdempotencyKey;
    use crate::domain::message::Message;
    use crate::domain::run::RunId;

    fn built(channel: Channel, parts: &str) -> (String, String) {
        let message: Message = serde_json::from_str(parts).unwrap();
        let to = Address::stored("+12025550143").unwrap();
        let run = RunId::parse("order-update@once").unwrap();
        let request = request(&Envelope {
            to: &to,
            contact_id: Some("cnt_5f"),
            channel: Some(channel),
            chat_id: None,
            line: None,
            message: &message,
            attachments: &BTreeMap::new(),
            key: &IdempotencyKey::derive(&run, "C-1", 0, 0),
        });
        let body = String::from_utf8(request.body.to_vec()).unwrap();
        (request.path, body)
    }

    #[test]
    fn a_text_and_its_link_are_one_request() {
        let (path, body) = built(
            Channel::Sms,
            r#"[{"type":"text","value":"Hi “Dana”"},{"type":"rich_link","url":"https://x.example/a?b=c&d"}]"#,
        );
        assert_eq!(path, "/contact/cnt_5f/message");
        assert_eq!(
            body,
            r#"{"channel":"sms","message_type":"text","content":"Hi “Dana”\nhttps://x.example/a?b=c&d"}"#
        );
    }

    #[test]
    fn a_template_has_its_parameters_under_their_numbers() {
        let (_, body) = built(
            Channel::Whatsapp,
            r#"[{"type":"template","name":"parcel_ready","parameters":{"2":"PX-204","1":"Asha"}}]"#,
        );
        assert_eq!(
            body,
            r#"{"channel":"whatsapp","message_type":"template","template_name":"parcel_ready","template_parameters":{"1":"Asha","2":"PX-204"}}"#
        );
    }

    #[test]
    fn media_goes_by_its_address_and_takes_the_text_as_its_caption() {
        let (_, body) = built(
            Channel::Whatsapp,
            r#"[{"type":"media","url":"https://x.example/a.png"},{"type":"text","value":"Look"}]"#,
        );
        assert_eq!(
            body,
            r#"{"channel":"whatsapp","message_type":"image","content":"Look","media_url":"https://x.example/a.png"}"#
        );
        let (_, body) = built(
            Channel::Email,
            r#"[{"type":"media","url":"https://x.example/menu.pdf"},{"type":"text","value":"Our menu","subject":"New dishes"}]"#,
        );
        assert_eq!(
            body,
            r#"{"channel":"email","message_type":"document","subject":"New dishes","content":"Our menu","media_url":"https://x.example/menu.pdf","filename":"menu.pdf"}"#
        );
    }

    #[test]
    fn a_contact_is_made_of_the_address_and_the_name() {
        let contact = Contact {
            first_name: "Asha".to_owned(),
            last_name: None,
        };
        let mail = Address::stored("asha@example.org").unwrap();
        assert_eq!(
            String::from_utf8(new_contact(&mail, &contact)).unwrap(),
            r#"{"email":"asha@example.org","first_name":"Asha"}"#
        );
        assert_eq!(super::contact("+12025550143"), "/contact/%2B12025550143");
    }
}
