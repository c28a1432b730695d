//! The rules of the house that can be checked in the source text.
//!
//! Each rule names its violations by file and line. An exception is a row of a table here, with its
//! reason. A row that is no longer needed is a violation as well.

mod imports;

use imports::{Graph, Module, graph};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The layers. A module uses only modules of lower ranks, and itself.
const RANKS: [(&str, u32); 18] = [
    ("mutants", 0),
    ("limits", 0),
    ("units", 1),
    ("word", 1),
    ("commits", 2),
    ("layout", 2),
    ("region", 3),
    ("sys", 4),
    ("conf", 4),
    ("object", 4),
    ("share", 5),
    ("snapshot", 5),
    ("pool", 6),
    ("sync", 6),
    ("inspect", 7),
    ("queue", 7),
    ("error", 8),
    ("lib", 9),
];

/// The only files with unsafe code.
const UNSAFE: &[&str] = &[
    "src/layout/record.rs",
    "src/object/fixed/str.rs",
    "src/object/fixed/vec.rs",
    "src/object/foreign.rs",
    "src/object/reference.rs",
    "src/object/stored.rs",
    "src/object/value.rs",
    "src/pool/access/view.rs",
    "src/pool/store/barrier.rs",
    "src/pool/store/copy.rs",
    "src/pool/store/hollow.rs",
    "src/pool/store/probe.rs",
    "src/pool/store/slot.rs",
    "src/pool/store/slots.rs",
    "src/pool/store/slots/named.rs",
    "src/pool/store/type_table.rs",
    "src/pool/store/typed.rs",
    "src/pool/store/values.rs",
    "src/pool/store/walk.rs",
    "src/pool/store/ways.rs",
    "src/pool/change/undo.rs",
    "src/pool/par/portion.rs",
    "src/pool/par/workers.rs",
    "src/queue/payload.rs",
    "src/region.rs",
    "src/share/raw.rs",
    "src/share/region/copy.rs",
    "src/share/region/view.rs",
    "src/share/segment.rs",
    "src/sync/value.rs",
    "src/sys/clock.rs",
    "src/sys/eventfd.rs",
    "src/sys/file_lock.rs",
    "src/sys/fork.rs",
    "src/sys/futex.rs",
    "src/sys/guard.rs",
    "src/sys/mem.rs",
    "src/sys/pidfd.rs",
    "src/sys/sparse.rs",
    "src/sys/sysv.rs",
];

/// The lints of clippy that keep the library from panicking; src/lib.rs switches them on.
const NO_PANIC: [&str; 7] =
    ["indexing_slicing", "unwrap_used", "expect_used", "panic", "unreachable", "todo", "unimplemented"];

/// Functions longer than a screen, each because it is one list to be read from top to bottom.
const LONG: [(&str, &str); 0] = [];

const FUNCTION_LINES: usize = 70;
const FILE_LINES: usize = 600;
const MEDIAN_LINES: usize = 150;

struct Source {
    path: String,
    text: String,
}

impl Source {
    fn is_test(&self) -> bool {
        let inside = |part: &str| self.path.contains(part);
        inside("/tests/")
            || ["/tests.rs", "/testing.rs", "/suite.rs"].iter().any(|end| self.path.ends_with(end))
    }

    /// Returns the lines that are shipped, numbered from 1: without the tests of the file, and
    /// without comments.
    fn shipped(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = self.text.find("\n#[cfg(test)]\nmod ").map_or(self.text.len(), |at| at + 1);
        let lines = self.text[..end].lines().enumerate();
        lines.map(|(n, line)| (n + 1, line)).filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// Returns the module directly under `src`.
    fn module(&self) -> &str {
        let rest = self.path.strip_prefix("src/").unwrap_or(&self.path);
        rest.split('/').next().unwrap_or(rest).trim_end_matches(".rs")
    }
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        match path.is_dir() {
            true => walk(&path, found),
            false => found.push(path),
        }
    }
}

fn files(folder: &str, extension: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(&root.join(folder), &mut found);
    found.retain(|path| path.extension().is_some_and(|e| e == extension));
    found.sort();
    let name = |path: &Path| path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
    found.iter().map(|path| Source { path: name(path), text: fs::read_to_string(path).unwrap() }).collect()
}

