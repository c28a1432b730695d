//! `hotpool gen` writes whole, checked files, and only those that changed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn hotpool(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hotpool")).args(args).current_dir(folder).output().unwrap()
}

fn text(output: &Output) -> (i32, String) {
    (output.status.code().unwrap(), String::from_utf8(output.stdout.clone()).unwrap())
}

/// Returns a folder with the values of the tests: two worlds with two zones each.
fn deployment() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cmd/gen.in");
    fs::create_dir(folder.path().join("config")).unwrap();
    for file in ["config/deploy.toml", "config/bad_size.toml", "memorypool.ini.tmpl"] {
        fs::copy(from.join(file), folder.path().join(file)).unwrap();
    }
    folder
}

#[test]
fn the_ini_in_the_repository_matches_gen() {
    let (code, printed) = text(&hotpool(&repository(), &["gen"]));
    assert_eq!(code, 0);
    assert_eq!(printed, fs::read_to_string(repository().join("config/memorypool.ini")).unwrap());
    let (code, _) = text(&hotpool(&repository(), &["gen", "--file", "config/memorypool.ini", "--check"]));
    assert_eq!(code, 0);
}

#[test]
fn the_inis_in_the_repository_do_not_collide() {
    let (code, printed) =
        text(&hotpool(&repository(), &["check", "config/memorypool.ini", "config/memorypool.full.ini"]));
    assert_eq!(code, 0, "{printed}");
}

#[test]
fn the_template_of_the_tests_matches_the_repository() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cmd/gen.in/memorypool.ini.tmpl");
    let there = repository().join("memorypool.ini.tmpl");
    assert_eq!(fs::read_to_string(here).unwrap(), fs::read_to_string(there).unwrap());
}

#[test]
fn a_fleet_is_written_and_checked_and_unchanged_files_are_kept() {
    let folder = deployment();
    let run = |args: &[&str]| text(&hotpool(folder.path(), &[&["gen", "--out", "inis"], args].concat()));
    let states = |word: &str| {
        ["w1z0", "w1z1", "w2z0", "w2z1"].map(|zone| format!("{word:9} inis/memorypool.{zone}.ini\n")).concat()
    };
    assert_eq!(run(&["--check"]), (1, states("missing")));
    assert!(!folder.path().join("inis").exists(), "--check writes nothing");
    assert_eq!(run(&[]), (0, states("written")));
    assert_eq!(run(&["--check"]), (0, states("unchanged")));

    let one = folder.path().join("inis/memorypool.w1z1.ini");
    let other = folder.path().join("inis/memorypool.w2z0.ini");
    let untouched = fs::metadata(&other).unwrap().ino();
    fs::write(&one, "[common]\n").unwrap();
    let (code, printed) = run(&["--check"]);
    assert_eq!((code, printed.matches("differs").count()), (1, 1), "{printed}");
    assert!(printed.contains("differs   inis/memorypool.w1z1.ini"));
    assert_eq!(fs::read_to_string(&one).unwrap(), "[common]\n", "--check writes nothing");

    let (code, printed) = run(&[]);
    assert_eq!((code, printed.matches("written").count()), (0, 1), "{printed}");
    assert_eq!(fs::metadata(&other).unwrap().ino(), untouched, "a correct file is not rewritten");

    let inis: Vec<String> =
        ["w1z0", "w1z1", "w2z0", "w2z1"].map(|zone| format!("inis/memorypool.{zone}.ini")).into();
    let mut check = vec!["check"];
    check.extend(inis.iter().map(String::as_str));
    assert_eq!(hotpool(folder.path(), &check).status.code(), Some(0), "no two zones share a key");
}

#[test]
fn an_ini_of_a_removed_zone_is_named_and_kept() {
    let folder = deployment();
    fs::create_dir(folder.path().join("inis")).unwrap();
    let gone = folder.path().join("inis/memorypool.w9z0.ini");
    fs::write(&gone, "").unwrap();
    let (code, printed) = text(&hotpool(folder.path(), &["gen", "--out", "inis"]));
    assert_eq!(code, 0);
    assert!(printed.ends_with("left over inis/memorypool.w9z0.ini\n"), "{printed}");
    assert!(gone.exists());
    assert_eq!(hotpool(folder.path(), &["gen", "--out", "inis", "--check"]).status.code(), Some(1));
}

#[test]
fn one_world_and_one_zone_can_be_chosen() {
    let folder = deployment();
    let (code, printed) = text(&hotpool(folder.path(), &["gen", "--out", "inis", "--world", "2"]));
    assert_eq!(code, 0);
    assert_eq!(printed, "written   inis/memorypool.w2z0.ini\nwritten   inis/memorypool.w2z1.ini\n");
    hotpool(folder.path(), &["gen", "--file", "one.ini", "--world", "2", "--zone", "1"]);
    let both = ["one.ini", "inis/memorypool.w2z1.ini"].map(|f| fs::read(folder.path().join(f)).unwrap());
    assert_eq!(both[0], both[1]);
}

