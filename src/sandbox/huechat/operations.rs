//! What each route takes and answers, as the `OpenAPI` document says it: one small description per
//! route. The forms of the bodies are in [`super::schemas`].

use super::errors::Error as E;
use super::routes::Route;

/// What a parameter behind the `?` is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked {
    Text,
    Limit,
    Offset,
    Word(&'static [&'static str]),
}

/// One route, described. Errors that come from keys, limits, bodies and paths as such are not
/// listed: they follow from the other fields.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operation {
    pub(super) route: Route,
    /// Its name in the document, and for readers what it is for.
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// What may stand behind the `?`.
    pub(super) asks: &'static [(&'static str, Asked)],
    /// JSON in this form; absent where it takes nothing.
    pub(super) takes: Option<&'static str>,
    /// The status, and JSON in this form; absent where there is no body.
    pub(super) answer: (u16, Option<&'static str>),
    pub(super) errors: &'static [E],
}

const PAGE: &[(&str, Asked)] = &[("limit", Asked::Limit), ("offset", Asked::Offset)];
const CHANNELS: Asked = Asked::Word(&["whatsapp", "sms", "email", "instagram"]);
const CONTACTS: &[(&str, Asked)] = &[
    ("limit", Asked::Limit),
    ("offset", Asked::Offset),
    (
        "status",
        Asked::Word(&["active", "inactive", "deleted", "all"]),
    ),
    ("channel", CHANNELS),
    ("search", Asked::Text),
    ("sort", Asked::Word(&super::contacts::SORTS)),
];
const CONVERSATIONS: &[(&str, Asked)] = &[
    ("limit", Asked::Limit),
    ("offset", Asked::Offset),
    (
        "status",
        Asked::Word(&["open", "closed", "archived", "all"]),
    ),
    ("channel", CHANNELS),
    ("assigned_to", Asked::Text),
    ("label", Asked::Text),
    ("search", Asked::Text),
    ("contact_id", Asked::Text),
    ("sort", Asked::Word(&super::conversations::SORTS)),
];
/// What sending can come to.
const SEND: &[E] = &[
    E::QuotaExceeded,
    E::Conflict,
    E::Unprocessable,
    E::OutsideWindow,
    E::TemplateNotFound,
    E::TemplateNotApproved,
    E::TemplateParameters,
    E::ChannelNotConnected,
    E::NotReachable,
];

const fn op(route: Route, name: &'static str, about: &'static str) -> Operation {
    Operation {
        route,
        name,
        about,
        asks: &[],
        takes: None,
        answer: (204, None),
        errors: &[],
    }
}

impl Operation {
    const fn asks(self, asks: &'static [(&'static str, Asked)]) -> Self {
        Self { asks, ..self }
    }

    const fn takes(self, form: &'static str) -> Self {
        Self {
            takes: Some(form),
            ..self
        }
    }

    const fn gives(self, status: u16, form: &'static str) -> Self {
        Self {
            answer: (status, Some(form)),
            ..self
        }
    }

    const fn fails(self, errors: &'static [E]) -> Self {
        Self { errors, ..self }
    }
}

/// Every route of the table.
#[rustfmt::skip]
pub(super) const OPERATIONS: &[Operation] = &[
    op(Route::CreateContact, "createContact", "Create a contact")
        .takes("NewContact").gives(201, "Contact").fails(&[E::Conflict]),
    op(Route::Contact, "getContact", "Find a contact by id, number or e-mail").gives(200, "Contact"),
    op(Route::ChangeContact, "updateContact", "Change what is named of a contact")
        .takes("ContactChange").gives(200, "Contact").fails(&[E::Conflict]),
    op(Route::DeleteContact, "deleteContact", "Delete a contact"),
    op(Route::Contacts, "listContacts", "List contacts").asks(CONTACTS).gives(200, "ContactList"),
    op(Route::Send, "sendMessage", "Send to a contact").takes("NewMessage").gives(201, "Message").fails(SEND),
    op(Route::Message, "getMessage", "Read a message").gives(200, "Message"),
    op(Route::Conversations, "listConversations", "List conversations")
        .asks(CONVERSATIONS).gives(200, "ConversationList"),
    op(Route::Conversation, "getConversation", "Read a conversation").gives(200, "Conversation"),
    op(Route::ChangeConversation, "updateConversation", "Change what is named of a conversation")
        .takes("ConversationChange").gives(200, "Conversation"),
    op(Route::Assign, "assignConversation", "Assign a conversation to a user or to nobody")
        .takes("Assignment").gives(200, "Conversation"),
    op(Route::Resolve, "resolveConversation", "Close a conversation").gives(200, "Conversation"),
    op(Route::History, "listMessages", "List the messages of a conversation").asks(PAGE).gives(200, "MessageList"),
    op(Route::Templates, "listTemplates", "List the WhatsApp templates").asks(PAGE).gives(200, "TemplateList"),
    op(Route::Channels, "listChannels", "List the connected channels").gives(200, "ChannelList"),
    op(Route::CreateWebhook, "createWebhook", "Ask to be told of events")
        .takes("NewWebhook").gives(201, "NewWebhookMade"),
    op(Route::Webhooks, "listWebhooks", "List the webhooks").asks(PAGE).gives(200, "WebhookList"),
    op(Route::Webhook, "getWebhook", "Read a webhook").gives(200, "Webhook"),
    op(Route::ChangeWebhook, "updateWebhook", "Change what is named of a webhook")
        .takes("WebhookChange").gives(200, "Webhook"),
    op(Route::DeleteWebhook, "deleteWebhook", "Delete a webhook"),
];
