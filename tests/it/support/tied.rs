//! Programs that end with the test that started them, however that ends: a test that is killed can
//! clean up nothing, and what it leaves holds ports, files and the machine.

use std::process::Command;

/// `program`, which is killed when whoever starts it ends. Where the system cannot tie a process to
/// another one, only the values that hold processes end them.
pub(crate) fn tied(program: &str) -> Command {
    if cfg!(target_os = "linux") {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", program]);
        return command;
    }
    Command::new(program)
}
