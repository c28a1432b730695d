//! The verdict is a pure function: a row for every rule, and every sentence that an operator may
//! read.

use crate::conf::BackendKind;
use crate::layout::{
    BASE_KIND, BLOCK_KIND, LAYOUT_VERSION, MAGIC_GONE, MAGIC_MAKING, MAGIC_READY, RUN_CLOSED, RUN_READY,
    RUN_STARTING,
};
use crate::share::{
    Damage, Facts, ForeignSet, Head, LockFacts, Process, ProcessState, Reading, SegmentFacts, Verdict, Want,
    judge,
};
use crate::units::{Bytes, Key};
use std::collections::BTreeSet;
use std::mem::Discriminant;

pub(super) const KEY: Key = Key(0x4850_0100);
const POOL: [u64; 2] = [0xab, 0xcd];

/// A complete, closed base, as its next owner finds it.
fn closed() -> Facts {
    Facts {
        key: KEY,
        backend: BackendKind::Sysv,
        want: Want {
            bytes: Some(Bytes(1 << 20)),
            uid: Some(1000),
            mode: Some(0o600),
            kind: Some(BASE_KIND),
            pool_id: None,
            index: None,
            empty: false,
            taken: false,
            is_first: false,
        },
        segment: Some(SegmentFacts {
            bytes: Bytes(1 << 20),
            uid: 1000,
            gid: 1000,
            mode: 0o600,
            id: 7,
            creator_pid: Some(4711),
            last_pid: Some(4711),
            attached: Some(0),
            removed: false,
            changed: 1_000_000,
            last_attach: None,
            last_detach: None,
        }),
        user: Some("game".into()),
        lock: LockFacts::Ours { observers: 0 },
        reading: Reading::Head(Head {
            magic: MAGIC_READY,
            blank: false,
            layout: LAYOUT_VERSION,
            kind: BASE_KIND,
            pool_id: POOL,
            bytes: 1 << 20,
            key: KEY,
            index: 0,
            created: 1,
            sound: true,
            run: Some(RUN_CLOSED),
            owner_pid: 4711,
            epoch: 1,
            process: "zone".into(),
            ..Head::default()
        }),
        strangers: 0,
        seen: 1_000_000 + 7200,
    }
}

fn head(facts: &mut Facts) -> &mut Head {
    match &mut facts.reading {
        Reading::Head(head) => head,
        other => panic!("{other:?}"),
    }
}

fn segment(facts: &mut Facts) -> &mut SegmentFacts {
    facts.segment.as_mut().unwrap()
}

fn blank(facts: &mut Facts) {
    facts.reading = Reading::Head(Head { blank: true, ..Head::default() });
}

fn block(facts: &mut Facts) {
    *head(facts) = Head { kind: BLOCK_KIND, run: None, index: 3, ..head(facts).clone() };
    facts.want = Want { kind: Some(BLOCK_KIND), pool_id: Some(POOL), index: Some(3), ..facts.want.clone() };
}

pub(super) fn holder() -> Process {
    Process { pid: 99, state: ProcessState::Running, command: "zone".into(), start_ticks: 5, age: 300 }
}

fn held(facts: &mut Facts) {
    facts.lock = LockFacts::Held { holder: holder(), observers: 0 };
}

fn strange_set(facts: &mut Facts) {
    let set = ForeignSet { semid: 5, uid: 0, why: "the set has size 1, not 3".into(), is_denied: false };
    facts.lock = LockFacts::Foreign(set);
}

type Change = fn(&mut Facts);

