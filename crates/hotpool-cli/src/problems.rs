//! The problems of an ini, as text and as JSON.

use crate::exit::Exit;
use crate::output::Output;
use hotpool::conf::{ConfError, Problem, ProblemKind};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// One problem as JSON.
#[derive(Serialize)]
struct ProblemJson<'a> {
    kind: &'static str,
    file: String,
    line: Option<usize>,
    column: Option<usize>,
    section: Option<&'a str>,
    key: Option<&'a str>,
    /// What is wrong, without file, line and column.
    message: String,
}

impl<'a> From<&'a Problem> for ProblemJson<'a> {
    fn from(problem: &'a Problem) -> Self {
        let place = &problem.place;
        let said = |text: &'a String| Some(text.as_str()).filter(|text| !text.is_empty());
        ProblemJson {
            kind: problem.kind.code(),
            file: place.file.display().to_string(),
            line: Some(place.line).filter(|n| *n != 0),
            column: Some(problem.column).filter(|n| *n != 0),
            section: said(&place.section),
            key: said(&place.key),
            message: problem.kind.to_string(),
        }
    }
}

/// Prints the problems of an ini in the shape that a verb uses for pools. Returns the exit code.
pub(crate) fn instead_of_pools(error: &ConfError, out: &mut Output) -> anyhow::Result<Exit> {
    if out.wants_json() {
        out.document(&json!({ "ok": false, "pools": [], "problems": self::json(error) }))?;
    } else {
        print(error, out)?;
    }
    Ok(exit(error))
}

/// Returns the problems as an array.
pub(crate) fn json(error: &ConfError) -> Value {
    json!(error.problems().iter().map(ProblemJson::from).collect::<Vec<_>>())
}

/// Prints one line for each problem, then their number.
pub(crate) fn print(error: &ConfError, out: &mut Output) -> anyhow::Result<()> {
    let files: BTreeSet<_> = error.problems().iter().map(|problem| &problem.place.file).collect();
    out.line(error)?;
    let count = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    let problems = count(error.problems().len(), "problem");
    Ok(out.line(format_args!("{problems} in {}", count(files.len(), "file")))?)
}

/// Returns the exit code: a file that cannot be read is an error of the environment.
pub(crate) fn exit(error: &ConfError) -> Exit {
    let unreadable = |problem: &Problem| matches!(problem.kind, ProblemKind::Unreadable { .. });
    if error.problems().iter().any(unreadable) { Exit::Environment } else { Exit::Problems }
}
