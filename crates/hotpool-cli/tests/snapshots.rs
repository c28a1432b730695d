//! `hotpool snapshots` lists the sets of a folder, and notices with `--verify` what cannot be read.

use hotpool::conf::BackendKind;
use hotpool::snapshot::{CHUNK, Compression, Set, SetInfo, SetType, SetWriter};
use hotpool::units::{Bytes, Key};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Writes a set of a base and one block, each of one chunk.
fn write(shelf: &Path, process: &str, taken: u64, parent: Option<&Set>) -> Set {
    let length = Bytes(CHUNK.into());
    let mut info =
        SetInfo::new(process, BackendKind::Sysv, (Key(0x7d31_0000), length), &[Key(0x7d31_0001)], length);
    info.taken_ns = taken * 1_000_000_000;
    info.types.push(SetType::new(1, "Hero", 7, "Hero { health: u32 }"));
    let writer = SetWriter::begin(shelf, info, Compression::None, parent).unwrap();
    let bytes: Vec<u8> = (0..CHUNK).map(|at| at as u8).collect();
    writer.chunk(0, 0, &bytes).unwrap();
    writer.chunk(1, 0, &bytes).unwrap();
    writer.finish().unwrap()
}

/// Runs `hotpool snapshots` and returns its exit code and output.
fn snapshots(shelf: &Path, more: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hotpool"));
    let output = command.arg("snapshots").arg(shelf).args(more).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

fn json(shelf: &Path, more: &[&str]) -> (i32, Value) {
    let (code, text) = snapshots(shelf, &[&["--json"], more].concat());
    (code, serde_json::from_str(&text).unwrap())
}

#[test]
fn sets_are_listed_from_old_to_young() {
    let folder = tempfile::tempdir().unwrap();
    let (code, text) = snapshots(folder.path(), &[]);
    assert!(code == 0 && text.ends_with("has no snapshot\n"), "{code}: {text}");
    assert_eq!(snapshots(&folder.path().join("absent"), &[]).0, 3);

    let young = write(folder.path(), "zone", 2_000, None);
    let old = write(folder.path(), "match", 1_000, None);
    let (code, text) = snapshots(folder.path(), &[]);
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    assert_eq!((code, lines.len()), (0, 3), "{text}");
    assert!(lines[1].starts_with("match-0000001000-") && lines[1].contains("Hero (7 objects)"), "{text}");
    assert!(lines[2].starts_with("zone-0000002000-"), "{text}");

    let (code, answer) = json(folder.path(), &["--verify"]);
    assert_eq!(code, 0, "{answer}");
    assert_eq!(answer["ok"], true);
    let ids = [0, 1].map(|at| answer["snapshots"][at]["id"].as_str().unwrap().to_string());
    assert_eq!(ids, [old.id(), young.id()]);
    let set = &answer["snapshots"][0];
    assert_eq!((&set["process"], &set["state"]), (&"match".into(), &"sound".into()));
    assert_eq!(set["base_key"], "0x7d310000");
    assert_eq!(set["types"][0]["schema"], "Hero { health: u32 }");
}

#[test]
fn verify_notices_a_flipped_bit_and_the_list_a_damaged_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let set = write(folder.path(), "zone", 1_000, None);
    let flip = |file: &str, at: usize| {
        let path = set.path().join(file);
        let mut bytes = fs::read(&path).unwrap();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
    };
    flip("block-0000.part", 1_000);
    let (code, answer) = json(folder.path(), &[]);
    assert_eq!((code, &answer["snapshots"][0]["state"]), (0, &"unread".into()), "{answer}");
    let (code, text) = snapshots(folder.path(), &["--verify"]);
    assert!(code == 1 && text.contains("unreadable") && text.contains("block-0000.part"), "{code}: {text}");

    flip("manifest.toml", 12);
    let (code, answer) = json(folder.path(), &[]);
    assert_eq!((code, &answer["ok"]), (1, &false.into()), "{answer}");
    assert!(answer["snapshots"][0]["problem"].as_str().unwrap().contains("manifest.toml"), "{answer}");
}

#[test]
fn verify_notices_that_a_parent_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let parent = write(folder.path(), "zone", 1_000, None);
    write(folder.path(), "zone", 2_000, Some(&parent));
    let (code, text) = snapshots(folder.path(), &["--verify"]);
    assert!(code == 0 && text.contains(&parent.id()[..8]), "{code}: {text}");
    fs::remove_dir_all(parent.path()).unwrap();
    let (code, text) = snapshots(folder.path(), &["--verify"]);
    assert!(code == 1 && text.contains("builds on the set"), "{code}: {text}");
}
