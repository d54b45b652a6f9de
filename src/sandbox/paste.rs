//! The settings that make a client talk to this sandbox, ready to paste. Prints nothing: the
//! command line does.

use secrecy::ExposeSecret;

use super::Sandbox;
use crate::domain::phone::Phone;

/// The variable that the pasted settings read the secret from.
pub const SECRET_VARIABLE: &str = "SENDOFF_SANDBOX_SECRET";

/// What to paste where.
#[derive(Clone)]
pub struct Paste {
    /// For `sendoff.yaml`. Names the secret's variable, not the secret.
    pub settings: String,
    /// For the shell: sets the variable. Holds the sandbox's secret.
    pub export: String,
    /// For a campaign: the gateway and its lines.
    pub campaign: String,
    /// The lines themselves.
    pub lines: Vec<Phone>,
}

impl std::fmt::Debug for Paste {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Paste")
            .field("settings", &self.settings)
            .field("lines", &self.lines)
            .finish_non_exhaustive()
    }
}

/// The variable that the pasted settings of HueChat read the key from.
pub const KEY_VARIABLE: &str = "HUECHAT_API_KEY";
/// Any test key does.
const KEY: &str = "sk_test_sandbox";

/// What to paste where for a HueChat account.
#[derive(Debug, Clone)]
pub struct HuePaste {
    /// For `sendoff.yaml`.
    pub settings: String,
    /// For the shell: sets the variable. Its key opens this sandbox and nothing else.
    pub export: String,
}

impl Sandbox {
    /// The settings of a HueChat gateway called `gateway`.
    pub fn paste_huechat(&self, gateway: &str) -> HuePaste {
        HuePaste {
            settings: format!(
                "gateways:\n  {gateway}:\n    kind: huechat\n    base_url: {}\n    \
                 api_key: {{ env: {KEY_VARIABLE} }}\n",
                self.huechat_url()
            ),
            export: format!("export {KEY_VARIABLE}={KEY}\n"),
        }
    }

    /// The settings of a gateway called `gateway`, for the sandbox's first tenant.
    pub fn paste(&self, gateway: &str) -> Paste {
        let tenant = &self.first;
        let pace = self.rate.map(|limit| {
            let (rate, burst) = (limit.rate, limit.burst);
            format!("    rate: {rate}\n    burst: {burst}\n")
        });
        let settings = format!(
            "gateways:\n  {gateway}:\n    kind: chert\n    base_url: {}\n    tenant: {}\n    \
             auth: hmac\n    signing_secret: {{ env: {SECRET_VARIABLE} }}\n{}    \
             first_touch: none\n",
            self.base_url(),
            tenant.slug,
            pace.unwrap_or_default()
        );
        let quoted: Vec<String> = self
            .lines
            .iter()
            .map(|line| format!("\"{}\"", line.expose()))
            .collect();
        Paste {
            settings,
            export: format!(
                "export {SECRET_VARIABLE}={}\n",
                tenant.secret.expose_secret()
            ),
            campaign: format!("gateway: {gateway}\nfrom: [{}]\n", quoted.join(", ")),
            lines: self.lines.to_vec(),
        }
    }
}