fn library() -> Vec<Source> {
    files("src", "rs").into_iter().filter(|source| !source.is_test()).collect()
}

/// Returns all Rust sources of the project.
fn everything() -> Vec<Source> {
    let folders = ["src", "tests", "examples", "benches", "crates"];
    folders.iter().flat_map(|folder| files(folder, "rs")).collect()
}

#[track_caller]
fn none(broken: Vec<String>, rule: &str) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

/// Returns the modules of this crate that a line names: `crate::a::b`, `crate::{a::b, c}`.
fn imports(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        let before = line[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &line[at + "crate::".len()..];
        let names: Vec<&str> = match rest.strip_prefix('{') {
            Some(list) => list.split(',').collect(),
            None => vec![rest],
        };
        let word = |text: &str| -> String {
            text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
        };
        found.extend(names.into_iter().map(word));
    }
    found
}

#[test]
fn imports_point_down() {
    let rank = |module: &str| RANKS.iter().find(|(name, _)| *name == module).map(|(_, rank)| *rank);
    let mut broken = Vec::new();
    for source in library() {
        let Some(own) = rank(source.module()) else {
            broken.push(format!("{}: {} has no rank", source.path, source.module()));
            continue;
        };
        for (line, text) in source.shipped() {
            for used in imports(text).into_iter().filter(|used| used != source.module()) {
                if rank(&used).is_some_and(|used| used >= own) {
                    broken.push(format!("{}:{line}: {} uses {used}", source.path, source.module()));
                }
            }
        }
    }
    none(broken, "a module uses only modules of lower ranks");
}

fn file_graph(sources: &[Source]) -> Graph {
    let without_comment = |line: &str| line.split(" // ").next().unwrap_or_default().to_string();
    let text = |source: &Source| source.shipped().map(|(_, line)| without_comment(line)).collect::<Vec<_>>();
    let modules: Vec<_> =
        sources.iter().map(|source| Module { file: &source.path, text: text(source).join("\n") }).collect();
    graph(&modules)
}

/// Files that import one another cannot be read, changed or tested alone.
#[test]
fn no_files_import_one_another_in_a_circle() {
    let graph = file_graph(&library());
    assert!(graph.edges.len() > 110 && graph.edges.values().map(BTreeSet::len).sum::<usize>() > 500);
    none(graph.cycles(), "imports between files make no circle");
}

#[test]
fn unsafe_code_is_only_in_listed_files() {
    let doors: BTreeSet<&str> = UNSAFE.iter().copied().collect();
    let (mut broken, mut used) = (Vec::new(), BTreeSet::new());
    for source in library() {
        for (line, text) in source.shipped() {
            if text.contains("allow(unsafe_code)") {
                used.insert(source.path.clone());
                if !doors.contains(source.path.as_str()) {
                    broken.push(format!(
                        "{}:{line}: unsafe code in a file that is not on the list",
                        source.path
                    ));
                }
            }
        }
        let head = source.text.lines().take_while(|line| line.starts_with("//!"));
        let relies = head.map(|line| line.trim_start_matches("//!").trim());
        let says = relies.into_iter().any(|line| line == "# What the unsafe code here relies on");
        if used.contains(&source.path) && !says {
            broken.push(format!(
                "{}: does not begin with a section on what its unsafe code relies on",
                source.path
            ));
        }
    }
    broken.extend(
        doors
            .iter()
            .filter(|door| !used.contains(**door))
            .map(|door| format!("{door}: is on the list but has no unsafe code")),
    );
    let root = fs::read_to_string("src/lib.rs").unwrap();
    assert!(root.contains("#![deny(unsafe_code)]"));
    none(broken, "unsafe code is only in listed files, which state what it relies on");
}

