//! `schema`: the JSON Schema of a file format, for editors and other programs.

use clap::{Args, ValueEnum};

use super::{App, Exit, Stop};
use crate::intake::schema::{SchemaKind, schema};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sendoff schema campaign > campaigns/campaign.schema.json

  and as the first line of a campaign, for an editor that knows YAML schemas:
  # yaml-language-server: $schema=./campaign.schema.json")]
pub(super) struct SchemaArgs {
    /// Which file's schema
    #[arg(value_enum, value_name = "FILE")]
    kind: Kind,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// campaigns/*.yaml
    Campaign,
    /// templates/*.yaml
    Message,
    /// sendoff.yaml
    Config,
}

pub(super) fn print(app: &App, args: &SchemaArgs) -> Result<Exit, Stop> {
    let kind = match args.kind {
        Kind::Campaign => SchemaKind::Campaign,
        Kind::Message => SchemaKind::Message,
        Kind::Config => SchemaKind::Config,
    };
    app.out.data(&format!("{:#}\n", schema(kind)))?;
    Ok(Exit::Done)
}