/// Changes to a closed base, with the verdict on each. Of `Foreign` only the kind counts here.
fn rows() -> Vec<(&'static str, Change, Verdict)> {
    let foreign = || Verdict::Foreign { why: String::new() };
    let corrupt = |what| Verdict::Corrupt { what };
    let wrong_owner = || Verdict::WrongOwner { found: 0, wanted: 1000 };
    let wrong_mode = || Verdict::WrongMode { found: 0o640, wanted: 0o600 };
    let wrong_size = || Verdict::WrongSize { found: Bytes(4096), wanted: Bytes(1 << 20) };
    vec![
        ("closed", |_| (), Verdict::Clean),
        ("no set of semaphores", |f| f.lock = LockFacts::None, Verdict::Clean),
        ("never opened after its creation", |f| head(f).epoch = 0, Verdict::Clean),
        ("died while it started", |f| head(f).run = Some(RUN_STARTING), Verdict::Crashed),
        ("died while it served", |f| head(f).run = Some(RUN_READY), Verdict::Crashed),
        ("no meaning in run", |f| head(f).run = Some(9), corrupt(Damage::Run)),
        ("too short for run", |f| head(f).run = None, corrupt(Damage::Short)),
        ("nothing there", |f| f.segment = None, Verdict::Absent),
        (
            "no block there",
            |f| {
                block(f);
                f.segment = None;
            },
            Verdict::Absent,
        ),
        ("an owner", held, Verdict::Busy { holder: holder() }),
        (
            "an owner, and the base is removed",
            |f| {
                held(f);
                segment(f).removed = true;
            },
            Verdict::Busy { holder: holder() },
        ),
        (
            "an owner, and no base yet",
            |f| {
                held(f);
                f.segment = None;
            },
            Verdict::Busy { holder: holder() },
        ),
        ("a stranger's semaphores", strange_set, foreign()),
        (
            "a stranger's semaphores and nothing else",
            |f| {
                strange_set(f);
                f.segment = None;
            },
            foreign(),
        ),
        ("removed", |f| segment(f).removed = true, Verdict::Dying),
        ("another user's", |f| segment(f).uid = 0, wrong_owner()),
        (
            "another user's, not read",
            |f| {
                segment(f).uid = 0;
                f.reading = Reading::Skipped;
            },
            wrong_owner(),
        ),
        (
            "another user's, for a tool",
            |f| {
                segment(f).uid = 0;
                f.want = Want::default();
            },
            Verdict::Clean,
        ),
        ("wider", |f| segment(f).mode = 0o640, wrong_mode()),
        ("narrower", |f| segment(f).mode = 0o400, Verdict::Clean),
        ("not read", |f| f.reading = Reading::Skipped, foreign()),
        ("too short", |f| f.reading = Reading::TooShort, foreign()),
        ("not readable", |f| f.reading = Reading::Refused { why: "EACCES".into() }, foreign()),
        ("another first word", |f| head(f).magic = 1, foreign()),
        ("zero and then not", |f| head(f).magic = 0, foreign()),
        ("no byte yet", |f| segment(f).bytes = Bytes(0), Verdict::Unfinished),
        ("zeros", blank, Verdict::Unfinished),
        (
            "zeros, attached",
            |f| {
                blank(f);
                f.strangers = 1;
            },
            foreign(),
        ),
        (
            "zeros of another size",
            |f| {
                blank(f);
                segment(f).bytes = Bytes(4096);
            },
            foreign(),
        ),
        (
            "zeros of another mode",
            |f| {
                blank(f);
                segment(f).mode = 0o640;
            },
            foreign(),
        ),
        (
            "zeros, for the first start that has ever come",
            |f| {
                blank(f);
                f.want.is_first = true;
            },
            foreign(),
        ),
        (
            "zeros in a file, which has a name of ours, for the first start and for a tool",
            |f| {
                blank(f);
                f.backend = BackendKind::File;
                f.want = Want { is_first: true, ..Want::default() };
                f.lock = LockFacts::None;
            },
            Verdict::Unfinished,
        ),
        (
            "zeros, for a tool",
            |f| {
                blank(f);
                f.want = Want::default();
                f.lock = LockFacts::None;
            },
            foreign(),
        ),
        (
            "zeros under the key of owner semaphores, for a tool",
            |f| {
                blank(f);
                f.want = Want::default();
                f.lock = LockFacts::Free { observers: 0 };
            },
            Verdict::Unfinished,
        ),
        (
            "zeros at first, and more behind",
            |f| {
                blank(f);
                head(f).beyond = Some(4096);
            },
            foreign(),
        ),
        (
            "being made, and holding more than a creation writes",
            |f| {
                head(f).magic = MAGIC_MAKING;
                head(f).beyond = Some(4096);
            },
            corrupt(Damage::Beginning),
        ),
        (
            "a draft",
            |f| {
                head(f).magic = MAGIC_MAKING;
                head(f).beyond = Some(4096);
                head(f).draft = true;
            },
            Verdict::Unfinished,
        ),
        (
            "a draft that does not say whose it is",
            |f| {
                head(f).magic = MAGIC_MAKING;
                head(f).beyond = Some(4096);
                head(f).draft = true;
                head(f).sound = false;
            },
            corrupt(Damage::Beginning),
        ),
        (
            "a draft of another pool",
            |f| {
                block(f);
                head(f).magic = MAGIC_MAKING;
                head(f).beyond = Some(4096);
                head(f).draft = true;
                head(f).pool_id = [1, 2];
            },
            foreign(),
        ),
        (
            "being made, under another key",
            |f| {
                head(f).magic = MAGIC_MAKING;
                head(f).key = Key(1);
            },
            corrupt(Damage::Beginning),
        ),
        (
            "being made by another version",
            |f| {
                head(f).magic = MAGIC_MAKING;
                head(f).layout = 9;
            },
            Verdict::Incompatible { found: 9, wanted: LAYOUT_VERSION },
        ),
        (
            "zeros in the place of a block with objects",
            |f| {
                block(f);
                blank(f);
                f.want.taken = true;
            },
            Verdict::Unfinished,
        ),
        (
            "a stranger's in the place of a block with objects",
            |f| {
                block(f);
                head(f).pool_id = [1, 2];
                f.want.taken = true;
            },
            foreign(),
        ),
        (
            "damage in a block with objects",
            |f| {
                block(f);
                head(f).sound = false;
                f.want.taken = true;
            },
            corrupt(Damage::Checksum),
        ),
        ("being made", |f| head(f).magic = MAGIC_MAKING, Verdict::Unfinished),
        (
            "being made, not summed yet",
            |f| {
                head(f).magic = MAGIC_MAKING;
                head(f).sound = false;
            },
            Verdict::Unfinished,
        ),
        (
            "being made, attached",
            |f| {
                head(f).magic = MAGIC_MAKING;
                f.strangers = 1;
            },
            foreign(),
        ),
        (
            "being made, where nobody counts attaches",
            |f| {
                head(f).magic = MAGIC_MAKING;
                segment(f).attached = None;
            },
            Verdict::Unfinished,
        ),
        (
            "being made, of another size",
            |f| {
                head(f).magic = MAGIC_MAKING;
                head(f).bytes = 4096;
                segment(f).bytes = Bytes(4096);
            },
            wrong_size(),
        ),
        (
            "being made, of another mode",
            |f| {
                head(f).magic = MAGIC_MAKING;
                segment(f).mode = 0o640;
            },
            wrong_mode(),
        ),
        (
            "being made, for a tool",
            |f| {
                head(f).magic = MAGIC_MAKING;
                f.want = Want::default();
            },
            Verdict::Unfinished,
        ),
        ("being removed", |f| head(f).magic = MAGIC_GONE, Verdict::Gone),
        (
            "being removed, of another size",
            |f| {
                head(f).magic = MAGIC_GONE;
                f.want.bytes = Some(Bytes(1));
            },
            Verdict::Gone,
        ),
        (
            "being removed, damaged",
            |f| {
                head(f).magic = MAGIC_GONE;
                head(f).sound = false;
            },
            corrupt(Damage::Checksum),
        ),
        (
            "being removed, under another key",
            |f| {
                head(f).magic = MAGIC_GONE;
                head(f).key = Key(1);
            },
            corrupt(Damage::Key),
        ),
        ("damaged", |f| head(f).sound = false, corrupt(Damage::Checksum)),
        (
            "damaged, whatever version it says",
            |f| {
                head(f).sound = false;
                head(f).layout = 9;
            },
            corrupt(Damage::Checksum),
        ),
        ("under another key", |f| head(f).key = Key(1), corrupt(Damage::Key)),
        ("of another size than it says", |f| head(f).bytes = 1, corrupt(Damage::Size)),
        ("of no kind", |f| head(f).kind = 7, foreign()),
        (
            "of no kind, for a tool",
            |f| {
                head(f).kind = 7;
                f.want = Want::default();
            },
            corrupt(Damage::Kind),
        ),
        (
            "another layout",
            |f| head(f).layout = 9,
            Verdict::Incompatible { found: 9, wanted: LAYOUT_VERSION },
        ),
        (
            "another layout and size",
            |f| {
                head(f).layout = 9;
                f.want.bytes = Some(Bytes(1));
            },
            Verdict::Incompatible { found: 9, wanted: LAYOUT_VERSION },
        ),
        (
            "a base of another size, which it was made with",
            |f| {
                segment(f).bytes = Bytes(4096);
                head(f).bytes = 4096;
            },
            Verdict::Clean,
        ),
        (
            "a block of another size",
            |f| {
                block(f);
                segment(f).bytes = Bytes(4096);
                head(f).bytes = 4096;
            },
            wrong_size(),
        ),
        ("a block where a base is wanted", |f| head(f).kind = BLOCK_KIND, foreign()),
        ("a block", block, Verdict::Clean),
        (
            "a block, attached by its own pool",
            |f| {
                block(f);
                segment(f).attached = Some(1);
            },
            Verdict::Clean,
        ),
        (
            "a block of another pool",
            |f| {
                block(f);
                head(f).pool_id = [1, 2];
            },
            foreign(),
        ),
        (
            "another block",
            |f| {
                block(f);
                head(f).index = 4;
            },
            foreign(),
        ),
        (
            "a base where a block is wanted",
            |f| {
                block(f);
                head(f).kind = BASE_KIND;
            },
            foreign(),
        ),
        (
            "a block of another pool, being removed",
            |f| {
                block(f);
                head(f).magic = MAGIC_GONE;
            },
            Verdict::Gone,
        ),
    ]
}