#[test]
fn invalid_values_write_no_ini() {
    let folder = deployment();
    let output = hotpool(folder.path(), &["gen", "--config", "config/bad_size.toml", "--out", "inis"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!folder.path().join("inis").exists());
}

#[test]
fn a_folder_that_cannot_be_created_is_an_environment_error() {
    let folder = deployment();
    fs::write(folder.path().join("inis"), "a file").unwrap();
    let output = hotpool(folder.path(), &["gen", "--out", "inis"]);
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("inis/memorypool.w1z0.ini"), "{said}");
}

/// The files that `hotpool init` writes, relative to its folder.
const STARTER: [&str; 4] =
    ["memorypool.ini.tmpl", "config/deploy.toml", "config/memorypool.ini", "config/memorypool.full.ini"];

#[test]
fn init_writes_files_that_check_and_gen_accept() {
    let folder = tempfile::tempdir().unwrap();
    let (code, printed) = text(&hotpool(folder.path(), &["init", "game"]));
    assert_eq!((code, printed), (0, STARTER.map(|file| format!("written   game/{file}\n")).concat()));
    let game = folder.path().join("game");
    let check = hotpool(&game, &["check", "config/memorypool.ini", "config/memorypool.full.ini"]);
    assert_eq!(check.status.code(), Some(0), "{check:?}");
    let generated = hotpool(&game, &["gen", "--file", "config/memorypool.ini", "--check"]);
    assert_eq!(generated.status.code(), Some(0), "{generated:?}");
    for file in STARTER {
        let [here, there] = [&game, &repository()].map(|root| fs::read_to_string(root.join(file)).unwrap());
        assert_eq!(here, there, "{file} is the same as in the repository");
    }
    let (code, printed) = text(&hotpool(&game, &["init"]));
    assert_eq!((code, printed.matches("unchanged").count()), (0, 4), "{printed}");
}

#[test]
fn init_replaces_an_existing_file_only_with_force() {
    let folder = tempfile::tempdir().unwrap();
    let values = folder.path().join(STARTER[1]);
    fs::create_dir(folder.path().join("config")).unwrap();
    fs::write(&values, "mine").unwrap();
    let refused = hotpool(folder.path(), &["init"]);
    let said = String::from_utf8(refused.stderr.clone()).unwrap();
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(4), 0), "{refused:?}");
    assert!(said.contains("config/deploy.toml") && said.contains("--force"), "{said}");
    assert_eq!(fs::read_to_string(&values).unwrap(), "mine");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no file was written");

    assert_eq!(hotpool(folder.path(), &["init", "--force"]).status.code(), Some(0));
    assert!(fs::read_to_string(&values).unwrap().contains("[fleet]"));
}

/// If the reader closes the pipe early, as `head -1` does, the command does not panic and its exit
/// code is still the result.
#[test]
fn a_closed_pipe_is_not_a_panic() {
    for (args, code) in [
        (&["check", "config/memorypool.ini"][..], 0),
        (&["check", "--json", "config/memorypool.ini"][..], 0),
        (&["check", "README.md"][..], 1),
        (&["gen"][..], 0),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = Command::new(env!("CARGO_BIN_EXE_hotpool"))
            .args(args)
            .current_dir(repository())
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{args:?}");
    }
}

/// To open a named pipe waits for a process that writes to it, for ever if none does.
#[test]
fn a_named_pipe_is_refused_wherever_a_file_is_wanted() {
    let folder = deployment();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for args in [
        &["gen", "--config", "pipe"][..],
        &["gen", "--template", "pipe"],
        &["gen", "--file", "pipe"],
        &["gen", "--file", "pipe", "--check"],
        &["check", "pipe"],
        &["ls", "--conf", "pipe"],
        &["verify", "--conf", "pipe"],
        &["rm", "--conf", "pipe"],
        &["doctor", "--conf", "pipe"],
    ] {
        let mut in_time = vec!["20", env!("CARGO_BIN_EXE_hotpool")];
        in_time.extend(args);
        let output = Command::new("timeout").args(in_time).current_dir(folder.path()).output().unwrap();
        let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert!(!matches!(output.status.code(), None | Some(0 | 124)), "{args:?}: {told}");
        assert!(told.contains("it is a named pipe, not a file"), "{args:?}: {told}");
    }
    let endless = hotpool(folder.path(), &["gen", "--config", "/dev/zero"]);
    assert!(String::from_utf8(endless.stderr).unwrap().contains("it has more than 16 MiB"));
}
