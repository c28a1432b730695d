//! `schema` prints the stored structs, and `compat` what a build will do with them.

use crate::bench::{Bench, raw};
use hotpool::__internal::layout::{BaseHeader, BlockBase, ExtentRec, TypeInfo};
use hotpool::object::{FixedStr, Schema, Schemas};
use hotpool::{MemoryPoolMgr, PoolObject};
use std::fs;
use std::mem::offset_of;

mod old {
    use super::*;

    #[repr(u8)]
    #[derive(Clone, Copy, Schema)]
    pub(super) enum Class {
        Mage,
        Knight,
    }

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 1, keyed, name = "magic_hero")]
    pub(super) struct Hero {
        pub(super) uid: u64,
        pub(super) hp: u16,
        pub(super) class: Class,
        pub(super) name: FixedStr<20>,
    }

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 2)]
    pub(super) struct Corpse {
        pub(super) at: [f32; 2],
    }
}

mod new {
    use super::*;

    #[repr(u8)]
    #[derive(Clone, Copy, Schema)]
    #[allow(dead_code, reason = "only the schema is read")]
    enum Class {
        Mage,
        Knight,
        Archer,
    }

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 1, keyed, name = "magic_hero")]
    pub(super) struct Hero {
        uid: u64,
        #[pool(was = "hp")]
        health: u32,
        class: Class,
        #[pool(default = 7)]
        mana: u16,
        name: FixedStr<24>,
    }

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 3)]
    pub(super) struct Guild {
        gold: u64,
    }
}

/// A build that renames a field without an attribute.
mod unsaid {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 1, keyed, name = "magic_hero")]
    pub(super) struct Hero {
        uid: u64,
        health: u16,
        class: old::Class,
        name: FixedStr<20>,
    }
}

fn filled(bench: &Bench, name: &str) -> MemoryPoolMgr {
    let mut conf = bench.conf(0);
    conf.name = name.into();
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<old::Hero>().unwrap();
    pool.add_type::<old::Corpse>().unwrap();
    for uid in 1..=3 {
        let class = if uid == 1 { old::Class::Mage } else { old::Class::Knight };
        pool.alloc_keyed(uid, old::Hero { uid, hp: 9, class, name: FixedStr::new() }).unwrap();
    }
    pool.alloc(old::Corpse { at: [0.5, 1.0] }).unwrap();
    pool.ready().unwrap();
    pool
}

