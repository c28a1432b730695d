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

#[cfg(test)]
mod tests {
    use super::*;

    /// In the order of their codes.
    const ALL: [Exit; 5] = [Exit::Ok, Exit::Problems, Exit::Usage, Exit::Environment, Exit::Refused];

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
