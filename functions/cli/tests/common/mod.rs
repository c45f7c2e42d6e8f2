//! Runs the command that was built with these tests.

#![allow(clippy::unwrap_used, dead_code, reason = "tests may fail, and none uses all of this")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The command, to be given arguments; no settings of a person's are in reach.
pub(crate) fn outflow() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outflow"));
    command.current_dir(std::env::temp_dir()).stdin(Stdio::null());
    command
}

/// What a run left behind.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs it; a death by a signal or a panic fails the test.
pub(crate) fn ran(command: &mut Command) -> Ran {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let (out, err) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    let code = status.code().unwrap();
    assert!(code <= 3, "{code}\n{err}");
    Ran { code, out, err }
}

/// `outflow replay` of one folder with more arguments.
pub(crate) fn replay(logs: &Path, more: &[&str]) -> Ran {
    ran(outflow().arg("replay").arg(logs).args(more))
}
