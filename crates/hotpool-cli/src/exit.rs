//! The exit codes, all of them. `docs/operating.md` has the same table.

use std::process::ExitCode;

/// How a verb ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, and nothing is wrong.
    Ok = 0,
    /// Done, and something is wrong with what was looked at.
    Problems = 1,
    /// The command line asks for something that there is not. Clap's own code, too.
    Usage = 2,
    /// A file or the system kept the verb from being done.
    Environment = 3,
    /// What is there must not be touched, or the answer was no. Nothing was changed.
    Refused = 4,
}

/// The table for `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done, nothing is wrong
  1  done, and problems were found
  2  the command line is wrong
  3  a file or the system kept it from being done
  4  refused: a live owner, a stranger's segment, or the answer was no";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}
