//! Any text parses to a configuration or to an error with positions in it, and never panics.
//!
//! Two coordinates of a fleet never share a segment key.

use hotpool::ConfMgr;
use hotpool::conf::key_plan::{self, Coordinates, MAX_BLOCK, MAX_PROCESS, MAX_WORLD, MAX_ZONE};
use proptest::prelude::*;
use std::collections::HashSet;

const SOUND: &str = "\
[common]
ProcessList = zone, world ; and no more
[zone]
BaseKey = 0x48500100
BlockSize = 64M
ShmKeys = 0x48500101, 0x48500102
Backend = file
Dir = /var/lib/hotpool
Mode = 0660
OwnerWaitMs = 100
CoreDump = full
[zone.types]
player = 5000 x 12K
npc = 100
[world]
BaseKey = 1213202944
BlockSize = 65536
ShmKeys = 0x48500201
";

/// Pieces that may confuse a parser.
const PIECES: &[&str] = &[
    "[",
    "]",
    "[zone]",
    "[common]",
    "[zone.types]",
    "[.types]",
    "=",
    ",",
    ";",
    " #",
    " x ",
    "x",
    "\n",
    "\r",
    "\t",
    "\0",
    "\u{feff}",
    "ж",
    "\u{2028}",
    "0x",
    "0",
    "-1",
    "18446744073709551616",
    "1125899906842624G",
    "99999999999K",
    "7777777777777777",
    "ProcessList = ",
    "zone",
    "BaseKey",
    "ShmKeys = ",
    "BlockSize = 0",
    "Dir = ",
    "Mode = 8",
];

/// Checks what holds for every text: an error has problems, each inside the text and with a
/// printable message.
fn check(text: &str) -> Result<(), TestCaseError> {
    match ConfMgr::parse(text, "any.ini") {
        Ok(conf) => {
            prop_assert!(!conf.processes().is_empty());
            let mut keys = HashSet::new();
            for process in conf.processes() {
                prop_assert_eq!(conf.process(&process.name).unwrap(), process);
                let own = process.shm_keys.iter().chain([&process.base_key]);
                prop_assert!(own.copied().all(|key| key.0 != 0 && keys.insert(key)));
                prop_assert_eq!(process.mode & !0o066, 0o600);
            }
        }
        Err(error) => {
            prop_assert!(!error.problems().is_empty());
            let lines: Vec<&str> = text.split('\n').collect();
            for problem in error.problems() {
                prop_assert!(problem.place.line <= lines.len());
                if problem.place.line > 0 {
                    let length = lines[problem.place.line - 1].chars().count();
                    prop_assert!((1..=length + 1).contains(&problem.column), "{problem}");
                }
                prop_assert!(!problem.to_string().contains(|c: char| c.is_control() && c != '\t'));
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text(text in "(?s).{0,300}") {
        check(&text)?;
    }

    #[test]
    fn any_pieces(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..60)) {
        check(&pieces.concat())?;
    }

    #[test]
    fn a_valid_text_with_random_edits(
        edits in prop::collection::vec((0..SOUND.len(), 0..12usize, prop::sample::select(PIECES)), 1..6),
    ) {
        let mut chars: Vec<char> = SOUND.chars().collect();
        for (at, cut, piece) in edits {
            let at = at.min(chars.len());
            let end = (at + cut).min(chars.len());
            chars.splice(at..end, piece.chars());
        }
        check(&chars.into_iter().collect::<String>())?;
    }

    #[test]
    fn distinct_coordinates_have_distinct_keys(a in place(), b in place()) {
        let (key_a, key_b) = (key_plan::key(a).unwrap(), key_plan::key(b).unwrap());
        prop_assert_eq!(a == b, key_a == key_b);
        prop_assert_eq!(key_plan::coordinates(key_a), Some(a));
        prop_assert_ne!(key_a.0, 0);
    }

    #[test]
    fn a_coordinate_beyond_its_field_is_an_error(good in place(), beyond in 1u32..=u32::MAX - 256, field in 0..4usize) {
        let mut bad = good;
        let (coordinate, max, name) = match field {
            0 => (&mut bad.world, MAX_WORLD, "world"),
            1 => (&mut bad.zone, MAX_ZONE, "zone"),
            2 => (&mut bad.process, MAX_PROCESS, "process"),
            _ => (&mut bad.block, MAX_BLOCK, "block"),
        };
        *coordinate = max + beyond;
        let error = key_plan::key(bad).unwrap_err();
        prop_assert_eq!((error.field, error.found, error.max), (name, max + beyond, max));
    }
}

fn place() -> impl Strategy<Value = Coordinates> {
    (0..=MAX_WORLD, 0..=MAX_ZONE, 0..=MAX_PROCESS, 0..=MAX_BLOCK)
        .prop_map(|(world, zone, process, block)| Coordinates { world, zone, process, block })
}

/// The work grows with the length of the text, not with its square.
#[test]
fn a_hostile_text_is_parsed_in_linear_time() {
    let sections: String = (0..100_000).map(|i| format!("[p{i}]\nBaseKey = {i}\n")).collect();
    let list: String = (0..256).map(|i| format!("q{i},")).collect();
    let started = std::time::Instant::now();
    assert!(ConfMgr::parse(&format!("[common]\nProcessList = {list}z\n{sections}"), "any.ini").is_err());
    assert!(ConfMgr::parse(&format!("[a]\n{}", "Nokey = 1\n".repeat(100_000)), "any.ini").is_err());
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[test]
fn the_valid_text_is_valid() {
    ConfMgr::parse(SOUND, "any.ini").unwrap();
}

#[test]
fn the_first_number_beyond_each_field_is_an_error() {
    let max = Coordinates { world: MAX_WORLD, zone: MAX_ZONE, process: MAX_PROCESS, block: MAX_BLOCK };
    let beyond = [
        Coordinates { world: MAX_WORLD + 1, ..max },
        Coordinates { zone: MAX_ZONE + 1, ..max },
        Coordinates { process: MAX_PROCESS + 1, ..max },
        Coordinates { block: MAX_BLOCK + 1, ..max },
    ];
    assert!(key_plan::key(max).is_ok());
    assert!(beyond.into_iter().all(|at| key_plan::key(at).is_err()));
}

#[test]
fn neighbours_differ_in_every_field() {
    let at = |world, zone, process, block| {
        key_plan::key(Coordinates { world, zone, process, block }).unwrap().to_string()
    };
    assert_eq!(at(0, 0, 0, 0), "0x48000000");
    assert_eq!(at(0x50, 0, 1, 0), "0x48500100");
    assert_eq!(at(MAX_WORLD, MAX_ZONE, MAX_PROCESS, MAX_BLOCK), "0x48ffffff");
    let neighbours = [at(1, 0, 0, 0), at(0, 1, 0, 0), at(0, 0, 1, 0), at(0, 0, 0, 1)];
    assert_eq!(neighbours, ["0x48010000", "0x48001000", "0x48000100", "0x48000001"]);
    assert_eq!(key_plan::coordinates(hotpool::units::Key(0x4900_0000)), None);
}
