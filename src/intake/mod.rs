//! From files to domain: campaign, settings, template and list. Every problem of all of them is
//! collected with its place before anything is done. Does not know the ledger or the wire.

mod paths;
mod yaml;

pub mod campaign_file;
pub mod message_file;
pub mod schema;

pub mod settings_file;

pub mod encoding;
pub mod list;
pub mod rows;
pub mod template;
