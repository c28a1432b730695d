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
    /// A pool has bytes that no release of the library writes, and that nothing depends on.
    Warnings = 5,
    /// An invariant of a pool does not hold.
    Damage = 6,
    /// A pool that was named is not there.
    Absent = 7,
}

/// The table for `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done, nothing is wrong
  1  done, and problems were found
  2  the command line is wrong
  3  a file or the system kept it from being done
  4  refused: a live owner, a stranger's segment, or the answer was no
  5  verify: warnings, and nothing worse
  6  verify, inspect, postmortem: a pool is damaged
  7  verify, inspect, postmortem: a pool is not there";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

impl Exit {
    /// What to end with where several pools were looked at: what wants a hand most.
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
