//! The `sendoff` program: everything is in the library.

fn main() -> std::process::ExitCode {
    sendoff::cli::main().into()
}