/// Writes a file into the folder of the test.
fn file(bench: &Bench, name: &str, text: &str) -> String {
    let path = bench.folder().join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Copies the base, to see whether a tool has stored into it.
fn base_of(bench: &Bench) -> Vec<u64> {
    raw::words(bench.base(0))
}

#[test]
fn stored_structs_are_printed_as_a_table_as_rust_and_as_json_while_the_owner_runs() {
    let bench = Bench::new();
    let name = format!("w{}", bench.base(0).0);
    let pool = filled(&bench, &name);
    let before = base_of(&bench);
    let answer = bench.hotpool(&["schema", &name]);
    assert_eq!(answer.code, 0, "{}{}", answer.out, answer.err);
    for said in
        ["magic_hero: type 1, 40 bytes, align 8, keyed\n", "class.Knight\n", "\ncorpse: type 2, 8 bytes"]
    {
        assert!(answer.out.contains(said), "{said} is not in {}", answer.out);
    }
    let answer = bench.hotpool(&["schema", "--key", &bench.base(0).to_string(), "magic_hero", "--rust"]);
    assert_eq!(answer.code, 0, "{}{}", answer.out, answer.err);
    let object = "#[derive(Clone, Copy, PoolObject)]\n#[pool(id = 1, name = \"magic_hero\", keyed)]\nstruct MagicHero {\n";
    for said in [object, "    name: FixedStr<20>,\n", "enum Class {\n    Mage = 0,\n    Knight = 1,\n}"] {
        assert!(answer.out.contains(said), "{said} is not in {}", answer.out);
    }
    assert!(!answer.out.contains("Corpse"), "{}", answer.out);
    let json = bench.hotpool(&["schema", "--key", &bench.base(0).to_string(), "--json"]).out;
    let stored = Schemas::from_json(&json).unwrap();
    let ours = Schemas::new().with::<old::Hero>().with::<old::Corpse>();
    let layouts = |all: &Schemas| {
        let one = |of: &hotpool::object::TypeSchema| {
            let fields: Vec<_> = of.fields.iter().map(|field| field.stored()).collect();
            (of.id, of.name.clone(), of.keyed, of.bytes, of.fingerprint, fields)
        };
        all.types.iter().map(one).collect::<Vec<_>>()
    };
    assert_eq!(layouts(&stored), layouts(&ours));
    assert_eq!(base_of(&bench), before);
    pool.close().unwrap();
}

#[test]
fn compat_tells_what_a_build_will_do_and_touches_nothing() {
    let bench = Bench::new();
    let name = format!("w{}", bench.base(0).0);
    let pool = filled(&bench, &name);
    let before = base_of(&bench);
    let build = Schemas::new().with::<new::Hero>().with::<new::Guild>().to_json();
    let build = file(&bench, "new.json", &build);
    let answer = bench.hotpool(&["compat", &build, "--key", &bench.base(0).to_string()]);
    assert_eq!(answer.code, 0, "{}{}", answer.out, answer.err);
    for said in [
        "`health`: renamed from `hp`",
        "`health`: widened from u16 to u32",
        "`class`: new variants `Archer`",
        "`mana`: new, its default",
        "capacity raised from 20 to 24",
        "this build does not have it; 1 object and its memory stay",
        "at 3 ns for each byte",
    ] {
        assert!(answer.out.contains(said), "{said} is not in {}", answer.out);
    }
    let json = bench.hotpool(&["compat", &build, "--key", &bench.base(0).to_string(), "--json"]).json();
    let verdicts: Vec<_> = json["types"].as_array().unwrap().iter().map(|of| of["verdict"].clone()).collect();
    assert_eq!(verdicts, ["migrate", "new", "kept"]);
    assert!(json["types"][0]["needs_bytes"].as_u64() > Some(0) && json["free_bytes"].as_u64() > Some(0));
    assert_eq!((&json["types"][0]["objects"], &json["ok"]), (&3.into(), &true.into()));
    assert_eq!(base_of(&bench), before);

    // What it says is what the start does, line by line.
    pool.close().unwrap();
    let mut conf = bench.conf(0);
    conf.name = name;
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<new::Hero>().unwrap();
    let [migrated] = &pool.resume_report().migrated[..] else { panic!() };
    let fields: Vec<&str> =
        json["types"][0]["fields"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert_eq!(fields, migrated.fields);
    assert_eq!(json["types"][0]["needs_bytes"], migrated.bytes.0);
}

#[test]
fn compat_has_exit_codes_for_deploy_scripts() {
    let bench = Bench::new();
    let key = bench.base(0).to_string();
    let same = Schemas::new().with::<old::Hero>().with::<old::Corpse>().to_json();
    let same = file(&bench, "same.json", &same);
    assert_eq!(bench.hotpool(&["compat", &same, "--key", &key]).code, 7);
    filled(&bench, "zone").close().unwrap();
    let answer = bench.hotpool(&["compat", &same, "--key", &key]);
    assert_eq!((answer.code, answer.out.matches(" same ").count()), (0, 2), "{}", answer.out);

    let unsaid = file(&bench, "unsaid.json", &Schemas::new().with::<unsaid::Hero>().to_json());
    let answer = bench.hotpool(&["compat", &unsaid, "--key", &key]);
    assert_eq!(answer.code, 1, "{}", answer.out);
    for said in ["magic_hero (refused):", "`hp` is gone", "#[pool(was = \"hp\")] health: u16,"] {
        assert!(answer.out.contains(said), "{said} is not in {}", answer.out);
    }
    // The ini says that the field was renamed.
    let ini = bench.ini(&["zone"]);
    let text = fs::read_to_string(&ini).unwrap();
    fs::write(&ini, text.clone() + "[zone.types]\nMagicHero.health = was hp\n").unwrap();
    let answer = bench.hotpool(&["compat", &unsaid, "zone", "--conf", &ini]);
    assert_eq!(answer.code, 0, "{}", answer.out);
    let said = format!("`health`: renamed from `hp`, by {ini}:10");
    assert!(answer.out.contains(&said), "{said} is not in {}", answer.out);
    fs::write(&ini, text + "[zone.types]\nMagicHero.helth = was hp\n").unwrap();
    let answer = bench.hotpool(&["compat", &unsaid, "zone", "--conf", &ini]);
    assert_eq!(answer.code, 1, "{}", answer.out);
    let said = "helth: `magic_hero` of this build has no field `helth` (did you mean health?)";
    assert!(answer.out.contains(said), "{said} is not in {}", answer.out);

    assert_eq!(bench.hotpool(&["compat", &same]).code, 2);
    assert_eq!(bench.hotpool(&["compat", "missing.json", "--key", &key]).code, 3);
    let extents = size_of::<BaseHeader>() + 1024 * size_of::<TypeInfo>() + 4096 * size_of::<BlockBase>();
    raw::set_word(bench.base(0), extents + offset_of!(ExtentRec, offset), u64::MAX);
    assert_eq!(bench.hotpool(&["compat", &same, "--key", &key]).code, 6);
    raw::set_word(bench.base(0), offset_of!(BaseHeader, geometry), 1);
    assert_eq!(bench.hotpool(&["compat", &same, "--key", &key]).code, 6);
}

#[test]
fn compat_refuses_what_has_no_room_and_says_how_many_keys_to_add() {
    let bench = Bench::new();
    filled(&bench, "zone").close().unwrap();
    let ini = bench.ini(&["zone"]);
    let text = fs::read_to_string(&ini).unwrap();
    let build = file(&bench, "new.json", &Schemas::new().with::<new::Guild>().to_json());
    fs::write(&ini, format!("{text}[zone.types]\nguild = 3000\n")).unwrap();
    assert_eq!(bench.hotpool(&["compat", &build, "zone", "--conf", &ini]).code, 0);
    fs::write(&ini, format!("{text}[zone.types]\nguild = 7000\n")).unwrap();
    let answer = bench.hotpool(&["compat", &build, "zone", "--conf", &ini]);
    // A start says the same.
    let conf = bench.conf(0).capacity("guild", 7000);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    assert!(pool.add_type::<new::Guild>().is_err());
    assert_eq!(answer.code, 1, "{}", answer.out);
    assert!(answer.out.contains(" are free: add 1 key to ShmKeys"), "{}", answer.out);
    let keys = format!("ShmKeys = {}, {}", bench.block(0, 0), bench.block(0, 1));
    let more = text.replace(&keys, &format!("{keys}, {}", bench.block(0, 2)));
    fs::write(&ini, format!("{more}[zone.types]\nguild = 7000\n")).unwrap();
    let answer = bench.hotpool(&["compat", &build, "zone", "--conf", &ini]);
    assert_eq!(answer.code, 0, "{}", answer.out);
}

#[test]
fn bad_json_is_named_by_file_line_and_column() {
    let bench = Bench::new();
    let good = Schemas::new().with::<old::Corpse>().to_json();
    let told = |text: &str, what: &str| {
        let path = file(&bench, "bad.json", text);
        let answer = bench.hotpool(&["compat", &path, "--key", &bench.base(0).to_string()]);
        assert_eq!(answer.code, 3, "{}", answer.err);
        assert!(answer.err.contains(&format!("{path}{what}")), "{what} is not in {}", answer.err);
    };
    told("", ":1:0: EOF while parsing a value");
    told("{\n  \"hotpool_schemas\": 1,\n  types\n}", ":3:3: key must be a string");
    told(&good.replace("\"offset\"", "\"ofset\""), ":15:17: unknown field `ofset`");
    told(
        &good.replace("\"keyed\": false", "\"keyed\": 7"),
        ":7:16: invalid type: integer `7`, expected a boolean",
    );
    told(
        &good.replace("schemas\": 1", "schemas\": 2"),
        ": its form is version 2, and this hotpool reads version 1",
    );
    let twice = Schemas::new().with::<old::Corpse>().with::<old::Corpse>().to_json();
    told(&twice, ": two types have the number 2");
}

#[test]
fn a_type_whose_fields_are_damaged_is_named() {
    let bench = Bench::new();
    filled(&bench, "zone").close().unwrap();
    let key = bench.base(0).to_string();
    let answer = bench.hotpool(&["schema", "--key", &key, "heroes"]);
    assert_eq!(answer.code, 2);
    assert!(answer.err.contains("no type \"heroes\"; its types are magic_hero, corpse"), "{}", answer.err);
    let stride = size_of::<BaseHeader>() + size_of::<TypeInfo>() + offset_of!(TypeInfo, stride);
    raw::set_word(bench.base(0), stride, u64::MAX);
    let answer = bench.hotpool(&["schema", "--key", &key]);
    assert_eq!(answer.code, 6, "{}", answer.out);
    assert!(answer.err.contains("type `magic_hero` are not stored, or damaged"), "{}", answer.err);
    assert!(answer.out.contains("corpse: type 2"), "{}", answer.out);
}