#[test]
fn files_are_short() {
    let long = files("src", "rs").into_iter().filter(|source| source.text.lines().count() > FILE_LINES);
    none(long.map(|source| source.path).collect(), "no file of the library has more than 600 lines");
    let mut lines: Vec<usize> = library().iter().map(|source| source.text.lines().count()).collect();
    lines.sort_unstable();
    let median = lines[lines.len() / 2];
    assert!(median < MEDIAN_LINES, "half of the files of the library have more than {median} lines");
}

/// Returns the functions of a source, with their lines. Relies on the indentation of `cargo fmt`.
fn functions(source: &Source) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    let mut open: Vec<(String, usize, String)> = Vec::new();
    for (number, line) in source.text.lines().enumerate() {
        let start = line.trim_start();
        let indent = &line[..line.len() - start.len()];
        let is_head = ["fn ", "pub fn ", "pub(crate) fn ", "pub(super) fn ", "const fn ", "unsafe fn "]
            .iter()
            .any(|head| {
                start.starts_with(head) || start.contains(&format!(" {head}")) && start.starts_with("pub")
            });
        if is_head && !start.ends_with(';') && !start.ends_with('}') {
            let name = start.split("fn ").nth(1).unwrap_or(start);
            let name = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            open.push((indent.to_string(), number, name));
        }
        if start == "}" && open.last().is_some_and(|(head, ..)| head == indent) {
            let (_, first, name) = open.pop().unwrap();
            found.push((name, first + 1, number - first + 1));
        }
    }
    found
}

#[test]
fn functions_fit_a_screen() {
    let mut broken = Vec::new();
    for source in library() {
        for (name, line, length) in functions(&source) {
            if length > FUNCTION_LINES && !LONG.contains(&(source.path.as_str(), name.as_str())) {
                broken.push(format!("{}:{line}: {name} has {length} lines", source.path));
            }
        }
    }
    none(broken, "a function has at most 70 lines");
}

/// Clippy finds what could panic. A place that it may pass over says why that cannot panic, or that
/// it is documented.
#[test]
fn the_library_does_not_panic() {
    let root = fs::read_to_string("src/lib.rs").unwrap();
    let lints = root.split("not(test),\n    deny(").nth(1).unwrap().split(')').next().unwrap();
    let switched_on = |lint: &&str| lints.contains(&format!("clippy::{lint}"));
    let mut broken: Vec<String> =
        NO_PANIC.iter().filter(|lint| !switched_on(lint)).map(|l| l.to_string()).collect();
    for source in library() {
        for (line, text) in source.shipped() {
            let (is_switch, is_lint) =
                (text.contains("(clippy::"), NO_PANIC.iter().any(|lint| text.contains(&format!("::{lint}"))));
            if is_switch && is_lint && !(text.contains("#[expect(") && text.contains("reason = \"")) {
                broken.push(format!("{}:{line}: {}", source.path, text.trim()));
            }
        }
    }
    none(broken, "the content of a segment never makes the library panic");
}

/// An error is a value of a type, which the caller can compare, and not a text.
#[test]
fn errors_are_no_texts() {
    let mut broken = Vec::new();
    for source in library() {
        let texts =
            source.shipped().filter(|(_, text)| text.contains("Result<") && text.contains(", &'static str>"));
        broken.extend(texts.map(|(line, text)| format!("{}:{line}: {}", source.path, text.trim())));
    }
    none(broken, "no function returns a text as its error");
}

#[test]
fn no_placeholder_is_left() {
    let words = ["todo", "unimplemented", "dbg"].map(|word| format!("{word}!("));
    // What a refused migration writes for the program to fill in.
    let pasted = ["make it of old.", "it is new"];
    let mut broken = Vec::new();
    for source in everything() {
        for (number, line) in source.text.lines().enumerate() {
            let start = line.trim_start();
            let at = format!("{}:{}", source.path, number + 1);
            let is_pasted = pasted.iter().any(|text| start.contains(text));
            if !is_pasted && words.iter().any(|word| start.contains(word.as_str())) {
                broken.push(format!("{at}: {start}"));
            }
            // As a statement, it discards its result: a check that cannot fail.
            if start.starts_with(concat!("matches", "!(")) && line.trim_end().ends_with(");") {
                broken.push(format!("{at}: {start}"));
            }
        }
    }
    none(broken, "no statement is a placeholder or without effect");
}

