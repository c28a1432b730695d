//! Which files of the library import which: paths resolved through `use`, `super` and re-exports.
//!
//! This is a scanner, not a compiler. It understands `use` trees, `crate::`, `self::`, `super::`,
//! names bound by `use`, and modules that a file declares. It does not resolve method calls.

use std::collections::{BTreeMap, BTreeSet};

/// A file of the library: its path, and its shipped text without comments.
pub(crate) struct Module<'a> {
    pub(crate) file: &'a str,
    pub(crate) text: String,
}

type Path = Vec<String>;

/// The names that one file binds and uses.
struct Names {
    /// The names that `use` binds, with their paths.
    bound: BTreeMap<String, Path>,
    /// The modules that `use` imports as a whole.
    globs: Vec<Path>,
    /// Every path in the file, as it is written.
    named: Vec<Path>,
    /// Whether the file contains more than `mod` and `use`.
    is_node: bool,
}

/// The imports: for each file, the files that it imports.
pub(crate) struct Graph {
    pub(crate) edges: BTreeMap<String, BTreeSet<String>>,
}

/// Returns the module of a file: `src/a/b.rs` and `src/a/b/mod.rs` are `a::b`.
fn module_of(file: &str) -> Path {
    let rest = file.trim_start_matches("src/").trim_end_matches(".rs");
    let mut parts: Path = rest.split('/').map(str::to_string).collect();
    if matches!(parts.last().map(String::as_str), Some("mod" | "lib")) {
        parts.pop();
    }
    parts
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Sign(char),
    Path,
}

