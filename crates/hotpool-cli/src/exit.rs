//! The exit codes. `docs/operating.md` has the same table.

use std::process::ExitCode;

/// The exit code of a verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Success, and no problem was found.
    Ok = 0,
    /// Success, and problems were found.
    Problems = 1,
    /// Invalid command line, or a name in it that does not exist. Clap uses this code too.
    Usage = 2,
    /// A file or a system call failed.
    Environment = 3,
    /// Refused: what exists must not be touched, or the answer was no. Nothing was changed.
    Refused = 4,
    /// A pool has bytes that no release of the library writes and nothing depends on.
    Warnings = 5,
    /// An invariant of a pool does not hold.
    Damage = 6,
    /// A pool that was named does not exist.
    Absent = 7,
}

/// The table for `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0  success, and no problem was found
  1  success, and problems were found; compat: a type is refused
  2  invalid command line
  3  a file or a system call failed
  4  refused, nothing was changed: a live owner, a foreign segment, existing files, or the answer no
  5  verify: warnings only
  6  a pool or a snapshot that was read is damaged
  7  a pool or a snapshot that was named does not exist";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

impl Exit {
    /// Returns the exit code for several pools: the one that needs attention most.
    pub(crate) fn worst(exits: impl IntoIterator<Item = Exit>) -> Exit {
        let rank = |exit: &Exit| match exit {
            Exit::Ok => 0,
            Exit::Absent => 1,
            Exit::Warnings => 2,
            Exit::Environment => 3,
            Exit::Problems => 4,
            Exit::Damage => 5,
            Exit::Refused | Exit::Usage => 6,
        };
        exits.into_iter().max_by_key(rank).unwrap_or(Exit::Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In the order of their codes.
    const ALL: [Exit; 8] = [
        Exit::Ok,
        Exit::Problems,
        Exit::Usage,
        Exit::Environment,
        Exit::Refused,
        Exit::Warnings,
        Exit::Damage,
        Exit::Absent,
    ];

    /// The numbers that begin the lines of a table.
    fn codes(lines: impl Iterator<Item = &'static str>) -> Vec<u8> {
        lines.filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
    }

    #[test]
    fn every_code_is_in_the_help_and_in_the_document() {
        let ours = ALL.map(|exit| exit as u8);
        assert_eq!(codes(HELP.lines()), ours);
        let document = include_str!("../../../docs/operating.md");
        let table =
            document.split("| exit code | meaning |").nth(1).and_then(|rest| rest.split("\n\n").next());
        assert_eq!(codes(table.unwrap().lines().filter_map(|line| line.strip_prefix("| "))), ours);
    }
}
