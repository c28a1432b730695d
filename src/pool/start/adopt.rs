//! Adoption: what a new owner does to a pool before it may use it.
//!
//! It keeps the evidence of how the last owner ended, completes the interrupted transaction, and
//! records itself as the owner. An interrupted alloc or free is recovered when its type is first
//! used (`TypeState::settle`). [`check`] refuses whatever could be refused, before the first store
//! of a start.
//!
//! | step | state if killed after this step |
//! |---|---|
//! | new forms of types that were decided replace the old ones (`docs/migration.md`) | the same, to be repeated |
//! | marks are added to the suspects, then cleared | an object named in one list or in both |
//! | the interrupted split of an index group is completed | the same, to be repeated |
//! | the interrupted updates of threads are rolled back, then their logs are joined | the same, to be repeated |
//! | the interrupted transaction is rolled back or finished, then its log is cleared | the same, to be repeated |
//! | suspects whose objects were freed are dropped | some are dropped, the others by the next start |
//! | objects are put into quarantine, one by one | some are there, the others after the next evidence |
//! | the ring of starts is brought up to date, and the next record is written | a record that is not counted |
//! | owner, times and `run` are stored | the new owner recorded as the last one |
//! | `epoch` is stored | the start is counted |
//!
//! Adoption may be interrupted anywhere, any number of times: each step finds its evidence again
//! until it is done, and clears the evidence last.

use crate::commits::Commit;
use crate::conf::{OnCrashLoop, OnTorn, ProcessConf};
use crate::layout::{BaseHeader, Broken, Last, RUN_CLOSED, RUN_READY, RUN_STARTING, TypeInfo};
use crate::limits;
use crate::mutants::{Mutant, planted};
use crate::object::Handle;
use crate::pool::change::lane_logs;
use crate::pool::change::undo::{States, Undo};
use crate::pool::forensics::black_box::{BlackBox, Event};
use crate::pool::start::breaker::CrashLoop;
use crate::pool::start::quarantine::{self, QuarantineError};
use crate::pool::start::report::{ResumeReport, TypeCount};
use crate::pool::start::starts::{LastEnd, Now, Starts};
use crate::pool::start::suspects::{self, Torn};
use crate::pool::store::base::Base;
use crate::pool::store::chains::Chains;
use crate::pool::store::extents::Space;
use crate::pool::store::forms;
use crate::pool::store::slot::parked;
use crate::pool::store::type_state::TypeState;
use crate::region::At;
use crate::share::{MemoryReport, PoolSegments, StartMode};
use crate::sys;
use crate::word::Word;
use std::time::Duration;

/// The parts of a pool that was found.
#[derive(Clone, Copy)]
pub(crate) struct Found<'a> {
    pub(crate) base: &'a Base,
    pub(crate) space: &'a Space,
    pub(crate) chains: &'a Chains,
}

impl Found<'_> {
    /// Returns the type `id` as it is, without recovering it.
    fn read(&self, id: u16) -> Result<Option<TypeState>, Broken> {
        let Some(info) = self.base.used_type(id) else { return Ok(None) };
        TypeState::load(self.base, info, self.space, self.chains).map(Some)
    }

    /// Returns the type `id`, recovered and ready to be changed.
    fn load(&self, id: u16) -> Result<Option<TypeState>, Broken> {
        let mut state = self.read(id)?;
        if let Some(state) = &mut state {
            state.settle();
        }
        Ok(state)
    }
}

/// The types of an interrupted transaction, loaded on demand.
struct Loaded<'a> {
    found: Found<'a>,
    /// Whether the types are only read.
    read_only: bool,
    states: Vec<(u16, TypeState)>,
}

impl States for Loaded<'_> {
    fn state(&mut self, id: u16) -> Option<&mut TypeState> {
        let at = match self.states.iter().position(|(known, _)| *known == id) {
            Some(at) => at,
            None => {
                let state = if self.read_only { self.found.read(id) } else { self.found.load(id) };
                self.states.push((id, state.ok()??));
                self.states.len() - 1
            }
        };
        self.states.get_mut(at).map(|(_, state)| state)
    }
}

