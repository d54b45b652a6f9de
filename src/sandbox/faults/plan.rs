//! A fault plan as it is written down: rules, each with a kind, a share, limits and a match.
//! Does not count what happened; [`super::Desk`] does.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What goes wrong. Everything "before" means that nothing was accepted; everything "after"
/// means that the message reached the person and its idempotency key is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// 429 / 1007 with a wait, before.
    Throttle {
        #[serde(default = "one")]
        wait: u32,
    },
    /// 503 / 4002, the line has no capacity, before.
    LineBusy {
        #[serde(default = "one")]
        wait: u32,
    },
    /// A failure of any code, before.
    Error(Answer),
    /// A failure of any code, after: the message is out, and the answer says it is not.
    ErrorAfterAccept(Answer),
    /// The connection is closed without an answer, after.
    Drop {},
    /// The connection is closed without an answer, before.
    DropBefore {},
    /// The connection is closed in the middle of the answer, after.
    HalfAnswer {},
    /// The request is left lying for a while, then handled: the message arrives late.
    Slow { delay_ms: u64 },
    /// The message is accepted at once, the answer comes late.
    SlowAfterAccept { delay_ms: u64 },
    /// A page of HTML instead of JSON, before.
    NonJson {
        #[serde(default = "bad_gateway")]
        status: u16,
    },
    /// A page of HTML instead of JSON, after.
    NonJsonAfterAccept {
        #[serde(default = "bad_gateway")]
        status: u16,
    },
}

fn one() -> u32 {
    1
}

fn bad_gateway() -> u16 {
    502
}

/// A failure to answer with; what is left out is the code's default (chert §3.2). HueChat has no
/// codes: there the status decides, 500 where none is named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    #[serde(default = "internal")]
    pub code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// May contradict the code's default: the answer's word is law (chert §3.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
    /// Whole seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    /// HueChat's name of the error, where it is not the usual one of its status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

fn internal() -> u16 {
    3001
}

impl Fault {
    /// Its name in plans and in the journal.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Throttle { .. } => "throttle",
            Self::LineBusy { .. } => "line_busy",
            Self::Error(_) => "error",
            Self::ErrorAfterAccept(_) => "error_after_accept",
            Self::Drop {} => "drop",
            Self::DropBefore {} => "drop_before",
            Self::HalfAnswer {} => "half_answer",
            Self::Slow { .. } => "slow",
            Self::SlowAfterAccept { .. } => "slow_after_accept",
            Self::NonJson { .. } => "non_json",
            Self::NonJsonAfterAccept { .. } => "non_json_after_accept",
        }
    }

    /// How many milliseconds a request lies under it, and when.
    pub(in crate::sandbox) fn delay(&self) -> Option<(Delay, u64)> {
        match self {
            Self::Slow { delay_ms } => Some((Delay::Before, *delay_ms)),
            Self::SlowAfterAccept { delay_ms } => Some((Delay::After, *delay_ms)),
            Self::Throttle { .. }
            | Self::LineBusy { .. }
            | Self::Error(_)
            | Self::ErrorAfterAccept(_)
            | Self::Drop {}
            | Self::DropBefore {}
            | Self::HalfAnswer {}
            | Self::NonJson { .. }
            | Self::NonJsonAfterAccept { .. } => None,
        }
    }

    /// The HTTP status that it names, if it names one.
    fn status(&self) -> Option<u16> {
        match self {
            Self::Error(answer) | Self::ErrorAfterAccept(answer) => answer.status,
            Self::NonJson { status } | Self::NonJsonAfterAccept { status } => Some(*status),
            Self::Throttle { .. }
            | Self::LineBusy { .. }
            | Self::Drop {}
            | Self::DropBefore {}
            | Self::HalfAnswer {}
            | Self::Slow { .. }
            | Self::SlowAfterAccept { .. } => None,
        }
    }
}

/// When a request lies: before its message is accepted, or after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Delay {
    Before,
    After,
}

/// The routes as rules name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteMatch {
    /// Every POST that carries a message: `/send`, `/chats`, `/chats/{id}/messages`,
    /// `/locations`, `send-contact`, and HueChat's `/contact/{id}/message`.
    #[default]
    Posts,
    /// Every route.
    Any,
    Send,
    Chats,
    /// `POST /chats/{id}/messages`.
    Messages,
    /// `GET /chats/{id}/messages`.
    History,
    /// `POST /attachments`.
    Attachments,
    /// `PUT` of the bytes.
    Upload,
    /// `GET /attachments/{id}/content`.
    Download,
    /// `GET /messages/{id}`.
    Message,
    PhoneNumbers,
    /// `GET /events` and `GET /events/{id}`.
    Events,
    /// `GET /events/stream`.
    EventStream,
    Replay,
    DevInbox,
    /// All that is done with subscriptions.
    WebhookSubscriptions,
    Locations,
    Typing,
    MarkRead,
    React,
    Edit,
    /// `PUT /chats/{id}`.
    Rename,
    /// Adding somebody to a group, and removing.
    Participants,
    Leave,
    SendContact,
    ShareContactInfo,
    /// HueChat's `POST /contact/{id}/message`.
    HueSend,
    /// HueChat's `POST /contact`.
    HueNewContact,
    /// All that is done with HueChat's contacts, but for sending.
    HueContacts,
    /// All that is done with HueChat's conversations, but for reading their messages.
    HueConversations,
    /// HueChat's `GET /conversation/{id}/messages`.
    HueMessages,
    /// HueChat's templates and channels.
    HueTemplates,
    /// All that is done with HueChat's webhooks.
    HueWebhooks,
}