/// Splits a text into words, `::` and other characters, without string literals.
fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < chars.len() {
        let c = chars[at];
        if c.is_alphabetic() || c == '_' {
            let end = (at..chars.len()).find(|n| !chars[*n].is_alphanumeric() && chars[*n] != '_');
            let end = end.unwrap_or(chars.len());
            found.push(Token::Word(chars[at..end].iter().collect()));
            at = end;
        } else if c == ':' && chars.get(at + 1) == Some(&':') {
            found.push(Token::Path);
            at += 2;
        } else if c == '"' {
            at += 1;
            while at < chars.len() && chars[at] != '"' {
                at += if chars[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
        } else if c == '\'' && chars.get(at + 2) == Some(&'\'') {
            at += 3;
        } else {
            if !c.is_whitespace() {
                found.push(Token::Sign(c));
            }
            at += 1;
        }
    }
    found
}

/// Collects the paths of the `use` tree at `at`, each with the name that it binds. Returns where the
/// tree ends.
fn tree(tokens: &[Token], mut at: usize, prefix: &Path, found: &mut Vec<(Path, String)>) -> usize {
    let mut path = prefix.clone();
    loop {
        match tokens.get(at) {
            Some(Token::Word(word)) => path.push(word.clone()),
            Some(Token::Sign('*')) => {
                found.push((path, "*".into()));
                return at + 1;
            }
            Some(Token::Sign('{')) => {
                at += 1;
                while let Some(token) = tokens.get(at) {
                    at = match token {
                        Token::Sign('}') => return at + 1,
                        Token::Word(_) => tree(tokens, at, &path, found),
                        _ => at + 1,
                    };
                }
                return at;
            }
            _ => return at,
        }
        at += 1;
        if tokens.get(at) != Some(&Token::Path) {
            break;
        }
        at += 1;
    }
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    let mut name = path.last().cloned().unwrap_or_default();
    if tokens.get(at) == Some(&Token::Word("as".into()))
        && let Some(Token::Word(other)) = tokens.get(at + 1)
    {
        name = other.clone();
        at += 2;
    }
    found.push((path, name));
    at
}

fn read(module: &Module<'_>) -> Names {
    let tokens = tokens(&module.text);
    let mut names = Names { bound: BTreeMap::new(), globs: Vec::new(), named: Vec::new(), is_node: false };
    let (mut at, mut depth) = (0, 0);
    while at < tokens.len() {
        match &tokens[at] {
            Token::Word(word) if word == "use" => {
                let mut found = Vec::new();
                at = tree(&tokens, at + 1, &Path::new(), &mut found);
                for (path, name) in found {
                    match name.as_str() {
                        "*" => names.globs.push(path),
                        _ => drop(names.bound.insert(name, path)),
                    }
                }
                continue;
            }
            Token::Word(word) => {
                let begins = at == 0 || tokens[at - 1] != Token::Path && tokens[at - 1] != Token::Sign('.');
                if begins && tokens.get(at + 1) == Some(&Token::Path) {
                    let mut found = Vec::new();
                    at = tree(&tokens, at, &Path::new(), &mut found);
                    names.named.extend(found.into_iter().map(|(path, _)| path));
                    continue;
                }
                let is_item =
                    ["fn", "struct", "enum", "trait", "impl", "const", "static", "type", "macro_rules"];
                names.is_node |= depth == 0 && is_item.contains(&word.as_str());
            }
            Token::Sign('{') => depth += 1,
            Token::Sign('}') => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    names
}

struct House {
    files: BTreeMap<Path, (String, Names)>,
}

impl House {
    /// Returns a path of `module` relative to the root, or `None` if it leads out of the crate.
    fn absolute(&self, module: &Path, path: &Path) -> Option<Path> {
        let mut from = module.clone();
        let mut rest = path.as_slice();
        match rest.first().map(String::as_str) {
            Some("crate" | "hotpool") => return Some(rest[1..].to_vec()),
            Some("self") => rest = &rest[1..],
            Some("super") => {
                while rest.first().is_some_and(|first| first == "super") {
                    from.pop();
                    rest = &rest[1..];
                }
            }
            Some(first) => {
                let names = &self.files.get(module)?.1;
                // A name that a `use` binds to a path of the same beginning is a module here, or leads out: `use log;`.
                let bound = names.bound.get(first).filter(|bound| bound[0] != *first);
                if let Some(bound) = bound {
                    let mut whole = bound.clone();
                    whole.extend_from_slice(&rest[1..]);
                    return self.absolute(module, &whole);
                }
                if !self.has_child(module, first) {
                    return None;
                }
            }
            None => return None,
        }
        from.extend_from_slice(rest);
        Some(from)
    }

    fn has_child(&self, module: &Path, name: &str) -> bool {
        let mut child = module.clone();
        child.push(name.into());
        self.files.contains_key(&child)
    }

    /// Returns the file that defines the item of a path, through re-exports.
    fn resolve(&self, path: &Path, depth: u32) -> Option<&str> {
        let mut at = Path::new();
        for (number, segment) in path.iter().enumerate() {
            if self.has_child(&at, segment) {
                at.push(segment.clone());
                continue;
            }
            let (file, names) = self.files.get(&at)?;
            if let Some(bound) = names.bound.get(segment).filter(|_| depth < 9)
                && let Some(mut whole) = self.absolute(&at, bound)
                && whole.as_slice() != &path[..=number]
            {
                whole.extend_from_slice(&path[number + 1..]);
                return self.resolve(&whole, depth + 1);
            }
            if names.is_node && depth == 0 || names.globs.is_empty() {
                return Some(file);
            }
            let globs = names.globs.iter().filter_map(|glob| self.absolute(&at, glob));
            let mut through = globs.filter_map(|mut whole| {
                whole.extend_from_slice(&path[number..]);
                self.resolve(&whole, depth + 1).filter(|_| depth < 9)
            });
            return through.next().or(Some(file));
        }
        self.files.get(&at).map(|(file, _)| file.as_str())
    }
}

/// Builds the graph of all files. Files that only declare and re-export are not nodes: a re-exported
/// item counts as part of the file that defines it.
pub(crate) fn graph(modules: &[Module<'_>]) -> Graph {
    let files =
        modules.iter().map(|module| (module_of(module.file), (module.file.to_string(), read(module))));
    let house = House { files: files.collect() };
    let mut edges = BTreeMap::new();
    for (module, (file, names)) in &house.files {
        if !names.is_node {
            continue;
        }
        let mut imports = BTreeSet::new();
        for path in names.bound.values().chain(&names.globs).chain(&names.named) {
            let Some(path) = house.absolute(module, path) else { continue };
            let Some(to) = house.resolve(&path, 0) else { continue };
            let is_node = house.files.values().any(|(other, names)| other == to && names.is_node);
            if to != file && is_node {
                imports.insert(to.to_string());
            }
        }
        edges.insert(file.clone(), imports);
    }
    Graph { edges }
}

impl Graph {
    fn reaches(&self, from: &str) -> BTreeSet<&str> {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(file) = open.pop() {
            for to in self.edges.get(file).into_iter().flatten() {
                if seen.insert(to.as_str()) {
                    open.push(to);
                }
            }
        }
        seen
    }

    /// Returns the groups of files that import one another in a circle, with the imports inside each.
    pub(crate) fn cycles(&self) -> Vec<String> {
        let reach: BTreeMap<&str, BTreeSet<&str>> =
            self.edges.keys().map(|file| (file.as_str(), self.reaches(file))).collect();
        let mut groups: BTreeSet<Vec<&str>> = BTreeSet::new();
        for (file, reached) in &reach {
            let group =
                reached.iter().copied().filter(|to| reach.get(to).is_some_and(|back| back.contains(file)));
            let group: Vec<&str> = group.collect();
            if !group.is_empty() {
                groups.insert(group);
            }
        }
        let show = |group: &Vec<&str>| {
            let inside = |file: &&str| {
                let to = self.edges[*file].iter().filter(|to| group.contains(&to.as_str()));
                format!("{file} -> {}", to.map(String::as_str).collect::<Vec<_>>().join(", "))
            };
            group.iter().map(inside).collect::<Vec<_>>().join("\n    ")
        };
        groups.iter().map(show).collect()
    }
}
