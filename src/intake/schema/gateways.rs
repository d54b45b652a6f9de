//! The shape of a gateway in the settings: each kind of account has its own fields.

use schemars::JsonSchema;

use super::{DurationShape, RateShape};

/// A provider account.
#[derive(Debug, JsonSchema)]
#[schemars(
    rename = "Gateway",
    tag = "kind",
    rename_all = "lowercase",
    deny_unknown_fields
)]
pub enum GatewayShape {
    /// Writes from lines of its own.
    Chert {
        /// Ends in /api/v1; the production address where this is left out.
        base_url: Option<String>,
        /// How requests prove who sends them; `hmac` where this is left out.
        auth: Option<AuthShape>,
        /// The account's short name; needed with `auth: hmac`.
        tenant: Option<String>,
        /// Where the secret is kept, never the secret itself.
        signing_secret: SecretShape,
        /// All runs through this account together.
        rate: Option<RateShape>,
        /// Messages at once after a quiet time; only with `rate`.
        #[schemars(range(min = 1, max = 10_000))]
        burst: Option<u32>,
        /// Connect and answer of one request; `30s` where this is left out.
        timeout: Option<DurationShape>,
        /// How long the provider is trusted to remember an idempotency key; `24h` where this is
        /// left out.
        idempotency_retention: Option<DurationShape>,
        /// The cap on messages to people this account has not written to before, each line by
        /// itself; 30 a day (UTC), 10 minutes apart, where this is left out. `none` lifts it.
        first_touch: Option<FirstTouchShape>,
    },
    /// Writes to contacts, by a channel that the campaign names.
    HueChat {
        /// Ends in /v2; the production address where this is left out.
        base_url: Option<String>,
        /// Where the key is kept, never the key itself.
        api_key: SecretShape,
        /// How many requests the account may make, everything together.
        plan: PlanShape,
        /// Connect and answer of one request; `30s` where this is left out, and no less but on
        /// this machine.
        timeout: Option<DurationShape>,
        /// How what the provider tells by itself is known to be from it.
        webhook: Option<WebhookShape>,
    },
}

#[derive(Debug, JsonSchema)]
#[schemars(rename = "Plan", untagged)]
pub enum PlanShape {
    Named(PlanNameShape),
    Own(OwnPlanShape),
}

#[derive(Debug, JsonSchema)]
#[schemars(rename = "PlanName", rename_all = "lowercase")]
pub enum PlanNameShape {
    /// 100 in a minute, 10,000 on a day (UTC).
    Free,
    /// 1,000 in a minute, 100,000 on a day (UTC).
    Pro,
    /// As many as there are.
    None,
}

/// What the contract with the provider says.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "OwnPlan", deny_unknown_fields)]
pub struct OwnPlanShape {
    #[schemars(range(min = 1, max = 100_000_000))]
    pub per_minute: u32,
    /// On one day (UTC).
    #[schemars(range(min = 1, max = 100_000_000))]
    pub per_day: u32,
}

/// How a delivery of events is signed.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Webhook", deny_unknown_fields)]
pub struct WebhookShape {
    pub secret: SecretShape,
    /// The header with the signature; `X-HueChat-Signature` where this is left out.
    pub header: Option<String>,
    /// What stands before the signature in it; `sha256=` where this is left out.
    pub prefix: Option<String>,
    /// `hmac-sha256` where this is left out.
    pub algorithm: Option<AlgorithmShape>,
    /// Over what the signature is made; `body` where this is left out.
    pub signed: Option<SignedShape>,
}

#[derive(Debug, JsonSchema)]
#[schemars(rename = "Algorithm")]
pub enum AlgorithmShape {
    #[schemars(rename = "hmac-sha256")]
    Sha256,
    #[schemars(rename = "hmac-sha512")]
    Sha512,
}

#[derive(Debug, JsonSchema)]
#[schemars(rename = "Signed", rename_all = "kebab-case")]
pub enum SignedShape {
    Body,
    TimestampAndBody,
}

#[derive(Debug, JsonSchema)]
#[schemars(rename = "Auth", rename_all = "lowercase")]
pub enum AuthShape {
    Hmac,
    Bearer,
}

#[derive(Debug, JsonSchema)]
#[schemars(rename = "FirstTouch", untagged)]
pub enum FirstTouchShape {
    Lifted(NoneShape),
    Cap(FirstTouchCapShape),
}

/// No such limit.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "None", rename_all = "lowercase")]
pub enum NoneShape {
    None,
}

/// A cap on first messages.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "FirstTouchCap", deny_unknown_fields)]
pub struct FirstTouchCapShape {
    /// On one day; 30 where this is left out.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub per_day: Option<u32>,
    /// From one to the next; `10m` where this is left out.
    pub gap: Option<GapShape>,
}

/// A length of time, or none.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Gap", untagged)]
pub enum GapShape {
    Lifted(NoneShape),
    Time(DurationShape),
}

/// Exactly one of both.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Secret", deny_unknown_fields, extend("minProperties" = 1, "maxProperties" = 1))]
pub struct SecretShape {
    /// The name of an environment variable.
    #[schemars(regex(pattern = r"^[A-Z_][A-Z0-9_]*$"))]
    pub env: Option<String>,
    /// A file, relative to this file; its text, trimmed.
    pub file: Option<String>,
}
