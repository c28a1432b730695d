//! The lines of an ini: sections and entries, each with its line and column.
//!
//! This is a scanner of our own, because existing readers lose what an operator needs: rust-ini
//! swallows the section that follows a line without `=`, configparser merges repeated sections
//! silently, serde_ini is from 2019, and none of them keeps columns.
//!
//! The rules:
//! - A line is blank, a comment, a `[section]`, or `Key = value`. Nothing continues on the next
//!   line.
//! - A `;` or `#` at the beginning of a line, or after white space, begins a comment to the end of
//!   the line.
//! - White space around names, `=` and values is ignored. There are no quotes and no escapes.
//! - A control character outside a comment makes its line malformed: no name that is printed later
//!   has one.
//! - A byte order mark at the beginning of the text and a carriage return at the end of a line are
//!   ignored.
//! - Lines and columns count from 1; columns count characters.

use super::problem::{Found, ProblemKind};

/// A piece of text, with the line and column at which it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span<'a> {
    pub(super) text: &'a str,
    pub(super) line: usize,
    pub(super) column: usize,
}

impl<'a> Span<'a> {
    /// Returns the span without white space at its ends.
    fn trimmed(self) -> Self {
        let front = self.text.trim_start();
        let skipped = self.text[..self.text.len() - front.len()].chars().count();
        Span { text: front.trim_end(), column: self.column + skipped, ..self }
    }

    /// Splits the span at the first `mark` and trims both parts.
    pub(super) fn split(self, mark: char) -> Option<(Self, Self)> {
        let (before, after) = self.text.split_once(mark)?;
        let column = self.column + before.chars().count() + 1;
        Some((Span { text: before, ..self }.trimmed(), Span { text: after, column, ..self }.trimmed()))
    }

    /// Returns the items of a comma-separated list. An empty list has no items.
    pub(super) fn items(self) -> Vec<Self> {
        let mut items = Vec::new();
        let mut rest = self;
        while let Some((item, after)) = rest.split(',') {
            items.push(item);
            rest = after;
        }
        if !(items.is_empty() && rest.text.is_empty()) {
            items.push(rest);
        }
        items
    }
}

/// One `Key = value` line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) key: Span<'a>,
    pub(super) value: Span<'a>,
}

/// A `[section]` and its entries, in the order of the text.
#[derive(Clone, Debug)]
pub(super) struct Section<'a> {
    /// Name without its brackets. Empty for the lines below a malformed header, which belong to no
    /// section.
    pub(super) name: Span<'a>,
    pub(super) entries: Vec<Entry<'a>>,
    /// Malformed lines below the header.
    pub(super) malformed: Vec<Span<'a>>,
}

impl<'a> Section<'a> {
    fn new(name: Span<'a>) -> Self {
        Section { name, entries: Vec::new(), malformed: Vec::new() }
    }
}

/// A line that breaks the rules.
#[derive(Debug)]
pub(super) struct BadLine<'a> {
    pub(super) at: Span<'a>,
    /// Name of the section that contains the line; empty before the first section.
    pub(super) section: &'a str,
    pub(super) kind: ProblemKind,
}

/// Splits a text into sections. Malformed lines are reported and skipped; a repeated section
/// appears twice.
pub(super) fn scan(text: &str) -> (Vec<Section<'_>>, Vec<BadLine<'_>>) {
    let mut sections: Vec<Section<'_>> = Vec::new();
    let mut bad = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, line) in text.split('\n').enumerate() {
        let line = Span { text: without_comment(line), line: number + 1, column: 1 }.trimmed();
        match classify(line) {
            Line::Blank => {}
            Line::Section(name) => sections.push(Section::new(name)),
            Line::Entry(entry) => match sections.last_mut() {
                Some(section) => section.entries.push(entry),
                None => bad.push(BadLine { at: entry.key, section: "", kind: ProblemKind::OutsideSection }),
            },
            Line::Malformed => {
                if line.text.starts_with('[') {
                    sections.push(Section::new(Span { text: "", ..line }));
                }
                let section = sections.last_mut().map_or("", |section| {
                    section.malformed.push(line);
                    section.name.text
                });
                let kind = ProblemKind::MalformedLine { found: Found::new(line.text) };
                bad.push(BadLine { at: line, section, kind });
            }
        }
    }
    (sections, bad)
}