/// Returns the first lines of doc comments that make no sense without the item above them.
fn leaning(text: &str) -> Vec<(usize, &str)> {
    let is_doc = |line: &str| ["///", "//!"].iter().any(|mark| line.trim_start().starts_with(mark));
    let mut inside = false;
    let mut found = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let begins = is_doc(line) && !inside;
        inside = is_doc(line);
        let words = line.trim_start().get(3..).unwrap_or("").trim_start();
        if begins && ["The same", "Of "].iter().any(|begin| words.starts_with(begin)) {
            found.push((n + 1, line));
        }
    }
    found
}

#[test]
fn doc_comments_stand_alone() {
    let of = |source: &Source| -> Vec<String> {
        let lines = leaning(&source.text).into_iter();
        lines.map(|(n, line)| format!("{}:{n}: {line}", source.path)).collect()
    };
    none(everything().iter().flat_map(of).collect(), "a doc comment names what it is about");
}

#[test]
fn every_folder_states_its_purpose() {
    let folders = everything()
        .into_iter()
        .filter(|source| ["/mod.rs", "/main.rs", "/lib.rs"].iter().any(|name| source.path.ends_with(name)));
    let silent = folders.filter(|source| !source.text.starts_with("//! "));
    none(silent.map(|source| source.path).collect(), "the first line of a folder states its purpose");
}

/// Returns the documents of the project.
fn documents() -> Vec<Source> {
    let mut documents = files("docs", "md");
    for path in ["README.md", "CHANGELOG.md"] {
        documents.push(Source { path: path.into(), text: fs::read_to_string(path).unwrap() });
    }
    documents
}

/// Returns the targets of a Markdown text's links into the project, each a file, an anchor, or both.
fn links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.is_empty() && !target.contains("://") && !target.contains(' ')).collect()
}

/// Returns the paths that a Markdown text names in code spans.
fn paths(text: &str) -> Vec<&str> {
    const FOLDERS: [&str; 7] = ["src/", "tests/", "crates/", "docs/", "examples/", ".ci/", "benches/"];
    let prose = text.split("```").step_by(2);
    let spans = prose.flat_map(|text| text.split('`').skip(1).step_by(2));
    let is_path = |span: &&str| FOLDERS.iter().any(|folder| span.starts_with(folder));
    spans.filter(is_path).filter(|span| !span.contains(['*', ' ', ':', '<'])).collect()
}

/// Returns the anchors of a Markdown text's headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let slug = |line: &str| -> String {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(slug).collect()
}

#[test]
fn links_in_the_docs_resolve() {
    let mut broken = Vec::new();
    for document in documents() {
        let folder = Path::new(&document.path).parent().unwrap();
        for target in links(&document.text) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let text = match file {
                "" => document.text.clone(),
                file if anchor.is_empty() && folder.join(file).exists() => continue,
                file => fs::read_to_string(folder.join(file)).unwrap_or_default(),
            };
            if !anchors(&text).contains(anchor) {
                broken.push(format!("{}: {target}", document.path));
            }
        }
    }
    none(broken, "a link leads to an existing file and heading");
}

#[test]
fn the_index_of_the_docs_names_every_page() {
    let index = fs::read_to_string("docs/README.md").unwrap();
    let pages = fs::read_dir("docs").unwrap().map(|page| page.unwrap().file_name().into_string().unwrap());
    let missing = pages.filter(|page| page.ends_with(".md") && page != "README.md");
    none(
        missing.filter(|page| !index.contains(&format!("]({page})"))).collect(),
        "docs/README.md names every page",
    );
}

#[test]
fn paths_in_the_docs_exist() {
    let mut broken = Vec::new();
    // Files of the project that a reader of the README or the tutorial creates.
    const READERS: [&str; 2] = ["src/main.rs", "src/bin/migrate.rs"];
    for document in documents().iter().filter(|document| document.path != "CHANGELOG.md") {
        let missing = |path: &&str| !fs::exists(path).unwrap() && !fs::exists(format!("{path}.rs")).unwrap();
        let missing =
            paths(&document.text).into_iter().filter(missing).filter(|path| !READERS.contains(path));
        broken.extend(missing.map(|path| format!("{}: {path}", document.path)));
    }
    none(broken, "a path that a document names exists");
}

