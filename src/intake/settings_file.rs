//! `sendoff.yaml`: the ledger and the gateways, checked. Secrets are never read here, only where
//! they are kept; one that stands in the file itself is refused and not shown. Does not know the
//! environment.

mod account;
mod address;
mod huechat;
mod secret;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::yaml::{Kind, Node, Places, Reader, Source, parse};
use crate::domain::account::Account;
use crate::domain::problem::{Place, Problem, Problems};
use crate::domain::run::is_campaign_name;

/// What `sendoff.yaml` says.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// `sqlite://…`, as written, relative to the working directory; or `postgres://…`, perhaps
    /// with a password.
    pub ledger: Option<String>,
    /// By the name that campaigns use.
    pub gateways: BTreeMap<String, Account>,
    places: Option<Places>,
}

impl Settings {
    /// Where a field stands, such as `gateways.chert.signing_secret`; `None` when there is no
    /// settings file or it leaves the field out.
    pub fn place(&self, path: &str) -> Option<Place> {
        self.places.as_ref()?.place(path)
    }
}

/// Reads a settings file, `path` as the user named it. The settings are there exactly when no
/// error was found.
pub fn read(path: &Path) -> (Option<Settings>, Problems) {
    match Source::open(path) {
        Ok(source) => read_source(path, source),
        Err(problems) => (None, problems),
    }
}

fn read_source(path: &Path, mut source: Source) -> (Option<Settings>, Problems) {
    let mut problems = Problems::default();
    // Until it is known which values are secret, no value is shown.
    source.seal();
    let root = parse(&source, &mut problems);
    if let Some(root) = &root {
        source.unseal(secret::hidden(&source, root));
    }
    let reader = Reader::new(Arc::new(source), problems);
    let settings = root.as_ref().and_then(|root| settings(&reader, root, path));
    let source = Arc::clone(&reader.source);
    let problems = reader.finish();
    let settings = settings
        .zip(root)
        .filter(|_| !problems.has_errors())
        .map(|(settings, root)| Settings {
            places: Some(Places {
                source,
                root: Arc::new(root),
            }),
            ..settings
        });
    (settings, problems)
}

fn settings(reader: &Reader, root: &Node, path: &Path) -> Option<Settings> {
    let mut fields = reader.fields(root, "a settings file")?;
    let ledger = fields
        .get(reader, "ledger")
        .and_then(|node| ledger(reader, node));
    let mut gateways = BTreeMap::new();
    if let Some(group) = fields
        .get(reader, "gateways")
        .and_then(|node| reader.fields(node, "'gateways'"))
    {
        for entry in group.all() {
            if !is_campaign_name(&entry.key) {
                reader.report(
                    &entry.key_range,
                    Problem::error(
                        "a gateway's name has lower-case letters, digits, `-` and `_` only, at most 64",
                    )
                    .label("not such a name"),
                );
            }
            if let Some(account) = account::read(reader, &entry.value, path) {
                gateways.insert(entry.key.clone(), account);
            }
        }
    }
    fields.finish(reader);
    Some(Settings {
        ledger,
        gateways,
        places: None,
    })
}

fn ledger(reader: &Reader, node: &Node) -> Option<String> {
    const USUAL: &str = "write `ledger: sqlite://sendoff.db` or \
                         `ledger: postgres://user@host/database`";
    let text = reader.text(node, "the address of a ledger")?.trim();
    if text
        .strip_prefix("sqlite:")
        .is_some_and(|path| !path.is_empty())
    {
        return Some(text.to_owned());
    }
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return Some(text.to_owned());
    }
    let problem = if text.contains("://") {
        Problem::error("a ledger's address begins with `sqlite://` or `postgres://`")
            .label("no such kind of ledger")
            .help(USUAL)
    } else if text.contains('.') && !text.contains('@') {
        Problem::error("a ledger's address begins with `sqlite://` or `postgres://`")
            .label("not an address")
            .help(format!("write `ledger: sqlite://{text}`"))
    } else {
        Problem::error("a ledger's address begins with `sqlite://` or `postgres://`")
            .label("not an address")
            .help(USUAL)
    };
    reader.report(&node.range, problem);
    None
}

#[cfg(test)]
mod tests;
