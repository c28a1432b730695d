//! Every mistake in an ini is reported with its position, what was found and what to do.
//!
//! There is one test for each kind of mistake. Each begins with a valid ini, introduces one mistake
//! and compares the whole report: the code for programs, then the message for people.

use hotpool::ConfMgr;
use hotpool::conf::ConfError;
use insta::assert_snapshot;
use std::fs;
use std::path::Path;

const SOUND: &str = "\
[common]
ProcessList = zone, world

[zone]
BaseKey   = 0x48500100
BlockSize = 64M
ShmKeys   = 0x48500101, 0x48500102

[zone.types]
player = 5000 x 12K

[world]
BaseKey   = 0x48500200
BlockSize = 64M
ShmKeys   = 0x48500201
";

/// Returns the report for `SOUND` with `from` replaced by `to` once.
fn mistake(from: &str, to: &str) -> String {
    assert!(SOUND.contains(from), "nothing to replace: {from}");
    report(&SOUND.replacen(from, to, 1))
}

fn report(text: &str) -> String {
    shown(ConfMgr::parse(text, "a.ini").expect_err("the mistake was not reported"))
}

fn shown(error: ConfError) -> String {
    let lines = error.problems().iter().map(|p| format!("{}\n  {p}", p.kind.code()));
    let shown = lines.collect::<Vec<_>>().join("\n");
    let messages: Vec<String> = error.problems().iter().map(ToString::to_string).collect();
    assert_eq!(error.to_string(), messages.join("\n"), "the error lists its problems");
    shown
}

/// Returns the report of `error` without the path of a temporary folder.
fn shown_without(folder: &Path, error: ConfError) -> String {
    shown(error).replace(&format!("{}/", folder.display()), "")
}

#[test]
fn the_ini_without_mistakes_is_valid() {
    let conf = ConfMgr::parse(SOUND, "a.ini").unwrap();
    let names: Vec<&str> = conf.processes().iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["zone", "world"]);
}

#[test]
fn every_kind_of_problem_has_a_test_here() {
    let kinds = fs::read_to_string("src/conf/problem.rs").unwrap();
    let codes = kinds.lines().filter_map(|line| line.trim().split_once("=> \"")?.1.strip_suffix("\","));
    let codes: Vec<&str> = codes.collect();
    assert!(codes.len() >= 40, "the table of codes was not found");
    let here = include_str!("conf_errors.rs");
    for code in codes {
        assert!(
            here.lines().any(|line| line.trim().trim_start_matches("@\"") == code),
            "{code} is not tested"
        );
    }
}