/// The tests that docs/guarantees.md names exist.
#[test]
fn every_test_named_by_a_guarantee_exists() {
    let document = fs::read_to_string("docs/guarantees.md").unwrap();
    let promises: Vec<&str> = document.split("\n### G").skip(1).collect();
    let sources = everything();
    let mut broken = Vec::new();
    for promise in &promises {
        let promise = promise.split("\n## ").next().unwrap();
        let names: Vec<&str> = promise
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|name| name.contains("::") && name.contains('/'))
            .collect();
        if names.is_empty() && !promise.contains("Not shown: ") {
            broken.push(format!("G{}", promise.lines().next().unwrap()));
        }
        for name in names {
            let (place, test) = name.rsplit_once("::").unwrap();
            let place = format!("{place}.rs");
            let is_there = |source: &Source| {
                source.path.ends_with(&place) && source.text.contains(&format!("fn {test}("))
            };
            if !sources.iter().any(is_there) {
                broken.push(name.to_string());
            }
        }
    }
    assert_eq!(promises.len(), 18, "docs/guarantees.md has 18 guarantees");
    none(broken, "a test named by a guarantee exists");
}

/// Returns the commit stores of docs/layout.md: the operation at the beginning of a paragraph, and
/// each word in bold.
fn commits_of_the_layout(document: &str) -> Vec<(String, String)> {
    let operations = document.split("## Operations, store by store").nth(1).unwrap();
    let operations = operations.split("\n## ").next().unwrap();
    let mut found = Vec::new();
    for paragraph in operations.split("\n\n").filter(|text| text.starts_with('`')) {
        let operation = paragraph.split('`').nth(1).unwrap();
        let words = paragraph.split("**").skip(1).step_by(2);
        found.extend(words.map(|word| (operation.to_string(), word.to_string())));
    }
    found.sort();
    found
}

/// Returns the commit stores of src/commits.rs.
fn commits_of_the_code(source: &str) -> Vec<(String, String)> {
    let list = source.split("\ncommits! {\n").nth(1).unwrap().split("\n}").next().unwrap();
    let entry = |line: &str| {
        let mut texts = line.split('"').skip(1).step_by(2).map(str::to_string);
        Some((texts.next()?, texts.next()?))
    };
    let mut found: Vec<_> = list.lines().filter_map(entry).collect();
    found.sort();
    found
}

/// Every commit store of docs/layout.md has a name in the code, and the code stores to those words
/// only by name.
#[test]
fn every_commit_store_has_a_name() {
    let document = fs::read_to_string("docs/layout.md").unwrap();
    let named = commits_of_the_code(&fs::read_to_string("src/commits.rs").unwrap());
    assert_eq!(commits_of_the_layout(&document), named, "docs/layout.md against src/commits.rs");
    let fields = document.lines().filter(|line| line.starts_with("| ") && line.ends_with("| commit |"));
    let fields: Vec<&str> = fields.filter_map(|line| Some(line.split('|').nth(3)?.trim())).collect();
    assert!(fields.len() > 12 && fields.contains(&"tally"), "{fields:?}");
    let known = |field: &str| named.iter().any(|(_, word)| word.split(' ').next() == Some(field));
    none(
        fields.iter().filter(|field| !known(field)).map(|field| field.to_string()).collect(),
        "every word that commits has a named store",
    );
    let raw: Vec<String> = fields.iter().map(|field| format!(".{field}.store(")).collect();
    let mut broken = Vec::new();
    for source in library().iter().filter(|source| ["pool", "share"].contains(&source.module())) {
        for (line, text) in source.shipped() {
            // A start record has an `epoch` as well, which commits nothing.
            let other = text.contains("rec.epoch.store(");
            let is_raw =
                raw.iter().any(|raw| text.contains(raw.as_str())) || text.contains("header().store(");
            if is_raw && !other {
                broken.push(format!("{}:{line}: {}", source.path, text.trim()));
            }
        }
    }
    none(broken, "a commit store uses its name in src/commits.rs");
}

