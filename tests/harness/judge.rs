//! Checks the pool that a kill leaves.

use super::content::{Content, Keyed, Late, Plain, add_types, resolves, words};
use hotpool::conf::ProcessConf;
use hotpool::conf::key_plan::post_mortem;
use hotpool::inspect::verify_pool;
use hotpool::pool::{LastEnd, ResumeReport};
use hotpool::share::{Home, ShareError, Verdict, observe, remove_pool};
use hotpool::{MemoryPoolMgr, PoolError};
use std::collections::BTreeSet;

/// The states that an operation may leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Leaves {
    /// The state before or after the operation.
    #[default]
    Either,
    /// The state before or after the operation; suspects may be forgotten once the start counts as
    /// ready.
    Forgotten,
    /// The state after the operation: the next start completes it.
    Done,
    /// The state before or after the operation; objects written through guards may be half written,
    /// and are then named.
    HalfWritten,
    /// Like `HalfWritten`, and every changed object is named, because a panic interrupted the
    /// operation.
    Torn,
    /// A new pool, and the whole previous state under the post-mortem keys.
    Aside,
    /// An unfinished pool, or an empty one.
    Nothing,
    /// The pool, the rest of a pool that is being removed, or nothing.
    Ruins,
}

/// The states before and after an operation, and the facts about previous owners.
#[derive(Clone, Default)]
pub struct Expected {
    pub leaves: Leaves,
    pub before: Content,
    pub after: Content,
    /// Handles freed before the operation.
    pub dead: Vec<u64>,
    /// What previous owners left half written; see [`named`].
    pub suspects: BTreeSet<u64>,
    /// The epoch of the operation's start; if the operation is a start, that of the start before.
    pub epoch: u64,
    /// How that start may have ended, besides dying before it was ready.
    pub ends: Vec<LastEnd>,
}

/// Returns the handle bits and type numbers that a report names as half written.
pub fn named(report: &ResumeReport) -> BTreeSet<u64> {
    let objects = report.being_written.iter().map(|handle| handle.to_bits());
    objects.chain(report.types_being_written.iter().map(|id| u64::from(*id))).collect()
}

/// Opens the pool that a kill left, and compares. The error is a violation of a guarantee.
pub fn judge(conf: &ProcessConf, expected: &Expected) -> Result<(), String> {
    if expected.leaves == Leaves::Ruins && is_ruin(conf)? {
        return Ok(());
    }
    unadopted(conf, expected)?;
    let mut pool = open(conf, expected).map_err(|error| format!("the pool is refused: {error}"))?;
    opened(&mut pool, expected)
}

/// Opens the pool.
///
/// A new pool whose predecessor was moved aside may be in a crash loop, too. It is refused, because
/// the post-mortem keys are in use. It is then opened without the ini's crash-loop settings.
pub fn open(conf: &ProcessConf, expected: &Expected) -> Result<MemoryPoolMgr, PoolError> {
    match MemoryPoolMgr::open(conf) {
        Err(PoolError::AsideTaken { .. }) if expected.leaves == Leaves::Aside => {
            MemoryPoolMgr::open(&conf.clone().resume(Default::default()))
        }
        opened => opened,
    }
}

/// Checks the bytes as the kill left them, before a start adopts them.
pub fn unadopted(conf: &ProcessConf, expected: &Expected) -> Result<(), String> {
    match verify_pool(conf.base_key, &Home::of(conf)) {
        Ok(report) if report.is_sound() => Ok(()),
        Ok(report) => Err(format!("before it was opened: {report}")),
        Err(ShareError::Refused {
            verdict: Verdict::Absent | Verdict::Unfinished | Verdict::Foreign { .. },
            ..
        }) if matches!(expected.leaves, Leaves::Nothing | Leaves::Aside) => Ok(()),
        Err(error) => Err(format!("cannot be verified: {error}")),
    }
}

