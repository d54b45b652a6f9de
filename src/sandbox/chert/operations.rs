//! What each route takes and answers, as the `OpenAPI` document says it: one small description per
//! route. The forms of the bodies are in [`super::schemas`].

use super::actions::Action;
use super::errors::code as c;
use super::routes::Route;

/// What a route answers when it does what it was asked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    /// JSON in this form, with this status.
    Json(u16, &'static str),
    /// A file of any type.
    File,
    /// Server-sent events.
    Events,
}

/// What a request brings in its body.
#[derive(Debug, Clone, Copy)]
pub(super) enum Takes {
    Nothing,
    /// JSON in this form.
    Json(&'static str),
    /// The bytes of a file.
    File,
}

/// What a parameter behind the `?` is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked {
    Text,
    Moment,
    /// How many rows a page of the event log has.
    Rows,
    /// What became of an event.
    Fate,
}

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opens {
    Anybody,
    /// Bearer only: the bytes are not signed.
    Bearer,
    Tenant,
}

/// One route, described. Errors that come from credentials, bodies and paths as such are not
/// listed: they follow from the other fields.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operation {
    pub(super) route: Route,
    /// Its name in the document, and for readers what it is for.
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) opens: Opens,
    /// What may stand behind the `?`.
    pub(super) asks: &'static [(&'static str, Asked)],
    pub(super) takes: Takes,
    pub(super) answer: Answer,
    /// Codes with their usual status.
    pub(super) codes: &'static [u16],
    /// Codes that have another status here.
    pub(super) other: &'static [(u16, u16)],
}

/// What can be wrong with a message or its files, whichever way it is sent.
const POST: &[u16] = &[
    c::MISSING_FIELD,
    c::INVALID_FIELD,
    c::INVALID_PHONE,
    c::FIRST_MESSAGE_URL,
    c::TOO_MANY_PARTS,
    c::CONSECUTIVE_TEXT,
    c::TEXT_TOO_LONG,
    c::REF_MISMATCH,
    c::INVALID_STATE,
    c::PHONE_NOT_ASSIGNED,
    c::CHAT_NOT_FOUND,
    c::DELIVERY_FAILED,
    c::LINES_SATURATED,
    c::UNKNOWN_EFFECT,
    c::ATTACHMENT_NOT_FOUND,
    c::ATTACHMENT_NOT_UPLOADED,
];
/// What a change of a group can come to.
const GROUP: &[u16] = &[
    c::MISSING_FIELD,
    c::INVALID_FIELD,
    c::TOO_MANY_PARTS,
    c::CHAT_NOT_FOUND,
    c::INVALID_STATE,
    c::DELIVERY_FAILED,
];
/// What something smaller in a chat can come to.
const ACTION: &[u16] = &[
    c::MISSING_FIELD,
    c::INVALID_FIELD,
    c::CHAT_NOT_FOUND,
    c::INVALID_STATE,
    c::DELIVERY_FAILED,
];
/// The same for a message that is named.
const OF_MESSAGE: &[u16] = &[
    c::MISSING_FIELD,
    c::INVALID_FIELD,
    c::MESSAGE_NOT_FOUND,
    c::INVALID_STATE,
    c::DELIVERY_FAILED,
    c::TEXT_TOO_LONG,
];
const NO_LINE: (u16, u16) = (c::NOT_SUPPORTED, 501);
const NOT_HERE: (u16, u16) = (c::NOT_SUPPORTED, 422);

const fn op(route: Route, name: &'static str, about: &'static str) -> Operation {
    Operation {
        route,
        name,
        about,
        opens: Opens::Tenant,
        asks: &[],
        takes: Takes::Nothing,
        answer: Answer::Json(200, ""),
        codes: &[],
        other: &[],
    }
}

impl Operation {
    const fn open_to(self, opens: Opens) -> Self {
        Self { opens, ..self }
    }

    const fn asks(self, asks: &'static [(&'static str, Asked)]) -> Self {
        Self { asks, ..self }
    }

    const fn takes(self, form: &'static str) -> Self {
        Self {
            takes: Takes::Json(form),
            ..self
        }
    }

    const fn gives(self, form: &'static str) -> Self {
        Self {
            answer: Answer::Json(200, form),
            ..self
        }
    }

    const fn fails(self, codes: &'static [u16], other: &'static [(u16, u16)]) -> Self {
        Self {
            codes,
            other,
            ..self
        }
    }
}