enum Line<'a> {
    Blank,
    Section(Span<'a>),
    Entry(Entry<'a>),
    Malformed,
}

fn classify(line: Span<'_>) -> Line<'_> {
    if line.text.is_empty() {
        return Line::Blank;
    }
    if line.text.contains(|c: char| c.is_control() && c != '\t') {
        return Line::Malformed;
    }
    if let Some(inside) = line.text.strip_prefix('[') {
        let name = inside.strip_suffix(']').unwrap_or_default();
        let name = Span { text: name, column: line.column + 1, ..line }.trimmed();
        let malformed = name.text.is_empty() || name.text.contains(['[', ']']);
        return if malformed { Line::Malformed } else { Line::Section(name) };
    }
    match line.split('=') {
        Some((key, value)) if !key.text.is_empty() => Line::Entry(Entry { key, value }),
        _ => Line::Malformed,
    }
}

fn without_comment(line: &str) -> &str {
    let mut after_space = true;
    for (at, c) in line.char_indices() {
        if after_space && matches!(c, ';' | '#') {
            return &line[..at];
        }
        after_space = c.is_whitespace();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str) -> Vec<(String, String, usize, usize)> {
        let (sections, bad) = scan(text);
        assert!(bad.is_empty(), "{bad:?}");
        let entries = sections.iter().flat_map(|s| &s.entries);
        entries.map(|e| (e.key.text.into(), e.value.text.into(), e.value.line, e.value.column)).collect()
    }

    fn entry(key: &str, value: &str, line: usize, column: usize) -> (String, String, usize, usize) {
        (key.into(), value.into(), line, column)
    }

    #[test]
    fn a_comment_starts_at_the_line_or_after_white_space() {
        let text = "; one\n  # two\n[a] ; three\nDir = /srv/a#b;c ; four\nB=2\t# five";
        assert_eq!(entries(text), [entry("Dir", "/srv/a#b;c", 4, 7), entry("B", "2", 5, 3)]);
    }

    #[test]
    fn columns_count_characters() {
        assert_eq!(entries("[a]\n  клю =\u{3000}ж ж \r\n"), [entry("клю", "ж ж", 2, 9)]);
    }

    #[test]
    fn a_byte_order_mark_and_carriage_returns_mean_nothing() {
        assert_eq!(entries("\u{feff}[a]\r\nB = 1\r\n"), [entry("B", "1", 2, 5)]);
    }

    #[test]
    fn a_line_without_an_equals_sign_swallows_nothing() {
        let (sections, bad) = scan("[a]\nBaseKey\n[b]\nC = 1");
        assert_eq!(sections.iter().map(|s| s.name.text).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((bad.len(), bad[0].at.line, bad[0].section), (1, 2, "a"));
    }

    #[test]
    fn sections_and_keys_need_a_name() {
        for text in ["[]", "[ ]", "[a", "[a]]", "[[a]", "[a] b", "= 1", "word", "a = \0"] {
            assert_eq!(scan(text).1.len(), 1, "{text}");
        }
    }

    #[test]
    fn a_list_keeps_its_empty_items() {
        let items =
            |text| Span { text, line: 1, column: 1 }.items().iter().map(|i| i.column).collect::<Vec<_>>();
        assert_eq!(items(""), [0; 0]);
        assert_eq!(items("a"), [1]);
        assert_eq!(items("a, b"), [1, 4]);
        assert_eq!(items("a,,b,"), [1, 3, 4, 6]);
    }
}