/// Checks the pool that a start made of these bytes.
pub fn opened(pool: &mut MemoryPoolMgr, expected: &Expected) -> Result<(), String> {
    sound(pool, "opened")?;
    let is_new = matches!(expected.leaves, Leaves::Nothing | Leaves::Aside);
    let is_other = expected.leaves != Leaves::Aside && pool.is_resume() == is_new;
    if is_other && !expected.before.objects.is_empty() {
        return Err(format!(
            "a pool with {} objects: {:?}",
            expected.before.objects.len(),
            pool.start_mode()
        ));
    }
    add_types(pool)
        .and_then(|()| pool.add_type::<Late>())
        .map_err(|error| format!("a type is refused: {error}"))?;
    sound(pool, "with its types")?;
    if pool.verify().findings.iter().any(|finding| finding.what.contains("schema text")) {
        return Err("schema text was lost for good".into());
    }
    let content = Content::read(pool)?;
    let found = named(pool.resume_report());
    let named = |bits: u64| found.contains(&bits) || found.contains(&(bits >> 28 & 0x3ff));
    match expected.leaves {
        Leaves::Done | Leaves::Aside if content == expected.after => {}
        Leaves::Done | Leaves::Aside => {
            return Err(format!(
                "a start did not complete the operation: {}",
                content.difference(&expected.after)
            ));
        }
        Leaves::HalfWritten | Leaves::Torn => {
            content.between(&expected.before, &expected.after, true, &named)?;
        }
        _ => content.between(&expected.before, &expected.after, false, &named)?,
    }
    if expected.leaves == Leaves::Torn
        && let Some(id) = content.written_since(&expected.before).find(|id| !named(*id))
    {
        return Err(format!("object {id:x} was being written at the panic, but is not named"));
    }
    evidence(pool, &found, expected)?;
    if expected.leaves == Leaves::Aside {
        return kept_aside(pool, expected).and_then(|()| goes_on(pool, &content, expected));
    }
    let ids = expected.before.objects.keys().chain(expected.after.objects.keys()).chain(&expected.dead);
    for id in ids {
        if resolves(pool, *id) != content.objects.contains_key(id) {
            return Err(format!("handle {id:x} resolves: {}", resolves(pool, *id)));
        }
    }
    goes_on(pool, &content, expected)
}

/// Checks the evidence about previous owners: what they left half written, how they ended, and that
/// they are recorded.
fn evidence(pool: &MemoryPoolMgr, found: &BTreeSet<u64>, expected: &Expected) -> Result<(), String> {
    let report = pool.resume_report();
    let epochs: Vec<u64> = pool.starts().iter().map(|start| start.epoch).collect();
    if !epochs.iter().copied().eq(1..=report.epoch) {
        return Err(format!("start {} finds the starts {epochs:?}", report.epoch));
    }
    if matches!(expected.leaves, Leaves::Aside | Leaves::Nothing) {
        return Ok(());
    }
    let died = LastEnd::Died { was_ready: false };
    let was_ready = report.last_end == LastEnd::Died { was_ready: true };
    let known = report.last_end == died || expected.ends.contains(&report.last_end);
    let last = report.epoch.saturating_sub(1);
    if last < expected.epoch || last > expected.epoch && report.last_end != died || !known {
        return Err(format!("start {last} after {} is reported as {:?}", expected.epoch, report.last_end));
    }
    let mut starts = pool.starts().into_iter();
    let said = starts.any(|start| start.epoch == expected.epoch && start.ready.is_some());
    let may_forget = expected.leaves == Leaves::Forgotten && (was_ready || said);
    if let Some(lost) = expected.suspects.difference(found).next().filter(|_| !may_forget) {
        return Err(format!("the suspect {lost:x} was forgotten"));
    }
    let (before, after) = (&expected.before.objects, &expected.after.objects);
    let written = before.keys().filter(|id| before.get(id) != after.get(id));
    let written: BTreeSet<u64> = written.flat_map(|id| [*id, id >> 28 & 0x3ff]).collect();
    // A walk names the objects it lends, whether they change or not.
    let walks = matches!(expected.leaves, Leaves::HalfWritten | Leaves::Torn);
    let may_be = |name: &u64| written.contains(name) || walks && written.contains(&(name >> 28 & 0x3ff));
    match found.difference(&expected.suspects).find(|name| !may_be(name)) {
        Some(name) => Err(format!("{name:x} is named as half written, but was never written")),
        None => Ok(()),
    }
}