/// Checks whether [`adopt`] will succeed, without a change.
pub(crate) fn check(
    found: &Found<'_>,
    undo: &Undo,
    conf: &ProcessConf,
    crash_loop: Option<CrashLoop>,
) -> Result<(), Broken> {
    let header = &found.base.header;
    header.epoch.load().checked_add(1).ok_or(Broken::Epoch)?;
    let mut read = Loaded { found: *found, read_only: true, states: Vec::new() };
    let lanes = lane_logs::left(found.base)?;
    lanes.iter().chain([undo]).try_for_each(|log| log.check(&mut read))?;
    let split = header.split.load();
    if split != 0 {
        found.read((split >> 32) as u16)?;
    }
    let named = header.all_marks().chain(&header.suspects).map(Word::load).filter_map(Handle::from_bits);
    let put_away = conf.resume.on_torn == OnTorn::Quarantine || crash_loop.is_some();
    let worked_on = [last_object(found), BlackBox::of(found.base).last_object()].into_iter().flatten();
    let mut touched: Vec<u16> = named.chain(worked_on).filter(|_| put_away).map(Handle::type_id).collect();
    touched.extend(quarantine::listed(header).map(Handle::type_id));
    touched.sort_unstable();
    touched.dedup();
    touched.into_iter().try_for_each(|id| found.read(id).map(drop))
}

/// Returns whether a pool is more than the remains of a program that was killed in its very first
/// start.
///
/// It is if a start was ready or closed the pool, or if the pool has an object.
pub(crate) fn has_begun(found: &Found<'_>) -> bool {
    let header = &found.base.header;
    let objects = |info: At<TypeInfo>| found.space.objects(found.chains, &info) != 0;
    let has_served = header.ready_wall.load() != 0 || header.closed_wall.load() != 0;
    header.ntypes.load() != 0 && (has_served || found.base.used_types().any(objects))
}

/// Makes this process the owner of a checked pool. The error names the rule that is broken.
pub(crate) fn adopt(
    found: &Found<'_>,
    undo: &mut Undo,
    conf: &ProcessConf,
    share: &PoolSegments,
    crash_loop: Option<CrashLoop>,
) -> Result<ResumeReport, Broken> {
    let base = found.base;
    let header = &base.header;
    let hot = share.start_mode() == StartMode::Resume && has_begun(found);
    let now = sys::wall_nanos();
    let epoch = header.epoch.load();
    let next_epoch = epoch.checked_add(1).ok_or(Broken::Epoch)?;
    let left = Starts::of(base).left();
    let last_end = last_end(header, epoch, left.is_some());
    let ended_ago = ended_ago(header, share, last_end, now, left);
    let boot = sys::boot_id();
    let rebooted = epoch != 0 && header.boot_id[0].load() != boot[0];

    if header.forms.load() == forms::DECIDED {
        forms::decide(base, found.space);
    }
    keep_marks(header);
    end_split(found)?;
    let last = last_object(found);
    let ended_transaction = end_transaction(found, undo)?;
    drop_freed_suspects(found);
    let died = matches!(last_end, LastEnd::Died { .. });
    let looping = died && crash_loop.is_some_and(|found| found.policy == OnCrashLoop::Quarantine);
    put_suspects_away(found, conf, last, looping)?;
    // Only now: a start that was interrupted before this must find the object again.
    header.last.store(0);
    tidy(found)?;
    let starts = Starts::of(base);
    starts.mend();
    let before_wall = ended_ago.map(|ago| now.saturating_sub(ago.as_nanos() as u64));
    if planted(Mutant::CountsBeforeSigning) {
        Commit::Epoch.store(&header.epoch, next_epoch);
    }
    starts.write(next_epoch, last_end, before_wall, Now::of(now, boot));
    sign(header, last_end, now, boot);
    Commit::Epoch.store(&header.epoch, next_epoch);
    BlackBox::of(base).event(Event::Open, next_epoch, now);

    let types = base.used_types().map(|info| {
        TypeCount::new(info.id.load() as u16, found.space.objects(found.chains, &info), &info.name)
    });
    let (being_written, types_being_written) = named(header);
    Ok(ResumeReport {
        restored: None,
        process: conf.name.clone(),
        mode: if hot { StartMode::Resume } else { StartMode::Init },
        last_end,
        ended_ago,
        epoch: next_epoch,
        rebooted,
        types: types.collect(),
        ended_transaction,
        being_written,
        types_being_written,
        quarantined: quarantine::listed(header).collect(),
        bad_values: Vec::new(),
        crash_loop,
        moved_to: None,
        told: Vec::new(),
        migrated: Vec::new(),
        took: Duration::ZERO,
        memory: MemoryReport::default(),
    })
}

