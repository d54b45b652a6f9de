//! `completions`: what a shell needs to complete our command line.

use clap::Args;
use clap_complete::Shell;

use super::{App, Exit, Stop, definition};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sendoff completions bash > ~/.local/share/bash-completion/completions/sendoff
  sendoff completions zsh > ~/.zfunc/_sendoff
  sendoff completions fish > ~/.config/fish/completions/sendoff.fish")]
pub(super) struct CompletionsArgs {
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

pub(super) fn print(app: &App, args: &CompletionsArgs) -> Result<Exit, Stop> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut definition(), "sendoff", &mut script);
    app.out.data_bytes(&script)?;
    Ok(Exit::Done)
}