/// Returns the configuration of the post-mortem copy of a pool.
pub fn aside(conf: &ProcessConf) -> ProcessConf {
    let mut aside = conf.clone();
    aside.base_key = post_mortem(conf.base_key);
    aside.shm_keys = conf.shm_keys.iter().copied().map(post_mortem).collect();
    aside.resume = hotpool::conf::ResumeConf::default();
    aside
}

/// Checks that the whole previous state is under the post-mortem keys, and that no handle from
/// there resolves here.
fn kept_aside(pool: &MemoryPoolMgr, expected: &Expected) -> Result<(), String> {
    if let Some(id) = expected.before.objects.keys().find(|id| resolves(pool, **id)) {
        return Err(format!("handle {id:x} of the pool that was moved aside resolves"));
    }
    let conf = aside(pool.conf());
    let failed = |what: &dyn std::fmt::Display| format!("the copy under {}: {what}", conf.base_key);
    let sound = verify_pool(conf.base_key, &Home::of(&conf)).map_err(|error| failed(&error))?;
    if !sound.is_sound() {
        return Err(failed(&sound));
    }
    let mut copy = MemoryPoolMgr::open(&conf).map_err(|error| failed(&error))?;
    add_types(&mut copy).map_err(|error| failed(&error))?;
    let content = Content::read(&copy)?;
    if content != expected.before {
        return Err(failed(&content.difference(&expected.before)));
    }
    let suspects = named(copy.resume_report());
    if suspects != expected.suspects {
        return Err(failed(&format!("names {suspects:x?} as half written")));
    }
    Ok(())
}

fn sound(pool: &MemoryPoolMgr, when: &str) -> Result<(), String> {
    let report = pool.verify();
    if report.is_sound() { Ok(()) } else { Err(format!("{when}: {report}")) }
}

/// Checks that the pool can be used as if nothing had happened.
fn goes_on(pool: &mut MemoryPoolMgr, content: &Content, expected: &Expected) -> Result<(), String> {
    const KEY: u64 = 0x6e6f_2073_7563_6821;
    let failed = |error| format!("the pool cannot be used: {error}");
    let plain = pool.alloc(Plain { words: words(1) }).map_err(failed)?;
    let keyed = pool.alloc_keyed(KEY, Keyed { words: words(2) }).map_err(failed)?;
    let given = [plain.to_bits(), keyed.to_bits()];
    if given.iter().any(|id| content.objects.contains_key(id) || expected.dead.contains(id))
        || expected.leaves == Leaves::Aside && given.iter().any(|id| expected.before.objects.contains_key(id))
    {
        return Err(format!("a handle was given out twice: {given:x?}"));
    }
    let first = content.objects.keys().filter_map(|bits| hotpool::Id::<Plain>::from_bits(*bits)).next();
    if let Some(id) = first
        && !pool.free(id)
    {
        return Err(format!("{id} cannot be freed"));
    }
    if pool.find::<Keyed>(KEY) != Some(keyed) || !pool.free(plain) || !pool.free_by_key::<Keyed>(KEY) {
        return Err("the new objects cannot be freed".into());
    }
    let more = content.objects.values().filter_map(|object| object.key).next_back();
    if let Some(key) = more {
        pool.free_by_key::<Keyed>(key);
    }
    sound(pool, "used")
}

/// Returns whether the removal of a pool has begun. If so, checks that the rest can be removed,
/// completely.
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
