//! What is demanded of a pool that a kill has left.

use super::content::{Content, Keyed, Late, Plain, add_types, resolves, words};
use hotpool::conf::ProcessConf;
use hotpool::inspect::verify_pool;
use hotpool::share::{Home, ShareError, Verdict, observe, remove_pool};
use hotpool::{MemoryPoolMgr, PoolError};

/// What may be left of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leaves {
    /// The state before it or behind it.
    Either,
    /// The same, but for the objects that it writes through guards: these may be half written, and are named.
    HalfWritten,
    /// A pool in the making, or an empty one.
    Nothing,
    /// The pool, the rest of one that is to be removed, or nothing.
    Ruins,
}

/// The states around an operation, and all handles that were ever freed before it.
#[derive(Clone)]
pub struct Expected {
    pub leaves: Leaves,
    pub before: Content,
    pub after: Content,
    pub dead: Vec<u64>,
}

/// Opens what a kill has left and compares. The error is a violation of what the library promises.
pub fn judge(conf: &ProcessConf, expected: &Expected) -> Result<(), String> {
    if expected.leaves == Leaves::Ruins && is_ruin(conf)? {
        return Ok(());
    }
    unadopted(conf, expected)?;
    let mut pool = MemoryPoolMgr::open(conf).map_err(|error| format!("the pool is refused: {error}"))?;
    opened(&mut pool, expected)
}

/// The bytes as the kill has left them: sound, the last slot of a type to change free or not.
pub fn unadopted(conf: &ProcessConf, expected: &Expected) -> Result<(), String> {
    match verify_pool(conf.base_key, &Home::of(conf)) {
        Ok(report) if report.is_sound() => Ok(()),
        Ok(report) => Err(format!("before it was opened: {report}")),
        Err(ShareError::Refused {
            verdict: Verdict::Absent | Verdict::Unfinished | Verdict::Foreign { .. },
            ..
        }) if expected.leaves == Leaves::Nothing => Ok(()),
        Err(error) => Err(format!("cannot be verified: {error}")),
    }
}

/// The pool that an open has made of it.
pub fn opened(pool: &mut MemoryPoolMgr, expected: &Expected) -> Result<(), String> {
    sound(pool, "opened")?;
    if pool.is_resume() != (expected.leaves != Leaves::Nothing) && !expected.before.objects.is_empty() {
        return Err("a pool with objects was started cold".into());
    }
    add_types(pool)
        .and_then(|()| pool.add_type::<Late>())
        .map_err(|error| format!("a type is refused: {error}"))?;
    sound(pool, "with its types")?;
    if pool.verify().findings.iter().any(|finding| finding.what.contains("schema text")) {
        return Err("schema text was lost for good".into());
    }
    let content = Content::read(pool)?;
    let report = pool.resume_report();
    let named = |bits: u64| {
        let one = report.being_written.iter().any(|handle| handle.to_bits() == bits);
        one || report.types_being_written.contains(&((bits >> 28) as u16 & 0x3ff))
    };
    let written = expected.leaves == Leaves::HalfWritten;
    content.between(&expected.before, &expected.after, written, &named)?;
    let ids = expected.before.objects.keys().chain(expected.after.objects.keys()).chain(&expected.dead);
    for id in ids {
        if resolves(pool, *id) != content.objects.contains_key(id) {
            return Err(format!("handle {id:x} resolves: {}", resolves(pool, *id)));
        }
    }
    goes_on(pool, &content, expected)
}

fn sound(pool: &MemoryPoolMgr, when: &str) -> Result<(), String> {
    let report = pool.verify();
    if report.is_sound() { Ok(()) } else { Err(format!("{when}: {report}")) }
}

/// The pool can be used as if nothing had happened.
fn goes_on(pool: &mut MemoryPoolMgr, content: &Content, expected: &Expected) -> Result<(), String> {
    const KEY: u64 = 0x6e6f_2073_7563_6821;
    let failed = |error| format!("it does not go on: {error}");
    let plain = pool.alloc(Plain { words: words(1) }).map_err(failed)?;
    let keyed = pool.alloc_keyed(KEY, Keyed { words: words(2) }).map_err(failed)?;
    let given = [plain.to_bits(), keyed.to_bits()];
    if given.iter().any(|id| content.objects.contains_key(id) || expected.dead.contains(id)) {
        return Err(format!("a handle was given out twice: {given:x?}"));
    }
    let first = content.objects.keys().filter_map(|bits| hotpool::Id::<Plain>::from_bits(*bits)).next();
    if let Some(id) = first
        && !pool.free(id)
    {
        return Err(format!("{id} cannot be freed"));
    }
    if pool.find::<Keyed>(KEY) != Some(keyed) || !pool.free(plain) || !pool.free_by_key::<Keyed>(KEY) {
        return Err("what was made cannot be freed".into());
    }
    let more = content.objects.values().filter_map(|object| object.key).next_back();
    if let Some(key) = more {
        pool.free_by_key::<Keyed>(key);
    }
    sound(pool, "used")
}

/// Whether a pool that was being removed is not one any more. Then its rest can be removed, and
/// nothing of it stays.
fn is_ruin(conf: &ProcessConf) -> Result<bool, String> {
    let home = Home::of(conf);
    let look = |key| observe(key, &home).map_err(|error| error.to_string());
    match look(conf.base_key)?.verdict() {
        Verdict::Clean | Verdict::Crashed => return Ok(false),
        Verdict::Gone => match MemoryPoolMgr::open(conf) {
            Err(PoolError::Share(ShareError::Refused { verdict: Verdict::Gone, .. })) => {}
            other => return Err(format!("the rest of a pool is not refused: {other:?}")),
        },
        Verdict::Absent => {}
        other => return Err(format!("a removal left {other:?}")),
    }
    remove_pool(conf.base_key, &home, false).map_err(|error| error.to_string())?;
    for key in super::image::keys_of(conf) {
        if look(key)?.verdict() != Verdict::Absent {
            return Err(format!("a removal left {key}"));
        }
    }
    Ok(true)
}
