//! The address of a provider's API: encrypted, or on this machine. Connects to nothing.

use super::{Node, Reader};
use crate::domain::problem::Problem;

/// What a provider's address looks like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Api {
    pub(super) provider: &'static str,
    /// What every address of it ends in.
    pub(super) end: &'static str,
    /// The one of production.
    pub(super) usual: &'static str,
}

/// Whether an address is on this machine: a sandbox's.
pub(super) fn is_local(url: &str) -> bool {
    matches!(host(url), "127.0.0.1" | "localhost" | "[::1]")
}

/// Without the port.
fn host(url: &str) -> &str {
    let (_, rest) = url.split_once("://").unwrap_or_default();
    let host = rest.split('/').next().unwrap_or_default();
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

/// An address below which the API's paths begin; the slash at its end does not matter.
pub(super) fn base_url(reader: &Reader, node: &Node, api: Api) -> Option<String> {
    let text = reader.text(node, "a web address")?.trim();
    let url = text.trim_end_matches('/');
    let (scheme, _) = url.split_once("://").unwrap_or_default();
    let problem = if !matches!(scheme, "http" | "https") || host(url).is_empty() {
        Problem::error("a gateway's address begins with https://").label("not such an address")
    } else if url.contains(['@', '?', '#']) || url.contains(char::is_whitespace) {
        Problem::error("a gateway's address has no user, query or space in it")
            .label("more than an address")
    } else if scheme == "http" && !is_local(url) {
        Problem::error("requests carry your credentials and must be encrypted")
            .label("http:// only reaches a sandbox on this machine")
    } else if url.ends_with(api.end) {
        return Some(url.to_owned());
    } else {
        let (provider, end) = (api.provider, api.end);
        Problem::error(format!("the address of {provider}'s API ends in {end}")).label("does not")
    };
    reader.report(
        &node.range,
        problem.help(format!(
            "write `base_url: {}`, or remove the line",
            api.usual
        )),
    );
    None
}