/// A circle is found whatever the imports are written with, and nothing else is one.
#[test]
fn circles_of_imports_are_found() {
    let cycles = |files: &[(&str, &str)]| {
        let module = |(file, text): &(&'static str, &str)| Module { file, text: text.to_string() };
        let files: Vec<(&'static str, &str)> =
            files.iter().map(|(f, t)| (&*f.to_string().leak(), *t)).collect();
        graph(&files.iter().map(module).collect::<Vec<_>>()).cycles()
    };
    let room = ("src/b/mod.rs", "mod c;\npub use c::{B as Bee, C};");
    let named = [
        "use crate::b::Bee;\nfn f() {}",
        "use crate::{b::c::*};\nfn f() {}",
        "use crate::b;\nfn f() { b::C; }",
        "fn f() -> crate::b::Bee { x }",
        "use super::b::{self, c::{B}};\nfn f() {}",
    ];
    for text in named {
        let back = ("src/b/c.rs", "use super::super::a::f;\nstruct B; struct C;");
        assert_eq!(cycles(&[("src/a.rs", text), room, back]).len(), 1, "{text}");
        let inline = ("src/b/c.rs", "struct B; struct C;\nimpl B { fn g() { crate::a::f() } }");
        assert_eq!(cycles(&[("src/a.rs", text), room, inline]).len(), 1, "{text}");
        let alone = ("src/b/c.rs", "use std::a;\nstruct B; // crate::x\nconst T: &str = \"crate::a::f\";");
        assert!(cycles(&[("src/a.rs", text), room, alone]).is_empty(), "{text}");
    }
    let siblings = ["use super::d::D;\nstruct B;", "use crate::b::c::B;\nstruct D;"];
    let found = cycles(&[room, ("src/b/c.rs", siblings[0]), ("src/b/d.rs", siblings[1])]);
    assert_eq!(found, ["src/b/c.rs -> src/b/d.rs\n    src/b/d.rs -> src/b/c.rs"]);
}

/// Each rule above detects a violation.
#[test]
fn every_rule_detects_a_violation() {
    assert_eq!(imports("use crate::pool::{slots, crate::units}; $crate::layout"), ["pool", "units"]);
    assert_eq!(imports("pub use crate::{conf::ConfMgr, sys}; hotpool_crate::x"), ["conf", "sys"]);
    let text = "impl A {\n    pub(crate) fn long(\n        &self,\n    ) {\n        if b {\n        }\n    }\n}\nfn short() {\n}\n";
    let source = Source { path: "src/a.rs".into(), text: text.into() };
    assert_eq!(functions(&source), [("long".into(), 2, 6), ("short".into(), 9, 2)]);
    let source = Source { path: "src/a.rs".into(), text: "a\n// b\n#[cfg(test)]\nmod tests {\n".into() };
    assert_eq!(source.shipped().map(|(_, line)| line).collect::<Vec<_>>(), ["a"]);
    assert_eq!(links("[a](b.md#c) [d](#e) [f](https://g.h)"), ["b.md#c", "#e"]);
    assert_eq!(paths("`src/a.rs` and `cargo run`\n```\n`src/b.rs`\n```\n`tests/c`"), ["src/a.rs", "tests/c"]);
    let layout = "## Operations, store by store\n\nA **b**.\n\n`a`: x \u{b7} **b** \u{b7} **c = 0**\n\n## d\n`e`: **f**";
    assert_eq!(commits_of_the_layout(layout), [("a".into(), "b".into()), ("a".into(), "c = 0".into())]);
    let code = "\ncommits! {\n    A: \"a\", \"b\";\n}\n";
    assert_eq!(commits_of_the_code(code), [("a".into(), "b".into())]);
    let docs = "/// Of a.\nfn a() {}\n/// One\n/// Of two.\nfn b() {}\n    /// The same of b.\n";
    assert_eq!(leaning(docs).iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 6]);
    assert!(anchors("## When does it go cold?\n").contains("when-does-it-go-cold"));
}