/// `Foreign` has its reason in words, which are tested below.
fn without_words(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Foreign { .. } => Verdict::Foreign { why: String::new() },
        other => other,
    }
}

#[test]
fn every_rule_of_the_verdict_holds() {
    for (name, change, wanted) in rows() {
        let mut facts = closed();
        change(&mut facts);
        assert_eq!(without_words(judge(&facts)), wanted, "{name}");
    }
}

#[test]
fn no_answer_is_without_a_row() {
    let shown: Vec<Discriminant<Verdict>> = rows().iter().map(|row| std::mem::discriminant(&row.2)).collect();
    let mut different: Vec<_> = Vec::new();
    for one in shown {
        if !different.contains(&one) {
            different.push(one);
        }
    }
    // Absent, Foreign, Busy, Dying, Unfinished, Clean, Crashed, Gone, Incompatible, WrongSize,
    // WrongOwner, WrongMode, Corrupt.
    assert_eq!(different.len(), 13);
}

#[test]
fn every_sentence_names_the_key_and_what_to_do() {
    let mut sentences = BTreeSet::new();
    for (name, change, _) in rows() {
        let mut facts = closed();
        change(&mut facts);
        let verdict = judge(&facts);
        let (reason, next) = (verdict.reason(&facts), verdict.next(&facts));
        assert!(reason.contains("0x48500100") && !next.is_empty(), "{name}: {reason}");
        sentences.insert(format!("{reason}; {next}"));
    }
    let all: Vec<String> = sentences.into_iter().collect();
    insta::assert_snapshot!(all.join("\n"), @"
    0x48500100 does not belong to this pool: its semaphores (semid 5, uid 0): the set has size 1, not 3; choose another key, or run `ipcs -m -p` and `hotpool ls`
    0x48500100 is owned by pid 99 (zone, running, started 5 min ago); stop it first, or run `hotpool ls`
    the segment under 0x48500100 (shmid 7, uid 0 (game), created by pid 4711, 2 h old) belongs to uid 0, but this process runs as uid 1000; start as uid 0, or run `hotpool rm --key 0x48500100` as that user
    the segment under 0x48500100 (shmid 7, uid 0 (game), created by pid 4711, 2 h old) is complete and was closed by its owner; nothing to do: the next start uses it
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) belongs to a pool whose removal was interrupted; run `hotpool rm --key 0x48500100`
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) does not belong to this pool: it belongs to pool 00000000000000010000000000000002; choose another key, or run `ipcs -m -p` and `hotpool ls`
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) does not belong to this pool: it belongs to pool 00000000000000010000000000000002; its base records objects in it: restore the segment that was under the key, or give up all objects of the pool with `hotpool rm` and the pool's BaseKey
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) does not belong to this pool: it cannot be read: EACCES; choose another key, or run `ipcs -m -p` and `hotpool ls`
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) does not belong to this pool: it is a base of pool 00000000000000ab00000000000000cd, not a block; choose another key, or run `ipcs -m -p` and `hotpool ls`
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) does not belong to this pool: it is a block of pool 00000000000000ab00000000000000cd, not a base; choose another key, or run `ipcs -m -p` and `hotpool ls`
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) does not belong to this pool: it is all zeros, but its size or mode is not the configured one; choose another key, or run `ipcs -m -p` and `hotpool ls`
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) does not belong to this pool: it is block 4, not block 3; choose another key, or run `ipcs -m -p` and `hotpool ls`
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) does not belong to this pool: it is not complete, but is attached once by a process that is no tool of hotpool; choose another key, or run `ipcs -m -p` and `hotpool ls`
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) does not belong to this pool: it is shorter than a header; choose another key, or run `ipcs -m -p` and `hotpool ls`
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) does not belong to this pool: it is something unknown of pool 00000000000000ab00000000000000cd, not a base; choose another key, or run `ipcs -m -p` and `hotpool ls`
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) does not belong to this pool: it was not read; choose another key, or run `ipcs -m -p` and `hotpool ls`
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) does not belong to this pool: its first 64 bytes are zero, and no owner semaphores tell that hotpool made it; choose another key, or run `ipcs -m -p` and `hotpool ls`
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) does not belong to this pool: its first 64 bytes are zero, but the word at 0x1000 is not; choose another key, or run `ipcs -m -p` and `hotpool ls`
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) does not belong to this pool: its first word is 0x0000000000000001; choose another key, or run `ipcs -m -p` and `hotpool ls`
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) does not belong to this pool: its first word is zero, but the next ones are not; choose another key, or run `ipcs -m -p` and `hotpool ls`
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) does not belong to this pool: its semaphores (semid 5, uid 0): the set has size 1, not 3; choose another key, or run `ipcs -m -p` and `hotpool ls`
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) has layout version 9, but this build needs version 1; start the version that created it, or give up its objects with `hotpool rm --key 0x48500100`
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) has mode 0640, which is wider than the configured 0600; set Mode = 0640, or give up its objects with `hotpool rm --key 0x48500100`
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) has the size 4K, but the configuration requires 1M; configure its size, or give up its objects with `hotpool rm --key 0x48500100`
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) is complete and its owner died; nothing to do: the next start uses it
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) is complete and was closed by its owner; nothing to do: the next start uses it
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) is damaged: it ends before its header does; run `hotpool inspect --key 0x48500100`, then `hotpool rm --key 0x48500100`
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) is damaged: it is marked as being created, but holds bytes that no creation writes; run `hotpool inspect --key 0x48500100`, then `hotpool rm --key 0x48500100`
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) is damaged: it is neither a base nor a block; run `hotpool inspect --key 0x48500100`, then `hotpool rm --key 0x48500100`
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) is damaged: its first 64 bytes name another key; run `hotpool inspect --key 0x48500100`, then `hotpool rm --key 0x48500100`
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) is damaged: its first 64 bytes name another size; run `hotpool inspect --key 0x48500100`, then `hotpool rm --key 0x48500100`
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) is damaged: the checksum of its first 64 bytes is wrong; run `hotpool inspect --key 0x48500100`, then `hotpool rm --key 0x48500100`
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) is damaged: the checksum of its first 64 bytes is wrong; the pool's other objects are in its other blocks: restore a snapshot, or give up all of them with `hotpool rm` and the pool's BaseKey
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) is damaged: the word `run`, the state of its last owner, is invalid; run `hotpool inspect --key 0x48500100`, then `hotpool rm --key 0x48500100`
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) is unfinished: its creation was interrupted, and it holds nothing; its base records objects in it: restore a snapshot, or give up all objects of the pool with `hotpool rm` and the pool's BaseKey
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) is unfinished: its creation was interrupted, and it holds nothing; nothing to do: the next start uses it
    the segment under 0x48500100 (shmid 7, uid 1000 (game), created by pid 4711, 2 h old) was removed while a process still has it attached; stop the process that has it, then start again; its objects are lost
    the segment under 0x48500100 (uid 1000 (game), created by pid 4711, 2 h old) is unfinished: its creation was interrupted, and it holds nothing; nothing to do: the next start uses it
    there is no segment under 0x48500100; it was removed: start the pool, which creates it again if it was empty, and refuses otherwise
    there is no segment under 0x48500100; nothing to do: the next start uses it
    ");
}

#[test]
fn what_is_not_known_of_a_segment_is_not_said() {
    let mut facts = closed();
    *segment(&mut facts) = SegmentFacts { creator_pid: None, changed: 0, ..segment(&mut facts).clone() };
    facts.user = None;
    insta::assert_snapshot!(judge(&facts).reason(&facts), @"the segment under 0x48500100 (shmid 7, uid 1000) is complete and was closed by its owner");
}
