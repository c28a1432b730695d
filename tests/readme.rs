//! The first page is true: its program is the one that is built, its ini is one that is sound, and
//! its commands have verbs.

use hotpool::ConfMgr;
use std::fs;

/// The code of the blocks of one language.
fn blocks(language: &str) -> Vec<String> {
    let text = fs::read_to_string("README.md").unwrap();
    let start = format!("```{language}\n");
    text.split(&start).skip(1).map(|rest| rest.split("```").next().unwrap().to_string()).collect()
}

#[test]
fn the_program_is_the_example_hello() {
    let example = fs::read_to_string("examples/hello.rs").unwrap();
    let code = &example[example.find("use ").unwrap()..];
    assert_eq!(blocks("rust"), [code]);
}

/// Both are run with the default ini, so that they meet in one pool.
#[test]
fn hello_and_the_zone_server_have_types_of_different_numbers() {
    let ids = |path: &str| -> Vec<String> {
        let text = fs::read_to_string(path).unwrap();
        let numbers = text.split("#[pool(id = ").skip(1);
        numbers.map(|rest| rest.chars().take_while(char::is_ascii_digit).collect()).collect()
    };
    let (hello, zone) = (ids("examples/hello.rs"), ids("examples/zone_server/zone.rs"));
    assert!(!hello.is_empty() && !zone.is_empty());
    assert!(!hello.iter().any(|id| zone.contains(id)), "{hello:?} and {zone:?}");
}

#[test]
fn the_ini_is_what_the_parser_takes() {
    let ini = &blocks("ini")[0];
    let others = ini.replace("zone, world, match", "zone");
    let conf = ConfMgr::parse(&others, "README.md").unwrap();
    assert_eq!(conf.process("zone").unwrap().shm_keys.len(), 2);
}

#[test]
fn every_command_has_its_verb_and_every_example_its_file() {
    let console = blocks("console").concat();
    let words: Vec<Vec<&str>> = console.lines().map(|line| line.split_whitespace().collect()).collect();
    for line in &words {
        match line[..] {
            ["$", "hotpool", verb, ..] => {
                let file = if verb == "gen" { "generate" } else { verb };
                let path = format!("crates/hotpool-cli/src/verbs/{file}.rs");
                assert!(fs::exists(&path).unwrap(), "{path}");
            }
            ["$", "cargo", "run", "--release", "--example", name, ..] => {
                assert!(fs::exists(format!("examples/{name}")).unwrap(), "{name}");
            }
            ["$", "cargo", "test", "--workspace", ..] => {}
            _ => panic!("{line:?}"),
        }
    }
}
