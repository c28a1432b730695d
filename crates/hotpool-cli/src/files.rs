//! Files that a verb writes: what happened to each, as text or JSON.

use crate::exit::Exit;
use crate::output::Output;
use crate::text_file::{self, State};
use anyhow::Result;
use serde_json::{Value, json};
use std::path::PathBuf;

/// A file and the text it should have.
pub(crate) struct Wanted {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// What to do with a file that does not have its text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Write,
    /// Report how it differs.
    Check,
    /// Report that it would be written.
    DryRun,
}

/// A file and what was done to it.
pub(crate) struct Done {
    pub(crate) path: PathBuf,
    pub(crate) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Written,
    WouldWrite,
    Unchanged,
    Differs,
    Missing,
    LeftOver,
}

impl What {
    fn word(self) -> &'static str {
        match self {
            What::Written => "written",
            What::WouldWrite => "would write",
            What::Unchanged => "unchanged",
            What::Differs => "differs",
            What::Missing => "missing",
            What::LeftOver => "left over",
        }
    }
}

/// Writes the files that do not have their text, or reports which those are. A file that is right
/// already is left alone, so that its time still tells when it last changed.
pub(crate) fn write(wanted: Vec<Wanted>, mode: Mode) -> Result<Vec<Done>> {
    let done = wanted.into_iter().map(|Wanted { path, text }| {
        let what = match (text_file::compare(&path, &text)?, mode) {
            (State::Same, _) => What::Unchanged,
            (State::Differs, Mode::Check) => What::Differs,
            (State::Missing, Mode::Check) => What::Missing,
            (_, Mode::DryRun) => What::WouldWrite,
            (_, Mode::Write) => {
                text_file::replace(&path, &text)?;
                What::Written
            }
        };
        Ok(Done { path, what })
    });
    done.collect()
}

/// Prints one line a file. Under [`Mode::Check`], a file that is not as it should be is a problem.
pub(crate) fn report(work: &[Done], mode: Mode, out: &mut Output) -> Result<Exit> {
    let sound = mode != Mode::Check || work.iter().all(|done| done.what == What::Unchanged);
    if out.wants_json() {
        let file =
            |done: &Done| json!({ "file": done.path.display().to_string(), "state": done.what.word() });
        let files: Vec<Value> = work.iter().map(file).collect();
        out.document(&json!({ "ok": sound, "files": files }))?;
    } else {
        for done in work {
            out.line(format_args!("{:9} {}", done.what.word(), done.path.display()))?;
        }
    }
    Ok(if sound { Exit::Ok } else { Exit::Problems })
}
