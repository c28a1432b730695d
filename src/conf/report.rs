//! Collects the problems of one file, each with its position.

use super::ini::{Entry, Span};
use super::problem::{Problem, ProblemKind};
use super::process::Place;
use std::path::Path;

/// A piece of the ini, with its section and key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot<'a> {
    pub(super) section: &'a str,
    /// Empty if the section itself is meant.
    pub(super) key: &'a str,
    pub(super) span: Span<'a>,
}

impl<'a> Spot<'a> {
    /// Returns the spot of a section header.
    pub(super) fn section(name: Span<'a>) -> Self {
        Spot { section: name.text, key: "", span: name }
    }

    /// Returns the spot of an entry's value.
    pub(super) fn value(section: &'a str, entry: Entry<'a>) -> Self {
        Spot { section, key: entry.key.text, span: entry.value }
    }

    /// Returns another piece of the same key.
    pub(super) fn at(self, span: Span<'a>) -> Self {
        Spot { span, ..self }
    }
}

/// The problems found so far in one file.
pub(super) struct Report<'f> {
    file: &'f Path,
    problems: Vec<Problem>,
}

impl<'f> Report<'f> {
    pub(super) fn new(file: &'f Path) -> Self {
        Report { file, problems: Vec::new() }
    }

    pub(super) fn place(&self, spot: Spot<'_>) -> Place {
        Place {
            file: self.file.to_owned(),
            line: spot.span.line,
            section: spot.section.into(),
            key: spot.key.into(),
        }
    }

    pub(super) fn add(&mut self, spot: Spot<'_>, kind: ProblemKind) {
        let place = self.place(spot);
        self.problems.push(Problem { place, column: spot.span.column, kind });
    }

    /// Adds problems that have their positions.
    pub(super) fn extend(&mut self, problems: Vec<Problem>) {
        self.problems.extend(problems);
    }

    /// Adds a problem of the file as a whole.
    pub(super) fn add_whole(&mut self, kind: ProblemKind) {
        let place = Place { file: self.file.to_owned(), ..Place::default() };
        self.problems.push(Problem { place, column: 0, kind });
    }

    /// Returns the value, or reports its problem and returns `None`.
    pub(super) fn keep<T>(&mut self, spot: Spot<'_>, value: Result<T, ProblemKind>) -> Option<T> {
        value.map_err(|kind| self.add(spot, kind)).ok()
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }
}