/// Every route of the table but the one for what is not in it.
#[rustfmt::skip]
pub(super) const OPERATIONS: &[Operation] = &[
    op(Route::Register, "register", "Make an account")
        .open_to(Opens::Anybody).takes("Registration").gives("Registered").fails(&[c::MISSING_FIELD, c::INVALID_FIELD, c::ACCOUNT_LIMIT], &[]),
    op(Route::Send, "send", "Send to one person")
        .takes("Send").gives("Sent").fails(POST, &[]),
    op(Route::Chats, "createChat", "Open a chat with its first message")
        .takes("NewChat").gives("ChatAndMessage")
        .fails(POST, &[(c::TOO_MANY_PARTS, 422), (c::PHONE_NOT_ASSIGNED, 403), NO_LINE]),
    op(Route::Messages, "followUp", "Send in a chat")
        .takes("FollowUp").gives("OneMessage").fails(POST, &[]),
    op(Route::History, "history", "The latest messages of a chat")
        .gives("History").fails(&[c::CHAT_NOT_FOUND], &[]),
    op(Route::Act(Action::Rename), "rename", "Change the name or the icon of a group")
        .takes("Rename").gives("Renamed").fails(GROUP, &[NO_LINE]),
    op(Route::Act(Action::Typing), "typing", "Show that somebody types")
        .takes("Typing").gives("Typed").fails(ACTION, &[NOT_HERE]),
    op(Route::Act(Action::MarkRead), "markRead", "Mark what came in as read")
        .gives("ChatStatus").fails(ACTION, &[(c::INVALID_FIELD, 422), NO_LINE]),
    op(Route::Act(Action::AddParticipant), "addParticipant", "Take somebody into a group")
        .takes("Participant").gives("Added").fails(GROUP, &[(c::TOO_MANY_PARTS, 422), NOT_HERE]),
    op(Route::Act(Action::RemoveParticipant), "removeParticipant", "Take somebody out of a group")
        .gives("Removed").fails(GROUP, &[NOT_HERE]),
    op(Route::Act(Action::Leave), "leave", "Leave a group")
        .gives("ChatStatus").fails(GROUP, &[NO_LINE]),
    op(Route::Act(Action::SendContact), "sendContact", "Send a contact card in a chat")
        .takes("Card").gives("ChatStatus").fails(POST, &[NOT_HERE]),
    op(Route::Act(Action::SendContactTo), "sendContactTo", "Send a contact card to a person")
        .takes("CardTo").gives("ChatStatus").fails(POST, &[NOT_HERE]),
    op(Route::Act(Action::ShareInfo), "shareInfo", "Share the line's own name and photo in a chat")
        .gives("ChatStatus").fails(ACTION, &[NO_LINE]),
    op(Route::Act(Action::ShareInfoTo), "shareInfoTo", "Share the line's own name and photo with a person")
        .takes("ShareTo").gives("ChatStatus").fails(ACTION, &[NO_LINE]),
    Operation {
        answer: Answer::Json(202, "Placed"),
        ..op(Route::Locations, "location", "Send a place on the map")
            .takes("Location").fails(POST, &[NOT_HERE])
    },
    op(Route::Message, "message", "How a message stands")
        .gives("OneMessage").fails(&[c::MESSAGE_NOT_FOUND], &[]),
    op(Route::Act(Action::React), "react", "React to a message")
        .takes("Reaction").gives("Reacted").fails(OF_MESSAGE, &[]),
    op(Route::Act(Action::Edit), "edit", "Change the text of a message that was sent")
        .takes("Edit").gives("Edited").fails(OF_MESSAGE, &[NO_LINE]),
    op(Route::Attachments, "createAttachment", "Announce a file")
        .takes("Attachment").gives("Slot")
        .fails(&[c::MISSING_FIELD, c::INVALID_FIELD, c::ATTACHMENT_TOO_LARGE, c::UNSUPPORTED_MIME], &[]),
    Operation {
        takes: Takes::File,
        ..op(Route::Upload, "upload", "Send the bytes of an announced file")
            .open_to(Opens::Bearer).gives("Uploaded")
            .fails(&[c::ATTACHMENT_NOT_FOUND, c::ATTACHMENT_TOO_LARGE, c::UNSUPPORTED_MIME, c::INVALID_STATE], &[])
    },
    Operation {
        answer: Answer::File,
        ..op(Route::Download, "download", "The bytes of a file that a person sent")
            .fails(&[c::ATTACHMENT_NOT_FOUND], &[])
    },
    op(Route::PhoneNumbers, "phoneNumbers", "The sender lines").gives("PhoneNumbers"),
    op(Route::Events, "events", "The event log, newest first")
        .asks(&[("type", Asked::Text), ("status", Asked::Fate), ("lead_id", Asked::Text),
            ("since", Asked::Moment), ("limit", Asked::Rows), ("cursor", Asked::Text)])
        .gives("Events").fails(&[c::INVALID_FIELD], &[]),
    Operation {
        answer: Answer::Events,
        ..op(Route::EventStream, "eventStream", "The event log as it grows")
            .asks(&[("since", Asked::Moment)]).fails(&[c::INVALID_FIELD], &[])
    },
    op(Route::Event, "event", "One event").gives("Event").fails(&[c::RESOURCE_NOT_FOUND], &[]),
    op(Route::Replay, "replay", "Tell subscribers of an event once more")
        .asks(&[("subscription_id", Asked::Text)]).gives("Replayed").fails(&[c::INVALID_FIELD, c::RESOURCE_NOT_FOUND, c::DELIVERY_ERROR], &[]),
    op(Route::DevInbox, "devInbox", "The events that went to the inbox for development")
        .asks(&[("since", Asked::Moment), ("limit", Asked::Rows), ("cursor", Asked::Text)]).gives("Events").fails(&[c::INVALID_FIELD], &[]),
    op(Route::Subscribe, "subscribe", "Be told of events")
        .takes("NewSubscription").gives("Subscribed").fails(&[c::MISSING_FIELD, c::INVALID_FIELD], &[]),
    op(Route::Subscriptions, "subscriptions", "Every subscription, newest first").gives("Subscriptions"),
    op(Route::Subscription, "subscription", "One subscription")
        .gives("OneSubscription").fails(&[c::RESOURCE_NOT_FOUND], &[]),
    op(Route::ChangeSubscription, "changeSubscription", "Change a subscription, or switch it on or off")
        .takes("SubscriptionChange").gives("OneSubscription").fails(&[c::INVALID_FIELD, c::RESOURCE_NOT_FOUND], &[]),
    op(Route::Unsubscribe, "unsubscribe", "End a subscription")
        .gives("Unsubscribed").fails(&[c::RESOURCE_NOT_FOUND], &[]),
];
