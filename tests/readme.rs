//! The README is accurate: its program is the one that is built, its ini is valid, and its commands
//! exist.

use hotpool::ConfMgr;
use std::fs;

/// Returns the code blocks of one language.
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

/// Both use the default ini, so they share a pool.
#[test]
fn hello_and_the_zone_server_use_different_type_numbers() {
    let ids = |path: &str| -> Vec<String> {
        let text = fs::read_to_string(path).unwrap();
        let numbers = text.split("#[pool(id = ").skip(1);
        numbers.map(|rest| rest.chars().take_while(char::is_ascii_digit).collect()).collect()
    };
    let (hello, zone) = (ids("examples/hello.rs"), ids("examples/zone_server/structs.rs"));
    assert!(!hello.is_empty() && !zone.is_empty());
    assert!(!hello.iter().any(|id| zone.contains(id)), "{hello:?} and {zone:?}");
}

/// The example reads the default ini, and a reader who has both must not be refused.
#[test]
fn the_ini_is_the_zone_of_the_default_ini() {
    let conf = ConfMgr::parse(&blocks("ini")[0], "README.md").unwrap();
    let (zone, default) = (conf.process("zone").unwrap(), ConfMgr::load("config/memorypool.ini").unwrap());
    let default = default.process("zone").unwrap();
    assert_eq!(zone.base_key, default.base_key);
    assert_eq!((zone.block_size, &zone.shm_keys), (default.block_size, &default.shm_keys));
}

/// A reader copies these dependencies into a new project.
#[test]
fn the_dependencies_match_this_build() {
    let manifest: toml::Table = fs::read_to_string("Cargo.toml").unwrap().parse().unwrap();
    let ours = &manifest["workspace"]["dependencies"];
    let theirs: toml::Table = blocks("toml")[0].parse().unwrap();
    let theirs = theirs["dependencies"].as_table().unwrap();
    let used = fs::read_to_string("examples/hello.rs").unwrap();
    for name in ["anyhow", "hotpool"] {
        assert!(theirs.contains_key(name) && used.contains(name), "{name}");
    }
    let version = |table: &toml::Value| table.get("version").unwrap_or(table).as_str().unwrap().to_string();
    for (name, dependency) in theirs {
        assert!(version(&ours[name]).starts_with(&version(dependency)), "{name}");
    }
}

#[test]
fn every_command_and_example_exists() {
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
            ["$", "cargo", "test", "--workspace", ..] | ["$", "cargo", "install", "hotpool-cli"] => {}
            ["$", "cargo", "install", "--path", path, ..] => {
                let manifest = fs::read_to_string(format!("{path}/Cargo.toml")).unwrap();
                assert!(manifest.contains("name = \"hotpool-cli\""), "{path}");
            }
            _ => panic!("{line:?}"),
        }
    }
}
