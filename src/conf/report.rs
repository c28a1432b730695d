//! Where the problems of one file are collected, each with its place.

use super::ini::{Entry, Span};
use super::problem::{Problem, ProblemKind};
use super::process::Place;
use std::path::Path;

/// A piece of the ini, and the section and key it belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot<'a> {
    pub(super) section: &'a str,
    /// Empty where the section itself is meant.
    pub(super) key: &'a str,
    pub(super) span: Span<'a>,
}

impl<'a> Spot<'a> {
    /// The section's own line.
    pub(super) fn section(name: Span<'a>) -> Self {
        Spot { section: name.text, key: "", span: name }
    }

    /// The value of an entry.
    pub(super) fn value(section: &'a str, entry: Entry<'a>) -> Self {
        Spot { section, key: entry.key.text, span: entry.value }
    }

    /// Another piece of the same key.
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

    /// About the file as a whole.
    pub(super) fn add_whole(&mut self, kind: ProblemKind) {
        let place = Place { file: self.file.to_owned(), ..Place::default() };
        self.problems.push(Problem { place, column: 0, kind });
    }

    /// The value, or `None` after its problem is on record.
    pub(super) fn keep<T>(&mut self, spot: Spot<'_>, value: Result<T, ProblemKind>) -> Option<T> {
        value.map_err(|kind| self.add(spot, kind)).ok()
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }
}
