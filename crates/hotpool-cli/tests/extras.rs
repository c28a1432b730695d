//! Completion scripts and man pages: shells and man accept them, and `install-extras` installs them.
//! A shell or a formatter that is not installed is reported as SKIPPED.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const VERBS: [&str; 21] = [
    "check",
    "compat",
    "completions",
    "doctor",
    "fence",
    "gen",
    "init",
    "inspect",
    "install-extras",
    "ls",
    "man",
    "postmortem",
    "pull",
    "push",
    "queues",
    "restore",
    "rm",
    "schema",
    "snapshot",
    "snapshots",
    "verify",
];

fn hotpool(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hotpool")).args(args).output().unwrap()
}

#[track_caller]
fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Runs a program. Returns nothing if it is not installed.
fn run(program: &str, args: &[&str]) -> Option<Output> {
    match Command::new(program).args(args).env("LC_ALL", "C.UTF-8").output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => panic!("{program}: {error}"),
    }
}

/// Returns the files below a folder, relative to it.
fn tree(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => drop(found.insert(path.strip_prefix(folder).unwrap().to_owned())),
            }
        }
    }
    found
}

#[test]
fn each_shell_accepts_its_completion_script() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let script = stdout(&hotpool(&["completions", shell]));
        for verb in VERBS {
            assert!(script.contains(verb), "{shell}: the script does not name {verb}");
        }
        let file = folder.path().join(shell);
        fs::write(&file, script).unwrap();
        match run(shell, &["-n", file.to_str().unwrap()]) {
            Some(checked) => {
                assert!(checked.status.success() && checked.stderr.is_empty(), "{shell}: {checked:?}");
            }
            None => eprintln!(
                "SKIPPED: {shell} is not installed: the syntax of its completion script is not checked"
            ),
        }
    }
}

#[test]
fn bash_completes_verbs_and_options() {
    let script = stdout(&hotpool(&["completions", "bash"]));
    let complete = |words: &str, last: usize| {
        let asked = format!(
            "{script}\nCOMP_WORDS=({words}) COMP_CWORD={last}; _hotpool hotpool \"${{COMP_WORDS[{last}]}}\" \
             \"${{COMP_WORDS[{last}-1]}}\"; echo \"${{COMPREPLY[@]}}\""
        );
        run("bash", &["-c", &asked]).map(|output| stdout(&output))
    };
    let Some(verbs) = complete("hotpool in", 1) else {
        eprintln!("SKIPPED: bash is not installed: the completion of verbs is not checked");
        return;
    };
    assert_eq!(verbs, "init inspect install-extras\n");
    assert_eq!(complete("hotpool rm --dr", 2).unwrap(), "--dry-run\n");
    assert!(complete("hotpool completions ", 2).unwrap().contains("fish"));
}

#[test]
fn every_verb_has_a_man_page_that_renders() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("man");
    let printed = stdout(&hotpool(&["man", dir.to_str().unwrap()]));
    let pages: Vec<String> = VERBS.iter().map(|verb| format!("hotpool-{verb}.1")).collect();
    let expected: BTreeSet<PathBuf> =
        pages.iter().map(String::as_str).chain(["hotpool.1"]).map(PathBuf::from).collect();
    assert_eq!(tree(&dir), expected);
    assert_eq!(printed.lines().count(), expected.len());

    for page in &expected {
        let file = dir.join(page);
        let file = file.to_str().unwrap();
        let rendered = match run("man", &["--warnings", "-l", file]) {
            Some(rendered) => rendered,
            None => match run("mandoc", &["-Tlint", "-W", "error", file]) {
                Some(checked) => checked,
                None => {
                    eprintln!("SKIPPED: neither man nor mandoc is installed: the man pages are not rendered");
                    return;
                }
            },
        };
        assert!(rendered.status.success() && rendered.stderr.is_empty(), "{}: {rendered:?}", page.display());
    }
    let top = fs::read_to_string(dir.join("hotpool.1")).unwrap();
    for verb in VERBS {
        assert!(top.contains(&format!("hotpool\\-{}(1)", verb.replace('-', "\\-"))), "hotpool.1: {verb}");
    }
}

#[test]
fn install_extras_lists_the_files_that_it_writes_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let prefix = folder.path().to_str().unwrap();
    let install = |more: &[&str]| stdout(&hotpool(&[&["install-extras", "--prefix", prefix], more].concat()));
    let listed = |printed: &str, word: &str| -> BTreeSet<PathBuf> {
        let files =
            printed.lines().map(|line| line.strip_prefix(word).unwrap_or_else(|| panic!("{printed}")));
        files.map(|file| Path::new(file.trim()).strip_prefix(prefix).unwrap().to_owned()).collect()
    };
    let planned = listed(&install(&["--dry-run"]), "would write ");
    assert!(tree(folder.path()).is_empty(), "--dry-run writes nothing");
    assert_eq!(listed(&install(&[]), "written "), planned);
    assert_eq!(tree(folder.path()), planned);
    assert_eq!(planned.len(), 3 + 1 + VERBS.len());
    for file in [
        "share/bash-completion/completions/hotpool",
        "share/zsh/site-functions/_hotpool",
        "share/fish/vendor_completions.d/hotpool.fish",
        "share/man/man1/hotpool.1",
        "share/man/man1/hotpool-install-extras.1",
    ] {
        assert!(planned.contains(Path::new(file)), "{file}");
    }
    assert_eq!(listed(&install(&[]), "unchanged "), planned);
    let json: serde_json::Value = serde_json::from_str(&install(&["--json"])).unwrap();
    assert_eq!(json["files"].as_array().map(Vec::len), Some(planned.len()), "{json:#}");
}

#[test]
fn install_extras_goes_to_the_home_folder_by_default() {
    let home = tempfile::tempdir().unwrap();
    let install = |args: &[&str], home: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hotpool"));
        command.arg("install-extras").args(args).env("HOME", home).current_dir("/").output().unwrap()
    };
    let path = home.path().to_str().unwrap();
    stdout(&install(&[], path));
    assert!(home.path().join(".local/share/man/man1/hotpool.1").exists());
    // The shell does not expand this tilde.
    stdout(&install(&["--prefix=~/other"], path));
    assert!(home.path().join("other/share/man/man1/hotpool.1").exists());

    let homeless = install(&["--dry-run"], "");
    assert_eq!(homeless.status.code(), Some(3));
    let said = String::from_utf8(homeless.stderr).unwrap();
    assert!(said.contains("HOME is not set; name a folder with --prefix"), "{said}");
}

#[test]
fn a_file_that_cannot_be_written_is_an_environment_error() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("share"), "a file").unwrap();
    let failed = hotpool(&["install-extras", "--prefix", folder.path().to_str().unwrap()]);
    assert_eq!(failed.status.code(), Some(3), "{failed:?}");
}