/// Which requests a rule is about; what is left out matches all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    #[serde(default)]
    pub route: RouteMatch,
    /// The person written to, in E.164.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// One rule. Of the rules that match a request, the first that fires decides.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rule {
    #[serde(flatten)]
    pub fault: Fault,
    /// How many of the matching requests it hits, from 0 to 1.
    pub share: f64,
    /// It fires at most so often in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// It hits only the first so many tries of each idempotency key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    #[serde(rename = "match")]
    pub matching: Match,
}

impl Rule {
    /// A rule that always fires, for every message post.
    pub fn always(fault: Fault) -> Self {
        Self {
            fault,
            share: 1.0,
            times: None,
            attempts: None,
            matching: Match::default(),
        }
    }
}

/// A whole plan. The same plan and the same requests give the same faults: what happens to a
/// request follows from the seed, its idempotency key and how often that key was tried, not
/// from the order in which concurrent requests arrive. `times` alone depends on that order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FaultPlan {
    pub seed: u64,
    pub rules: Vec<Rule>,
}

/// At most this many rules; each is looked at for each request.
const MAX_RULES: usize = 100;
/// The longest delay: an hour, far past any client's patience.
const MAX_DELAY_MS: u64 = 3_600_000;

/// Why a plan cannot be used, in words for whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPlan {
    #[error(
        "a fault plan is {{\"seed\": 7, \"rules\": [{{\"kind\": \"drop\", \"share\": 0.1}}]}}: {0}"
    )]
    Shape(String),
    #[error("rule {rule}: {why}")]
    Rule { rule: usize, why: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanShape {
    #[serde(default)]
    seed: u64,
    rules: Vec<Map<String, Value>>,
}

impl FaultPlan {
    /// Reads a plan from JSON.
    pub fn parse(json: &[u8]) -> Result<Self, BadPlan> {
        let shape: PlanShape =
            serde_json::from_slice(json).map_err(|error| BadPlan::Shape(error.to_string()))?;
        if shape.rules.len() > MAX_RULES {
            return Err(BadPlan::Shape(format!("at most {MAX_RULES} rules")));
        }
        let rules = shape.rules.into_iter().enumerate();
        let rules =
            rules.map(|(rule, map)| parse_rule(map).map_err(|why| BadPlan::Rule { rule, why }));
        Ok(Self {
            seed: shape.seed,
            rules: rules.collect::<Result<_, _>>()?,
        })
    }
}

/// The fields of a rule and those of its kind stand side by side; an unknown one is an error
/// in either.
fn parse_rule(mut map: Map<String, Value>) -> Result<Rule, String> {
    let share = take(&mut map, "share")?.unwrap_or(1.0);
    if !(0.0..=1.0).contains(&share) {
        return Err("share is from 0 to 1".to_owned());
    }
    let rule = Rule {
        share,
        times: take(&mut map, "times")?,
        attempts: take(&mut map, "attempts")?,
        matching: take(&mut map, "match")?.unwrap_or_default(),
        fault: serde_json::from_value(Value::Object(map)).map_err(|error| error.to_string())?,
    };
    if rule
        .fault
        .status()
        .is_some_and(|status| !(200..=599).contains(&status))
    {
        return Err("status is from 200 to 599".to_owned());
    }
    if rule.fault.delay().is_some_and(|(_, ms)| ms > MAX_DELAY_MS) {
        return Err(format!("delay_ms is at most {MAX_DELAY_MS}"));
    }
    Ok(rule)
}

fn take<T: for<'de> Deserialize<'de>>(
    map: &mut Map<String, Value>,
    field: &str,
) -> Result<Option<T>, String> {
    map.remove(field)
        .map(|value| serde_json::from_value(value).map_err(|error| format!("{field}: {error}")))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_reads_with_its_defaults() {
        let plan = FaultPlan::parse(
            br#"{"seed":7,"rules":[{"kind":"error","code":4001,"attempts":1,
                "match":{"route":"chats","to":"+12025550143"}},{"kind":"drop"}]}"#,
        )
        .unwrap();
        let [error, drop] = plan.rules.as_slice() else {
            panic!("two rules");
        };
        assert_eq!(error.attempts, Some(1));
        assert_eq!(error.matching.route, RouteMatch::Chats);
        assert_eq!(*drop, Rule::always(Fault::Drop {}));
    }

    #[test]
    fn a_plan_with_a_mistake_names_the_rule() {
        for (json, part) in [
            (r#"{"rules":[{"kind":"dorp"}]}"#, "rule 0: unknown variant"),
            (
                r#"{"rules":[{"kind":"drop","delay_ms":5}]}"#,
                "rule 0: unknown field",
            ),
            (
                r#"{"rules":[{"kind":"drop","share":2}]}"#,
                "share is from 0 to 1",
            ),
            (r#"{"rules":[{"kind":"slow"}]}"#, "missing field `delay_ms`"),
            (
                r#"{"rules":[{"kind":"non_json","status":99}]}"#,
                "status is from",
            ),
            (
                r#"{"rules":[{"kind":"drop","match":{"root":"x"}}]}"#,
                "match: unknown field",
            ),
            (r#"{"rule":[]}"#, "a fault plan is"),
        ] {
            let error = FaultPlan::parse(json.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(part), "{json}: {error}");
        }
    }
}