#[test]
fn a_missing_file() {
    let folder = tempfile::tempdir().unwrap();
    let error = ConfMgr::load(folder.path().join("no.ini")).unwrap_err();
    assert_snapshot!(shown_without(folder.path(), error), @"
    unreadable
      no.ini: cannot be read: No such file or directory (os error 2)
    ");
}

#[test]
fn a_file_without_an_end() {
    let error = ConfMgr::load("/dev/zero").unwrap_err();
    assert_snapshot!(shown(error), @"
    too-large
      /dev/zero: is larger than 16M, the limit for an ini; is it another file?
    ");
}

#[test]
fn a_file_that_is_not_utf8() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("latin1.ini");
    fs::write(&path, b"[common]\n; \xc3\xa9t\xe9\n").unwrap();
    assert_snapshot!(shown_without(folder.path(), ConfMgr::load(&path).unwrap_err()), @"
    not-utf8
      latin1.ini:2:5: is not UTF-8 from here on; save the file as UTF-8
    ");
}

#[test]
fn a_file_that_is_named_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ini");
    fs::write(&path, SOUND).unwrap();
    let again = folder.path().join("link.ini");
    std::os::unix::fs::symlink(&path, &again).unwrap();
    let error = ConfMgr::load_fleet([path, again]).unwrap_err();
    assert_snapshot!(shown_without(folder.path(), error), @"
    file-twice
      link.ini: is the same file as a.ini; name it once
    ");
}

#[test]
fn a_malformed_line() {
    assert_snapshot!(mistake("BlockSize = 64M", "BlockSize: 64M"), @r#"
    malformed-line
      a.ini:6:1: [zone]: "BlockSize: 64M" is neither [section], nor Key = value, nor a comment that starts with ; or #
    "#);
}

#[test]
fn a_line_with_a_control_character_does_not_reach_the_terminal() {
    assert_snapshot!(mistake("[zone.types]", "[zone\u{1b}[2J.types]"), @r#"
    malformed-line
      a.ini:9:1: "[zone\u{1b}[2J.types]" is neither [section], nor Key = value, nor a comment that starts with ; or #
    "#);
}

#[test]
fn a_long_line_is_truncated() {
    assert_snapshot!(mistake("[zone.types]", &"ж".repeat(1000)), @r#"
    malformed-line
      a.ini:9:1: [zone]: "жжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжж"… is neither [section], nor Key = value, nor a comment that starts with ; or #
    unknown-key
      a.ini:10:1: [zone] player: is an unknown key; this section has FormerName, BaseKey, BlockSize, ShmKeys, Backend, Dir, Mode, OwnerWaitMs, CoreDump, UndoSize, HugePages, Prefault, LockMemory, MaxCrashResumes, CrashWindowSec, OnCrashLoop, OnTorn, MustBeHot, SnapshotDir, SnapshotEverySec, SnapshotKeep, SnapshotOnClose, OnMissing
    "#);
}

#[test]
fn a_key_before_the_first_section() {
    assert_snapshot!(mistake("[common]", "BlockSize = 64M\n[common]"), @"
    outside-section
      a.ini:1:1: this key comes before the first [section]; move it below the section to which it belongs
    ");
}

#[test]
fn a_section_that_is_repeated() {
    assert_snapshot!(mistake("[world]", "[zone]"), @"
    section-missing
      a.ini:2:21: [common] ProcessList: lists world, but has no section [world]; add the section or remove the name
    repeated-section
      a.ini:12:2: [zone]: the section already exists at a.ini:4: [zone]; merge the two or rename one
    ");
}

#[test]
fn a_key_that_is_repeated() {
    assert_snapshot!(mistake("BlockSize = 64M", "BlockSize = 64M\nBlockSize = 32M"), @"
    repeated-key
      a.ini:7:1: [zone] BlockSize: the key already exists at a.ini:6: [zone] BlockSize; remove one of the two
    ");
}

#[test]
fn a_type_that_is_repeated() {
    assert_snapshot!(mistake("player = 5000 x 12K", "player = 5000\nplayer = 5000"), @"
    repeated-key
      a.ini:11:1: [zone.types] player: the key already exists at a.ini:10: [zone.types] player; remove one of the two
    ");
}

#[test]
fn a_key_without_a_value() {
    assert_snapshot!(mistake("BlockSize = 64M", "BlockSize ="), @"
    no-value
      a.ini:6:12: [zone] BlockSize: has no value; expected a whole number of bytes, optionally followed by K, M or G
    ");
}

#[test]
fn a_value_that_is_a_comment() {
    assert_snapshot!(mistake("BlockSize = 64M", "BlockSize = ; 64M"), @"
    no-value
      a.ini:6:12: [zone] BlockSize: has no value; expected a whole number of bytes, optionally followed by K, M or G
    ");
}

#[test]
fn an_ini_without_a_process_list() {
    assert_snapshot!(mistake("ProcessList = zone, world", ""), @"
    no-process-list
      a.ini:1:2: [common]: has no ProcessList; write [common] and, below it, for example ProcessList = zone, world
    ");
    assert_snapshot!(report(""), @"
    no-process-list
      a.ini: has no ProcessList; write [common] and, below it, for example ProcessList = zone, world
    ");
}

#[test]
fn a_misspelt_common_section_hides_no_other_problem() {
    let text = SOUND.replacen("[common]", "[comon]", 1).replacen("BlockSize = 64M", "BlockSize = 1", 1);
    let said = report(&text);
    assert!(said.contains("[comon]: has the ProcessList, which belongs in [common]"), "{said}");
    assert!(said.contains("[zone] BlockSize: \"1\" is out of range"), "{said}");
    let code = "
        common-misspelt
    ";
    assert_eq!(said.lines().next(), Some(code.trim()));
    let unlisted = report(&text.replacen("zone, world", "zone", 1));
    assert!(unlisted.contains("[world]: ProcessList does not list this process"), "{unlisted}");
}

#[test]
fn a_named_pipe_is_refused_without_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let error = ConfMgr::load(&path).unwrap_err().to_string();
    assert!(error.contains("it is a named pipe"), "{error}");
}

#[test]
fn an_empty_process_list() {
    assert_snapshot!(mistake("ProcessList = zone, world", "ProcessList ="), @"
    empty-process-list
      a.ini:2:14: [common] ProcessList: names no process; write, for example, ProcessList = zone, world
    ");
}

#[test]
fn a_process_that_is_listed_twice() {
    assert_snapshot!(mistake("zone, world", "zone, world, zone"), @"
    listed-twice
      a.ini:2:28: [common] ProcessList: lists zone twice; remove one
    ");
}

#[test]
fn too_many_processes() {
    let many: Vec<String> = (0..257).map(|i| format!("p{i}")).collect();
    assert_snapshot!(mistake("zone, world", &many.join(",")), @"
    too-many-processes
      a.ini:2:15: [common] ProcessList: lists 257 processes; one ini has at most 256
    ");
}

#[test]
fn a_listed_process_without_a_section() {
    assert_snapshot!(mistake("zone, world", "zone, world, match"), @"
    section-missing
      a.ini:2:28: [common] ProcessList: lists match, but has no section [match]; add the section or remove the name
    ");
}

#[test]
fn a_section_that_is_not_listed() {
    assert_snapshot!(mistake("zone, world", "zone"), @"
    section-not-listed
      a.ini:12:2: [world]: ProcessList does not list this process; add it there or remove the section
    ");
}

#[test]
fn a_process_that_is_misspelt() {
    assert_snapshot!(mistake("[world]", "[wolrd]"), @"
    section-missing
      a.ini:2:21: [common] ProcessList: lists world, but has no section [world] (did you mean wolrd?); add the section or remove the name
    section-not-listed
      a.ini:12:2: [wolrd]: ProcessList does not list this process (did you mean world?); add it there or remove the section
    ");
}

#[test]
fn types_of_a_process_that_is_not_listed() {
    assert_snapshot!(mistake("[zone.types]", "[zoen.types]"), @"
    types-not-listed
      a.ini:9:2: [zoen.types]: ProcessList does not list the process zoen of these types (did you mean zone?); add it there or remove the section
    ");
}

#[test]
fn a_dotted_section_that_is_not_types() {
    assert_snapshot!(mistake("[zone.types]", "[zone.type]"), @"
    unknown-section
      a.ini:9:2: [zone.type]: is an unknown kind of section; the types of a process belong in [zone.types]
    ");
}

#[test]
fn an_unknown_key() {
    assert_snapshot!(mistake("BlockSize = 64M", "BlockSize = 64M\nblock_size = 64M"), @"
    unknown-key
      a.ini:7:1: [zone] block_size: is an unknown key (did you mean BlockSize?); this section has FormerName, BaseKey, BlockSize, ShmKeys, Backend, Dir, Mode, OwnerWaitMs, CoreDump, UndoSize, HugePages, Prefault, LockMemory, MaxCrashResumes, CrashWindowSec, OnCrashLoop, OnTorn, MustBeHot, SnapshotDir, SnapshotEverySec, SnapshotKeep, SnapshotOnClose, OnMissing
    ");
    assert_snapshot!(mistake("BlockSize = 64M", "BlockSize = 64M\nColour = red"), @"
    unknown-key
      a.ini:7:1: [zone] Colour: is an unknown key; this section has FormerName, BaseKey, BlockSize, ShmKeys, Backend, Dir, Mode, OwnerWaitMs, CoreDump, UndoSize, HugePages, Prefault, LockMemory, MaxCrashResumes, CrashWindowSec, OnCrashLoop, OnTorn, MustBeHot, SnapshotDir, SnapshotEverySec, SnapshotKeep, SnapshotOnClose, OnMissing
    ");
    assert_snapshot!(mistake("ProcessList", "Colour = red\nProcessList"), @"
    unknown-key
      a.ini:2:1: [common] Colour: is an unknown key; this section has ProcessList
    ");
}

#[test]
fn keys_that_are_missing() {
    assert_snapshot!(mistake("BaseKey   = 0x48500200", ""), @"
    missing-key
      a.ini:12:2: [world] BaseKey: is missing; write, for example, BaseKey = 0x48500100
    ");
    assert_snapshot!(mistake("BlockSize = 64M", ""), @"
    missing-key
      a.ini:4:2: [zone] BlockSize: is missing; write, for example, BlockSize = 64M
    ");
    assert_snapshot!(mistake("ShmKeys   = 0x48500201", ""), @"
    missing-key
      a.ini:12:2: [world] ShmKeys: is missing; write, for example, ShmKeys = 0x48500101, 0x48500102
    ");
}

#[test]
fn a_name_that_is_too_long() {
    assert_snapshot!(mistake("zone, world", &format!("zone, world, {}", "w".repeat(32))), @r#"
    name-too-long
      a.ini:2:28: [common] ProcessList: the name "wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww" has 32 bytes; at most 31 fit
    "#);
    assert_snapshot!(mistake("player", &"p".repeat(48)), @r#"
    name-too-long
      a.ini:10:1: [zone.types] pppppppppppppppppppppppppppppppppppppppppppppppp: the name "pppppppppppppppppppppppppppppppppppppppp"… has 48 bytes; at most 47 fit
    "#);
}

#[test]
fn a_name_of_the_longest_length() {
    let text = SOUND.replace("world", &"w".repeat(31)).replace("player", &"p".repeat(47));
    assert!(ConfMgr::parse(&text, "a.ini").is_ok());
}

#[test]
fn an_invalid_name() {
    assert_snapshot!(mistake("zone, world", "zone, world, 7th"), @r#"
    bad-name
      a.ini:2:28: [common] ProcessList: "7th" is not a valid name; a name begins with a letter or _ and consists of ASCII letters, digits, _ and -
    "#);
    assert_snapshot!(mistake("zone, world", "zone world"), @r#"
    bad-name
      a.ini:2:15: [common] ProcessList: "zone world" is not a valid name; a name begins with a letter or _ and consists of ASCII letters, digits, _ and -
    section-not-listed
      a.ini:4:2: [zone]: ProcessList does not list this process; add it there or remove the section
    types-not-listed
      a.ini:9:2: [zone.types]: ProcessList does not list the process zone of these types; add it there or remove the section
    section-not-listed
      a.ini:12:2: [world]: ProcessList does not list this process; add it there or remove the section
    "#);
    assert_snapshot!(mistake("player", "player one"), @r#"
    bad-name
      a.ini:10:1: [zone.types] player one: "player one" is not a valid name; a name begins with a letter or _ and consists of ASCII letters, digits, _ and -
    "#);
}

#[test]
fn a_process_called_common() {
    assert_snapshot!(mistake("zone, world", "zone, world, common"), @"
    reserved-name
      a.ini:2:28: [common] ProcessList: a process cannot be called common, the section of ProcessList; choose another name
    ");
}

#[test]
fn an_extra_comma() {
    assert_snapshot!(mistake("zone, world", "zone, , world"), @"
    empty-item
      a.ini:2:21: [common] ProcessList: item 2 of the list is empty; remove a comma or add the missing item
    ");
    assert_snapshot!(mistake("0x48500101, 0x48500102", "0x48500101, 0x48500102,"), @"
    empty-item
      a.ini:7:36: [zone] ShmKeys: item 3 of the list is empty; remove a comma or add the missing item
    ");
}

#[test]
fn values_that_are_not_numbers() {
    assert_snapshot!(mistake("0x48500100", "0x4850010O"), @r#"
    not-a-number
      a.ini:5:13: [zone] BaseKey: "0x4850010O" is not a key in decimal, or in hexadecimal after 0x
    "#);
    assert_snapshot!(mistake("0x48500100", "01213202688"), @r#"
    not-a-number
      a.ini:5:13: [zone] BaseKey: "01213202688" is not a key in decimal, or in hexadecimal after 0x
    "#);
    assert_snapshot!(mistake("BlockSize = 64M", "BlockSize = 64MB"), @r#"
    not-a-number
      a.ini:6:13: [zone] BlockSize: "64MB" is not a whole number of bytes, optionally followed by K, M or G
    "#);
    assert_snapshot!(mistake("BlockSize = 64M", "BlockSize = 64M\nOwnerWaitMs = 6s"), @r#"
    not-a-number
      a.ini:7:15: [zone] OwnerWaitMs: "6s" is not a whole number
    "#);
    assert_snapshot!(mistake("BlockSize = 64M", "BlockSize = 64M\nMode = rw"), @r#"
    not-a-number
      a.ini:7:8: [zone] Mode: "rw" is not permission bits in octal, such as 0600
    "#);
    assert_snapshot!(mistake("5000 x 12K", "many x 12K"), @r#"
    not-a-number
      a.ini:10:10: [zone.types] player: "many" is not a whole number
    "#);
    assert_snapshot!(mistake("5000 x 12K", "5000 x 12Q"), @r#"
    not-a-number
      a.ini:10:17: [zone.types] player: "12Q" is not a whole number of bytes, optionally followed by K, M or G
    "#);
    assert_snapshot!(mistake("5000 x 12K", "5000 x"), @"
    no-value
      a.ini:10:16: [zone.types] player: has no value; expected a whole number of bytes, optionally followed by K, M or G
    ");
}

#[test]
fn numbers_that_are_out_of_range() {
    assert_snapshot!(mistake("0x48500100", "0x148500100"), @r#"
    out-of-range
      a.ini:5:13: [zone] BaseKey: "0x148500100" is out of range; expected 0x00000001 to 0xffffffff
    "#);
    assert_snapshot!(mistake("BlockSize = 64M", "BlockSize = 32K"), @r#"
    out-of-range
      a.ini:6:13: [zone] BlockSize: "32K" is out of range; expected 64K to 1024G
    "#);
    assert_snapshot!(mistake("BlockSize = 64M", "BlockSize = 1025G"), @r#"
    out-of-range
      a.ini:6:13: [zone] BlockSize: "1025G" is out of range; expected 64K to 1024G
    "#);
    assert_snapshot!(mistake("BlockSize = 64M", "BlockSize = 64M\nOwnerWaitMs = 600001"), @r#"
    out-of-range
      a.ini:7:15: [zone] OwnerWaitMs: "600001" is out of range; expected 0 to 600000
    "#);
    assert_snapshot!(mistake("5000 x 12K", "70000000 x 12K"), @r#"
    out-of-range
      a.ini:10:10: [zone.types] player: "70000000" is out of range; expected 0 to 66584576
    "#);
    assert_snapshot!(mistake("5000 x 12K", "5000 x 0"), @r#"
    out-of-range
      a.ini:10:17: [zone.types] player: "0" is out of range; expected 1 to 1024G
    "#);
}

#[test]
fn words_that_are_not_among_the_choices() {
    assert_snapshot!(mistake("BlockSize = 64M", "BlockSize = 64M\nBackend = SysV"), @r#"
    not-a-choice
      a.ini:7:11: [zone] Backend: "SysV" is not one of sysv, posix, file, heap (did you mean sysv?)
    "#);
    assert_snapshot!(mistake("BlockSize = 64M", "BlockSize = 64M\nCoreDump = yes"), @r#"
    not-a-choice
      a.ini:7:12: [zone] CoreDump: "yes" is not one of none, header, full
    "#);
}

#[test]
fn the_key_zero() {
    assert_snapshot!(mistake("0x48500102", "0x0"), @r#"
    private-key
      a.ini:7:25: [zone] ShmKeys: "0x0" is IPC_PRIVATE, a key that a restarted process cannot find again; choose another, such as 0x48500100
    "#);
}

#[test]
fn a_key_twice_in_one_section() {
    assert_snapshot!(mistake("0x48500102", "0x48500100"), @"
    key-twice
      a.ini:7:25: [zone] ShmKeys: 0x48500100 is already used at a.ini:5: [zone] BaseKey; every segment needs a key of its own: change one of the two
    ");
    assert_snapshot!(mistake("0x48500102", "0x48500101"), @"
    key-twice
      a.ini:7:25: [zone] ShmKeys: 0x48500101 is already used at a.ini:7: [zone] ShmKeys; every segment needs a key of its own: change one of the two
    ");
}

#[test]
fn a_key_twice_in_two_sections_once_decimal() {
    assert_snapshot!(mistake("0x48500201", "1213202689"), @"
    key-twice
      a.ini:15:13: [world] ShmKeys: 0x48500101 is already used at a.ini:7: [zone] ShmKeys; every segment needs a key of its own: change one of the two
    ");
}

#[test]
fn a_key_used_three_times_names_its_first_position_each_time() {
    let text = SOUND.replacen("0x48500102", "0x48500100", 1).replacen("0x48500201", "0x48500100", 1);
    assert_snapshot!(report(&text), @"
    key-twice
      a.ini:7:25: [zone] ShmKeys: 0x48500100 is already used at a.ini:5: [zone] BaseKey; every segment needs a key of its own: change one of the two
    key-twice
      a.ini:15:13: [world] ShmKeys: 0x48500100 is already used at a.ini:5: [zone] BaseKey; every segment needs a key of its own: change one of the two
    ");
}

#[test]
fn a_key_twice_in_two_files() {
    let other = "[common]\nProcessList = match\n[match]\nBaseKey = 0x48500300\nBlockSize = 1M\nShmKeys = 0x48500201\n";
    assert!(ConfMgr::parse(other, "b.ini").is_ok(), "alone it has no mistake");
    let folder = tempfile::tempdir().unwrap();
    let files = [("a.ini", SOUND), ("b.ini", other)].map(|(name, text)| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    });
    let error = ConfMgr::load_fleet(&files).unwrap_err();
    assert_snapshot!(shown_without(folder.path(), error), @"
    key-twice
      b.ini:6:11: [match] ShmKeys: 0x48500201 is already used at a.ini:15: [world] ShmKeys; every segment needs a key of its own: change one of the two
    ");
}

#[test]
fn no_keys_for_blocks() {
    assert_snapshot!(mistake("0x48500101, 0x48500102", ""), @"
    empty-shm-keys
      a.ini:7:12: [zone] ShmKeys: names no key, so the pool would have no block; write, for example, ShmKeys = 0x48500101, 0x48500102
    ");
}

#[test]
fn too_many_blocks() {
    let many: Vec<String> = (0..4097).map(|i| format!("{}", 0x4900_0000 + i)).collect();
    assert_snapshot!(mistake("0x48500101, 0x48500102", &many.join(",")), @"
    too-many-blocks
      a.ini:7:13: [zone] ShmKeys: names 4097 keys; a pool has at most 4096 blocks: raise BlockSize instead
    ");
    assert!(
        ConfMgr::parse(&SOUND.replacen("0x48500101, 0x48500102", &many[1..].join(","), 1), "a.ini").is_ok()
    );
}

#[test]
fn a_block_that_is_not_whole_pages() {
    assert_snapshot!(mistake("BlockSize = 64M", "BlockSize = 100000"), @"
    not-whole-pages
      a.ini:6:13: [zone] BlockSize: 100000 is not a multiple of 4096; the nearest are 96K and 100K
    ");
}

#[test]
fn a_block_smaller_than_its_largest_object() {
    assert_snapshot!(mistake("5000 x 12K", "1 x 64M"), @"
    block-too-small
      a.ini:10:14: [zone.types] player: an object of 64M needs a block of 65544K; BlockSize is 64M: raise it to 65544K or more
    ");
}

#[test]
fn the_smallest_block_for_an_object() {
    // One page for the block, 64 bytes for the map of one slot, 8 bytes for the slot header.
    let text = SOUND.replacen("64M", "64K", 1);
    for fits in ["1 x 56K", "1 x 61368"] {
        assert!(ConfMgr::parse(&text.replacen("5000 x 12K", fits, 1), "a.ini").is_ok(), "{fits}");
    }
    assert!(ConfMgr::parse(&text.replacen("5000 x 12K", "1 x 61369", 1), "a.ini").is_err());
    let text = SOUND.replacen("64M", "72K", 1);
    assert!(ConfMgr::parse(&text.replacen("5000 x 12K", "1 x 69560", 1), "a.ini").is_ok());
    assert_snapshot!(report(&text.replacen("5000 x 12K", "1 x 69561", 1)), @"
    block-too-small
      a.ini:10:14: [zone.types] player: an object of 69561 needs a block of 76K; BlockSize is 72K: raise it to 76K or more
    ");
}

#[test]
fn types_that_cannot_fit() {
    assert_snapshot!(mistake("5000 x 12K", "20000 x 12K"), @"
    types-too-big
      a.ini:6:13: [zone] BlockSize: the types need at least 235M, but at most 127M fit into 2 blocks of 64M; raise BlockSize, add ShmKeys, or lower a capacity
    ");
    assert_snapshot!(mistake("5000 x 12K", "66584576 x 60M"), @"
    types-too-big
      a.ini:6:13: [zone] BlockSize: the types need at least 3901441G, but at most 127M fit into 2 blocks of 64M; raise BlockSize, add ShmKeys, or lower a capacity
    ");
}

#[test]
fn types_that_fit_exactly() {
    // 15 pages; 16 bytes for each slot.
    let text = SOUND.replacen("64M", "64K", 1).replacen(", 0x48500102", "", 1);
    assert!(ConfMgr::parse(&text.replacen("5000 x 12K", "3840 x 8", 1), "a.ini").is_ok());
    assert!(ConfMgr::parse(&text.replacen("5000 x 12K", "3841 x 8", 1), "a.ini").is_err());
}

#[test]
fn too_many_types() {
    let many: String = (0..1024).map(|i| format!("t{i} = 1\n")).collect();
    assert_snapshot!(mistake("player = 5000 x 12K", &many), @"
    too-many-types
      a.ini:9:2: [zone.types]: has 1024 types; a pool has at most 1023
    ");
}

#[test]
fn a_rename_without_a_former_name() {
    assert_snapshot!(mistake("player = 5000 x 12K", "Player.health = hp\nPlayer.mana = was mana\nPlayer.x ="), @r#"
    not-a-rename
      a.ini:10:17: [zone.types] Player.health: "hp" is not the former name of a field; write, for example, was hp
    not-a-rename
      a.ini:11:15: [zone.types] Player.mana: "mana" is not the former name of a field; write, for example, was hp
    no-value
      a.ini:12:11: [zone.types] Player.x: has no value; expected the former name of the field, as in `was hp`
    "#);
}

#[test]
fn a_rename_of_something_that_is_no_field() {
    assert_snapshot!(mistake("player = 5000 x 12K", "Player.he-alth = was hp\nPlayer.hp = was a, b c"), @r#"
    bad-field
      a.ini:10:8: [zone.types] Player.he-alth: "he-alth" is not the name of a field, perhaps preceded by those of the structs that it is in, as in pos.x
    bad-field
      a.ini:11:13: [zone.types] Player.hp: "b c" is not the name of a field, perhaps preceded by those of the structs that it is in, as in pos.x
    "#);
}

#[test]
fn two_renames_from_one_field() {
    assert_snapshot!(mistake("player = 5000 x 12K", "Player.health = was hp\n Player.life = was lp, hp"), @r#"
    former-name-twice
      a.ini:11:2: [zone.types] Player.life: "hp" is already the former name of another field at a.ini:10: [zone.types] Player.health; remove one of the two
    "#);
}

#[test]
fn a_mode_that_locks_the_owner_out() {
    assert_snapshot!(mistake("BlockSize = 64M", "BlockSize = 64M\nMode = 0400"), @r#"
    mode-locks-owner
      a.ini:7:8: [zone] Mode: "0400" denies the owner access to its own pool; add 0600
    "#);
}

#[test]
fn a_mode_with_other_bits() {
    assert_snapshot!(mistake("BlockSize = 64M", "BlockSize = 64M\nMode = 0755"), @r#"
    mode-bits
      a.ini:7:8: [zone] Mode: "0755" has bits outside 0666; use only the bits for read (4) and write (2)
    "#);
}

#[test]
fn a_file_backend_without_a_folder() {
    assert_snapshot!(mistake("BlockSize = 64M", "BlockSize = 64M\nBackend = file"), @"
    dir-missing
      a.ini:7:11: [zone] Dir: Backend = file needs a folder for its segments; write, for example, Dir = /var/lib/hotpool
    ");
}

#[test]
fn a_folder_without_the_file_backend() {
    assert_snapshot!(mistake("BlockSize = 64M", "BlockSize = 64M\nDir = /srv/pools"), @"
    dir-unused
      a.ini:7:7: [zone] Dir: only Backend = file uses a folder; set it or remove Dir
    ");
}

#[test]
fn a_relative_folder() {
    assert_snapshot!(mistake("BlockSize = 64M", "BlockSize = 64M\nBackend = file\nDir = pools"), @r#"
    dir-not-absolute
      a.ini:8:7: [zone] Dir: "pools" is not an absolute path, so a start from another folder would not find the pool; begin it with /
    "#);
}

#[test]
fn a_process_missing_from_the_ini() {
    let conf = ConfMgr::parse(SOUND, "a.ini").unwrap();
    assert_snapshot!(shown(conf.process("zonee").unwrap_err()), @r#"
    no-such-process
      a.ini: has no process "zonee" (did you mean zone?); its processes are zone, world
    "#);
    assert_snapshot!(shown(conf.process("match").unwrap_err()), @r#"
    no-such-process
      a.ini: has no process "match"; its processes are zone, world
    "#);
}

#[test]
fn an_unlisted_process_is_checked_too() {
    let text = SOUND.replacen("zone, world", "zone", 1).replacen("0x48500201", "0x48500100", 1);
    assert_snapshot!(report(&text), @"
    section-not-listed
      a.ini:12:2: [world]: ProcessList does not list this process; add it there or remove the section
    key-twice
      a.ini:15:13: [world] ShmKeys: 0x48500100 is already used at a.ini:5: [zone] BaseKey; every segment needs a key of its own: change one of the two
    ");
}

#[test]
fn keys_after_a_malformed_header_do_not_join_the_section_before() {
    assert_snapshot!(mistake("[world]", "[world"), @r#"
    section-missing
      a.ini:2:21: [common] ProcessList: lists world, but has no section [world]; add the section or remove the name
    malformed-line
      a.ini:12:1: "[world" is neither [section], nor Key = value, nor a comment that starts with ; or #
    "#);
}

#[test]
fn all_mistakes_are_reported_in_the_order_of_the_file() {
    let text = "\
[zone]
BaseKey = 7
BlockSize = 65537
ShmKeys = 7, x
Colour = red
what is this

[common]
ProcessList = zone, world
[world.types]
monster = 1 x 0
";
    assert_snapshot!(report(text), @r#"
    not-whole-pages
      a.ini:3:13: [zone] BlockSize: 65537 is not a multiple of 4096; the nearest are 64K and 68K
    key-twice
      a.ini:4:11: [zone] ShmKeys: 0x00000007 is already used at a.ini:2: [zone] BaseKey; every segment needs a key of its own: change one of the two
    not-a-number
      a.ini:4:14: [zone] ShmKeys: "x" is not a key in decimal, or in hexadecimal after 0x
    unknown-key
      a.ini:5:1: [zone] Colour: is an unknown key; this section has FormerName, BaseKey, BlockSize, ShmKeys, Backend, Dir, Mode, OwnerWaitMs, CoreDump, UndoSize, HugePages, Prefault, LockMemory, MaxCrashResumes, CrashWindowSec, OnCrashLoop, OnTorn, MustBeHot, SnapshotDir, SnapshotEverySec, SnapshotKeep, SnapshotOnClose, OnMissing
    malformed-line
      a.ini:6:1: [zone]: "what is this" is neither [section], nor Key = value, nor a comment that starts with ; or #
    section-missing
      a.ini:9:21: [common] ProcessList: lists world, but has no section [world]; add the section or remove the name
    out-of-range
      a.ini:11:15: [world.types] monster: "0" is out of range; expected 1 to 1024G
    "#);
}

#[test]
fn invalid_crash_loop_settings() {
    assert_snapshot!(mistake("BlockSize = 64M\nShmKeys   = 0x48500201", "BlockSize = 64M\nShmKeys   = 0x48500201\nMaxCrashResumes = 33\nCrashWindowSec = 0\nOnCrashLoop = freeze\nOnTorn = quarantin"), @r#"
    out-of-range
      a.ini:16:19: [world] MaxCrashResumes: "33" is out of range; expected 0 to 32
    out-of-range
      a.ini:17:18: [world] CrashWindowSec: "0" is out of range; expected 1 to 86400
    not-a-choice
      a.ini:18:15: [world] OnCrashLoop: "freeze" is not one of fail, quarantine, cold
    not-a-choice
      a.ini:19:10: [world] OnTorn: "quarantin" is not one of report, quarantine (did you mean quarantine?)
    "#);
}

#[test]
fn must_be_hot_contradicts_a_cold_crash_loop_policy() {
    assert_snapshot!(mistake("BlockSize = 64M\nShmKeys   = 0x48500201", "BlockSize = 64M\nShmKeys   = 0x48500201\nOnCrashLoop = cold\nMustBeHot = yes"), @"
    hot-and-cold
      a.ini:17:13: [world] MustBeHot: contradicts OnCrashLoop = cold, which causes a cold start; change one of the two
    ");
}

#[test]
fn snapshots_without_a_folder() {
    assert_snapshot!(mistake("BlockSize = 64M\nShmKeys   = 0x48500201", "BlockSize = 64M\nShmKeys   = 0x48500201\nSnapshotEverySec = 60\nSnapshotKeep = 2\nSnapshotOnClose = yes"), @"
    snapshot-dir-missing
      a.ini:16:20: [world] SnapshotEverySec: needs a folder for the snapshots; write, for example, SnapshotDir = /var/lib/hotpool/snapshots
    snapshot-dir-missing
      a.ini:18:19: [world] SnapshotOnClose: needs a folder for the snapshots; write, for example, SnapshotDir = /var/lib/hotpool/snapshots
    ");
}

#[test]
fn invalid_snapshot_settings() {
    assert_snapshot!(mistake("BlockSize = 64M\nShmKeys   = 0x48500201", "BlockSize = 64M\nShmKeys   = 0x48500201\nSnapshotDir = sets\nSnapshotEvery = 60\nSnapshotKeep = 0"), @"
    snapshot-dir-not-absolute
      a.ini:16:15: [world] SnapshotDir: \"sets\" is not an absolute path, so a start from another folder would not find the snapshots; begin it with /
    unknown-key
      a.ini:17:1: [world] SnapshotEvery: is an unknown key (did you mean SnapshotEverySec?); this section has FormerName, BaseKey, BlockSize, ShmKeys, Backend, Dir, Mode, OwnerWaitMs, CoreDump, UndoSize, HugePages, Prefault, LockMemory, MaxCrashResumes, CrashWindowSec, OnCrashLoop, OnTorn, MustBeHot, SnapshotDir, SnapshotEverySec, SnapshotKeep, SnapshotOnClose, OnMissing
    out-of-range
      a.ini:18:16: [world] SnapshotKeep: \"0\" is out of range; expected 1 to 1000
    ");
}

#[test]
fn invalid_memory_settings() {
    assert_snapshot!(mistake("BlockSize = 64M\nShmKeys   = 0x48500201", "BlockSize = 64M\nShmKeys   = 0x48500201\nHugePages = yes\nPrefault = on\nLockMemory = ye"), @r#"
    not-a-choice
      a.ini:16:13: [world] HugePages: "yes" is not one of off, try, on
    not-a-choice
      a.ini:17:12: [world] Prefault: "on" is not one of no, yes
    not-a-choice
      a.ini:18:14: [world] LockMemory: "ye" is not one of no, yes
    "#);
}

#[test]
fn huge_pages_required_on_a_backend_without_reserved_pages() {
    assert_snapshot!(mistake("BlockSize = 64M\nShmKeys   = 0x48500201", "BlockSize = 64M\nShmKeys   = 0x48500201\nBackend = posix\nHugePages = on"), @"
    huge-not-reserved
      a.ini:17:13: [world] HugePages: requires reserved pages, which only Backend = sysv has, not posix; set HugePages = try
    ");
}

const QUEUE: &str = "
[queue.moves]
Key = 0x48500f01
Kind = channel
Capacity = 64
MessageSize = 256
Writers = zone
Readers = world
";

/// Returns the report for `SOUND` and a queue, with `from` replaced by `to` in the queue.
fn queue_mistake(from: &str, to: &str) -> String {
    assert!(QUEUE.contains(from), "nothing to replace: {from}");
    report(&format!("{SOUND}{}", QUEUE.replacen(from, to, 1)))
}

#[test]
fn a_queue_that_nobody_writes_to() {
    assert_snapshot!(queue_mistake("Writers = zone", "Writers ="), @"
    no-members
      a.ini:22:10: [queue.moves] Writers: names no process; write, for example, Writers = zone, match
    ");
}

#[test]
fn a_queue_of_an_unknown_process() {
    assert_snapshot!(queue_mistake("Readers = world", "Readers = zone, wrld"), @"
    member-not-listed
      a.ini:23:17: [queue.moves] Readers: ProcessList does not list \"wrld\" (did you mean world?); add it there or remove it here
    ");
}

#[test]
fn a_queue_with_too_many_readers() {
    let many: Vec<String> = (0..241).map(|n| format!("p{n}")).collect();
    assert_snapshot!(queue_mistake("Readers = world", &format!("Readers = {}", many.join(", "))), @"
    too-many-members
      a.ini:23:11: [queue.moves] Readers: names 241 processes; a queue has at most 240
    ");
}

#[test]
fn a_broadcast_with_a_policy_for_readers() {
    assert_snapshot!(queue_mistake("Kind = channel", "Kind = broadcast\nOnSlow = block"), @"
    policy-unused
      a.ini:20:10: [queue.moves] OnSlow: applies only to Kind = channel: no other writer waits for a certain reader; remove it or change Kind
    ");
}

#[test]
fn a_queue_larger_than_a_segment() {
    let report = queue_mistake("Capacity = 64\nMessageSize = 256", "Capacity = 60000\nMessageSize = 1G");
    assert_snapshot!(report, @"
    queue-too-big
      a.ini:21:15: [queue.moves] MessageSize: 60000 messages of this size need 60000G, and a segment has at most 1024G; lower Capacity or MessageSize
    ");
}

/// Returns the report for a queue with a payload area.
fn payload_mistake(value: &str) -> String {
    queue_mistake("MessageSize = 256", &format!("MessageSize = 256\nPayloadBytes = {value}"))
}

#[test]
fn a_payload_area_out_of_range() {
    assert_snapshot!(payload_mistake("2048G"), @r#"
    out-of-range
      a.ini:22:16: [queue.moves] PayloadBytes: "2048G" is out of range; expected 1 to 1024G
    "#);
}

#[test]
fn a_payload_area_that_no_message_needs() {
    assert_snapshot!(payload_mistake("256"), @"
    payload-too-small
      a.ini:22:16: [queue.moves] PayloadBytes: is 256, and MessageSize is 256: no message needs it; raise it or remove it
    ");
    assert!(ConfMgr::parse(&format!("{SOUND}{}PayloadBytes = 257\n", QUEUE), "a.ini").is_ok());
}

#[test]
fn payload_areas_larger_than_a_segment() {
    let two = QUEUE.replacen("Writers = zone", "PayloadBytes = 513G\nWriters = zone, world", 1);
    assert_snapshot!(report(&format!("{SOUND}{two}")), @"
    payload-too-big
      a.ini:22:16: [queue.moves] PayloadBytes: the messages and 2 areas of this size need 1027G, and a segment has at most 1024G; lower it
    ");
}

#[test]
fn a_payload_area_of_the_last_value() {
    let latest = QUEUE.replacen("channel", "latest", 1).replacen("Writers", "PayloadBytes = 1M\nWriters", 1);
    assert_snapshot!(report(&format!("{SOUND}{latest}")), @"
    payload-unused
      a.ini:22:16: [queue.moves] PayloadBytes: does not apply to Kind = latest: a writer that dies must leave the last value whole; remove it and raise MessageSize
    ");
    for kind in ["broadcast", "channel", "work"] {
        let queue = QUEUE.replacen("channel", kind, 1).replacen("Writers", "PayloadBytes = 1M\nWriters", 1);
        let conf = ConfMgr::parse(&format!("{SOUND}{queue}"), "a.ini").unwrap();
        assert_eq!(conf.queue("moves").unwrap().payload_bytes.0, 1 << 20, "{kind}");
    }
}

#[test]
fn a_queue_that_is_not_there() {
    let conf = ConfMgr::parse(&format!("{SOUND}{QUEUE}"), "a.ini").unwrap();
    assert_snapshot!(shown(conf.queue("move").unwrap_err()), @r#"
    no-such-queue
      a.ini: has no queue "move" (did you mean moves?); its queues are moves
    "#);
}