/// Ends the interrupted transaction, or the interrupted updates of threads; returns what it did.
fn end_transaction(found: &Found<'_>, undo: &mut Undo) -> Result<Option<&'static str>, Broken> {
    let last_tag = &found.base.header.last_tag;
    let mut loaded = Loaded { found: *found, read_only: false, states: Vec::new() };
    let undone = lane_logs::recover(found.base, &mut loaded, last_tag)?;
    let ended = undo.recover(&mut loaded, last_tag)?;
    Ok(ended.or(undone.then_some("updates of threads were rolled back")))
}

/// Returns the suspects, by object and by type.
fn named(header: &BaseHeader) -> (Vec<Handle>, Vec<u16>) {
    let (mut objects, mut types) = (Vec::new(), Vec::new());
    for torn in suspects::listed(header) {
        match torn {
            Torn::Object(object) => objects.push(object),
            Torn::AnyOf(type_id) => types.push(type_id),
        }
    }
    (objects, types)
}

/// Removes objects that were freed since from the suspects.
fn drop_freed_suspects(found: &Found<'_>) {
    let torn: Vec<Torn> = suspects::listed(&found.base.header).collect();
    for torn in torn {
        let Torn::Object(object) = torn else { continue };
        let info = found.base.used_type(object.type_id());
        let header = info.and_then(|info| found.space.slot_header(found.chains, &info, object.index()));
        if !header.is_some_and(|header| header == object.to_bits() || header == parked(object)) {
            suspects::settle(&found.base.header, torn);
        }
    }
}

/// Puts objects into quarantine as the ini requires: torn objects, and in a crash loop those used
/// last.
fn put_suspects_away(
    found: &Found<'_>,
    conf: &ProcessConf,
    last: Option<Handle>,
    looping: bool,
) -> Result<(), Broken> {
    let torn = looping || conf.resume.on_torn == OnTorn::Quarantine;
    let (suspects, _) = if torn { named(&found.base.header) } else { Default::default() };
    let noted = BlackBox::of(found.base).last_object();
    let worked_on = [last, noted].into_iter().flatten().filter(|_| looping);
    for object in suspects.into_iter().chain(worked_on) {
        put_away(found, object)?;
    }
    Ok(())
}

/// Returns how long ago the last owner ended: as it recorded, or as the kernel did with a
/// resolution of 1 s. A tool that read the pool meanwhile does not hide it.
fn ended_ago(
    header: &BaseHeader,
    share: &PoolSegments,
    last_end: LastEnd,
    now: u64,
    left: Option<u64>,
) -> Option<Duration> {
    match last_end {
        LastEnd::None => None,
        LastEnd::Closed => Some(Duration::from_nanos(now.saturating_sub(header.closed_wall.load()))),
        LastEnd::Left { .. } => left.map(|at| Duration::from_nanos(now.saturating_sub(at))),
        LastEnd::Died { .. } => {
            let died = share.left_at(header.owner_pid.load());
            died.map(|at| Duration::from_secs(sys::wall_seconds().saturating_sub(at)))
        }
    }
}

fn last_end(header: &BaseHeader, epoch: u64, left: bool) -> LastEnd {
    match header.run.load() {
        _ if epoch == 0 => LastEnd::None,
        RUN_CLOSED => LastEnd::Closed,
        run if left => LastEnd::Left { was_ready: run == RUN_READY },
        run => LastEnd::Died { was_ready: run == RUN_READY },
    }
}

/// Adds the marks of the last owner to the suspects, which stay until a start is ready.
fn keep_marks(header: &BaseHeader) {
    if planted(Mutant::OpenForgetsSuspects) {
        suspects::settle_told(header, 0);
    }
    let lanes = if planted(Mutant::LaneMarksForgotten) { 0 } else { limits::LANES };
    for mark in header.all_marks().take(limits::MARKS + lanes) {
        let word = mark.load();
        if word == 0 {
            continue;
        }
        if planted(Mutant::MarksClearedFirst) {
            Commit::MarkTaken.store(mark, 0);
        }
        match suspects::add(header, word) {
            Some(_) => Commit::MarkTaken.store(mark, 0),
            None => log::error!("cannot keep the mark {word:#x}: the list of suspects is full"),
        }
    }
}

/// Completes an interrupted split of an index group.
fn end_split(found: &Found<'_>) -> Result<(), Broken> {
    let header = &found.base.header;
    let word = header.split.load();
    if word == 0 {
        return Ok(());
    }
    if let Some(state) = found.load((word >> 32) as u16)? {
        state.index.end_split(word & u64::from(u32::MAX));
    }
    Commit::SplitEnded.store(&header.split, 0);
    Ok(())
}

/// Returns the object of the last operation on a slot, if it is live.
fn last_object(found: &Found<'_>) -> Option<Handle> {
    let last = Last::parse(found.base.header.last.load())?;
    let info = found.base.used_type(last.type_id)?;
    Handle::from_bits(found.space.slot_header(found.chains, &info, info.named()?)?)
}

/// Puts one object into quarantine, if it is live.
fn put_away(found: &Found<'_>, object: Handle) -> Result<(), Broken> {
    let Some(mut state) = found.load(object.type_id())? else { return Ok(()) };
    match state.park(object) {
        Ok(()) => {
            log::warn!("put object {object} into quarantine");
            BlackBox::of(found.base).event(Event::Quarantined, object.to_bits(), 0);
        }
        // The object was freed, or is in quarantine since an earlier start.
        Err(QuarantineError::NotLive(_)) => {}
        Err(error) => log::error!("{error}"),
    }
    Ok(())
}

/// Removes objects from the quarantine list that an interrupted start released or freed.
fn tidy(found: &Found<'_>) -> Result<(), Broken> {
    let mut wrong = None;
    if planted(Mutant::RecoveryKeepsList) {
        return Ok(());
    }
    quarantine::tidy(&found.base.header, |object| match found.load(object.type_id()) {
        Ok(state) => state.is_some_and(|state| state.is_parked(object)),
        Err(what) => {
            wrong = Some(what);
            true
        }
    });
    wrong.map_or(Ok(()), Err)
}

/// Records the owner of the pool, and since when.
fn sign(header: &BaseHeader, last_end: LastEnd, now: u64, boot: [u64; 2]) {
    match last_end {
        LastEnd::None => {}
        LastEnd::Closed => count(&header.starts_clean),
        LastEnd::Left { .. } | LastEnd::Died { .. } => count(&header.starts_crashed),
    }
    header.owner_pid.store(u64::from(std::process::id()));
    header.owner_ticks.store(sys::proc::Process::look(std::process::id() as i32).start_ticks);
    header.start_wall.store(now);
    header.start_boot.store(sys::boot_nanos());
    header.boot_id[0].store(boot[0]);
    header.boot_id[1].store(boot[1]);
    header.ipc_namespace.store(sys::ipc_namespace());
    Commit::RunStarting.store(&header.run, RUN_STARTING);
}

fn count(starts: &Word) {
    starts.store(starts.load().saturating_add(1));
}
