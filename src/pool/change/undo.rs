//! The undo log of a lane: what an all-or-nothing change has to undo.
//!
//! # What the unsafe code here relies on
//!
//! [`Undo`] is created for a lane that `Region::span` found inside the base segment. Its bytes
//! belong to it alone. They are written below the capacity, through a raw pointer, before `tail`
//! publishes them, and read below a `tail` that was checked against the capacity. Old bytes of an
//! object are copied from and to the address of a slot's object, which `Slots::slot` found, for as
//! many bytes as `Slots::shape` gives an object; `shape::check` found that they lie inside the
//! slot. No reference to the object exists while it is restored: the pool is borrowed exclusively.
//!
//! # Protocol
//!
//! | step | state if killed after this step |
//! |---|---|
//! | a record is written past `tail` | no change |
//! | `tail` counts it | a change that has not begun; undoing it has no effect |
//! | the change is made | a change that the next start undoes |
//! | commit without frees: `tail` = 0 | the complete transaction |
//! | commit with frees: `COMMITTED` is set in `tail` | the complete transaction; the next start does the frees |
//! | the frees are done, `tail` = 0 | the complete transaction |
//!
//! A rollback undoes the records from the last to the first, and then clears `tail`. Each step has
//! no effect the second time, so a rollback may itself be interrupted any number of times.
#![allow(unsafe_code)]

use crate::commits::Commit;
use crate::layout::{Broken, COMMITTED, LaneHead, PositionRec, UndoKind, position_of, position_operand};
use crate::limits;
use crate::mutants::{Mutant, planted};
use crate::object::{Handle, Id, PoolObject};
use crate::pool::store::base::Base;
use crate::pool::store::slot::Slot;
use crate::pool::store::type_state::TypeState;
use crate::pool::store::typed::TypedMut;
use crate::region::{At, Table};
use crate::units::Bytes;
use crate::word::edge;
use std::ptr::NonNull;

/// The types of a pool, by type number.
pub(crate) trait States {
    /// Returns the type `id`, if the pool has it and its entry is valid.
    fn state(&mut self, id: u16) -> Option<&mut TypeState>;
}

/// The log of a lane.
pub(crate) struct Undo {
    head: At<LaneHead>,
    /// The positions of the readers that receive in transactions.
    positions: Table<PositionRec>,
    log: NonNull<u8>,
    capacity: usize,
    used: usize,
    frees: bool,
    /// Bytes that the records of the transaction would have had with the one that did not fit; 0 if
    /// all fit.
    pub(crate) overflow: u64,
    /// Records of the last pass, kept for their memory: the end of a transaction allocates nothing.
    found: Vec<Record>,
}

// SAFETY: the pointer leads into the mapping, which belongs to the process and not to a thread.
unsafe impl Send for Undo {}

/// The error for a log without room for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogFull;

/// A record found in a log.
struct Record {
    kind: UndoKind,
    operand: u64,
    payload: usize,
    bytes: usize,
}

const RECORD_HEAD: usize = 16;

impl Record {
    /// Returns where the next record begins.
    fn end(&self) -> usize {
        self.payload + self.bytes.next_multiple_of(8)
    }

    /// Returns the handle of the record, and the type of its object.
    fn object<'a>(&self, states: &'a mut dyn States) -> Result<(Handle, &'a mut TypeState), Broken> {
        let handle = Handle::from_bits(self.operand).ok_or(Broken::LogObject)?;
        let state = states.state(handle.type_id()).ok_or(Broken::LogType)?;
        Ok((handle, state))
    }
}

/// Returns the smallest `UndoSize` whose log has room for `records` bytes of records; `None` if
/// none has.
pub(crate) fn undo_size_for(records: u64) -> Option<Bytes> {
    let lane = records.checked_add(size_of::<LaneHead>() as u64)?;
    let size = lane.max(limits::MIN_UNDO_BYTES).checked_next_multiple_of(limits::PAGE)?;
    (size <= limits::MAX_UNDO_BYTES).then_some(Bytes(size))
}

/// Returns the bytes of the record that keeps `payload` bytes of an object, at most `u64::MAX`.
pub(crate) fn record_bytes(payload: u64) -> u64 {
    payload.saturating_add(RECORD_HEAD as u64).checked_next_multiple_of(8).unwrap_or(u64::MAX)
}

/// Returns the bytes of records for which a lane of `lane` bytes has room.
pub(crate) fn record_room(lane: u64) -> u64 {
    lane.saturating_sub(size_of::<LaneHead>() as u64) & !7
}

impl Undo {
    /// Returns the log of the first lane.
    pub(crate) fn of(base: &Base) -> Result<Self, Broken> {
        let g = &base.header.geometry;
        Self::at(base, g.lanes_off.load(), g.lanes_bytes.load())
    }

    /// Returns the log of a lane of `bytes` bytes at offset `at` of the base.
    pub(crate) fn at(base: &Base, at: u64, bytes: u64) -> Result<Self, Broken> {
        let head: At<LaneHead> = base.region.at(at).map_err(|_| Broken::LogOutside)?;
        let head_bytes = size_of::<LaneHead>() as u64;
        let capacity = bytes.checked_sub(head_bytes).ok_or(Broken::LogOutside)? & !7;
        let log = base.region.span(at + head_bytes, capacity).map_err(|_| Broken::LogOutside)?;
        Ok(Undo {
            head,
            positions: base.positions,
            log,
            capacity: capacity as usize,
            used: 0,
            frees: false,
            overflow: 0,
            found: Vec::new(),
        })
    }

    /// Returns the bytes that the records of a transaction can have.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Returns the bytes of its records, including one more with `payload` bytes.
    pub(crate) fn with_another(&self, payload: usize) -> u64 {
        record_bytes(payload as u64).saturating_add(self.used as u64)
    }

    /// Returns whether a record with `payload` bytes fits.
    #[inline(always)]
    pub(crate) fn has_room(&self, payload: usize) -> bool {
        self.capacity - self.used >= RECORD_HEAD && self.capacity - self.used - RECORD_HEAD >= payload
    }

    /// Keeps the bytes of an object that is about to be written.
    ///
    /// # Safety
    ///
    /// `object` is the object of the slot that `handle` names, and is mapped.
    #[inline(always)]
    pub(crate) unsafe fn keep<T>(&mut self, handle: Handle, object: NonNull<T>) -> Result<(), LogFull> {
        if !self.has_room(size_of::<T>()) {
            return Err(LogFull);
        }
        // SAFETY: the log has room for the head and the payload, and `used` is a multiple of 8.
        let at = unsafe { self.log.add(self.used) };
        // SAFETY: as above.
        let to = unsafe { at.add(RECORD_HEAD) };
        // SAFETY: as many bytes as a `T` has, inside the log; the object is mapped and lies
        // elsewhere.
        unsafe { std::ptr::copy_nonoverlapping(object.cast::<u8>().as_ptr(), to.as_ptr(), size_of::<T>()) };
        if !planted(Mutant::UndoKeepsNothing) {
            // SAFETY: `at` is the end of the log, which has room.
            unsafe { self.publish(at, UndoKind::Bytes, handle.to_bits(), size_of::<T>()) };
        }
        Ok(())
    }

    /// Writes a record without payload.
    #[inline(always)]
    pub(crate) fn note(&mut self, kind: UndoKind, operand: u64) -> Result<(), LogFull> {
        if !self.has_room(0) {
            return Err(LogFull);
        }
        self.frees |= kind == UndoKind::Free;
        // SAFETY: the log has room for the head, and `used` is a multiple of 8.
        let at = unsafe { self.log.add(self.used) };
        // SAFETY: `at` is the end of the log, which has room.
        unsafe { self.publish(at, kind, operand, 0) };
        Ok(())
    }

    /// Writes the head of a record whose payload is written, and counts the record.
    ///
    /// # Safety
    ///
    /// `at` is the end of the records, and the log has room for the head after it.
    #[inline(always)]
    unsafe fn publish(&mut self, at: NonNull<u8>, kind: UndoKind, operand: u64, payload: usize) {
        // SAFETY: as the caller says; the end of the records is a multiple of 8.
        unsafe { at.cast::<[u64; 2]>().write([kind.word(payload as u64), operand]) };
        self.used += RECORD_HEAD + payload.next_multiple_of(8);
        Commit::UndoRecord.store(&self.head.tail, self.used as u64);
    }

    /// Commits the transaction; returns true if frees are left to [`finish`](Self::finish).
    #[inline(always)]
    pub(crate) fn commit(&mut self) -> bool {
        if self.frees && planted(Mutant::CommitForgetsFrees) {
            Commit::TxCommits.store(&self.head.tail, 0);
            return true;
        }
        if self.frees {
            Commit::TxCommitsFrees.store(&self.head.tail, self.used as u64 | COMMITTED);
            return true;
        }
        self.clear(Commit::TxCommits);
        false
    }

    #[inline(always)]
    fn clear(&mut self, commit: Commit) {
        self.used = 0;
        self.frees = false;
        commit.store(&self.head.tail, 0);
    }

    /// Returns the bytes of the log that an owner has left, and whether that transaction is
    /// committed.
    fn left(&self) -> Result<Option<(usize, bool)>, Broken> {
        let tail = self.head.tail.load();
        let used = tail & !COMMITTED;
        if used > self.capacity as u64 || !used.is_multiple_of(8) {
            return Err(Broken::LogTooLong);
        }
        Ok((used != 0).then_some((used as usize, tail & COMMITTED != 0)))
    }

    /// Begins without a record, in a lane whose bytes had another meaning.
    pub(crate) fn empty(&self) {
        self.head.tail.fill(0);
        self.head.lanes.fill(0);
    }

    /// Copies the first record back to its object, and ends the transaction.
    ///
    /// # Safety
    ///
    /// [`keep`](Self::keep) has made that record of this object, which is borrowed by the caller alone.
    pub(crate) unsafe fn put_back<T>(&mut self, object: NonNull<T>) {
        if planted(Mutant::LaneClearsFirst) {
            Commit::RolledBack.store(&self.head.tail, 0);
        }
        edge();
        // SAFETY: `keep` found room for the head and the payload of the first record.
        let from = unsafe { self.log.add(RECORD_HEAD) };
        let to = object.cast::<u8>().as_ptr();
        // SAFETY: as many bytes as a `T` has, inside the log; the object lies elsewhere.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to, size_of::<T>()) };
        edge();
        self.clear(Commit::RolledBack);
    }

    /// Checks whether [`recover`](Self::recover) will succeed, without a change.
    pub(crate) fn check(&self, states: &mut dyn States) -> Result<(), Broken> {
        let Some((used, is_committed)) = self.left()? else { return Ok(()) };
        let mut records = Vec::new();
        self.records(used, &mut records)?;
        for record in records {
            if record.kind == UndoKind::Tag || is_committed && record.kind != UndoKind::Free {
                continue;
            }
            if record.kind == UndoKind::Position {
                self.position(record.operand)?;
                continue;
            }
            let (handle, state) = record.object(states)?;
            match record.kind {
                UndoKind::Bytes => drop(self.kept(state, handle, &record)?),
                _ => drop(state.slots.slot(handle.index()).ok_or(Broken::LogSlot)?),
            }
        }
        Ok(())
    }

    /// Rolls back or finishes the transaction that an owner has left; returns what it did, if
    /// anything.
    pub(crate) fn recover(
        &mut self,
        states: &mut dyn States,
        last_tag: &crate::word::Word,
    ) -> Result<Option<&'static str>, Broken> {
        let Some((used, is_committed)) = self.left()? else { return Ok(None) };
        self.used = used;
        if is_committed {
            self.finish(states)?;
            Ok(Some("a committed transaction was finished"))
        } else {
            self.rollback(states, last_tag)?;
            Ok(Some("a transaction was rolled back"))
        }
    }

    /// Does the frees of a committed transaction.
    pub(crate) fn finish(&mut self, states: &mut dyn States) -> Result<(), Broken> {
        let records = self.take_records()?;
        if planted(Mutant::FinishClearsFirst) {
            Commit::FreesDone.store(&self.head.tail, 0);
        }
        for record in records.iter().filter(|record| record.kind == UndoKind::Free) {
            let (handle, state) = record.object(states)?;
            state.release(handle);
        }
        self.found = records;
        self.clear(Commit::FreesDone);
        Ok(())
    }

    /// Undoes all changes of which the log has records.
    pub(crate) fn rollback(
        &mut self,
        states: &mut dyn States,
        last_tag: &crate::word::Word,
    ) -> Result<(), Broken> {
        let records = self.take_records()?;
        if planted(Mutant::RollbackForgetsLog) {
            Commit::RolledBack.store(&self.head.tail, 0);
        }
        for record in records.iter().rev() {
            match record.kind {
                UndoKind::Bytes => {
                    let (handle, state) = record.object(states)?;
                    self.restore(state, handle, record)?;
                }
                UndoKind::Alloc => {
                    let (handle, state) = record.object(states)?;
                    state.release(handle);
                }
                UndoKind::Free => _ = record.object(states)?,
                UndoKind::Tag => last_tag.store(record.operand),
                UndoKind::Position => {
                    let (position, next) = self.position(record.operand)?;
                    position.next.store(next);
                }
            }
        }
        self.found = records;
        self.clear(Commit::RolledBack);
        Ok(())
    }

    /// Returns the position that a record keeps, and its old value.
    fn position(&self, operand: u64) -> Result<(&PositionRec, u64), Broken> {
        let (number, next) = position_of(operand);
        Ok((self.positions.get(number).ok_or(Broken::LogReader)?, next))
    }

    /// Returns the position that a reader had before the transaction; `None` if the transaction has
    /// not changed it.
    pub(crate) fn position_before(&self, number: usize) -> Option<u64> {
        let mut at = 0;
        while at < self.used {
            let record = self.record(at, self.used).ok()?;
            match (record.kind, position_of(record.operand)) {
                (UndoKind::Position, (found, next)) if found == number => return Some(next),
                _ => at = record.end(),
            }
        }
        None
    }

    /// Keeps the position of a reader that is about to change.
    pub(crate) fn keep_position(&mut self, number: usize, next: u64) -> Result<(), LogFull> {
        self.note(UndoKind::Position, position_operand(number, next))
    }

    /// Returns the slot whose object a record keeps.
    fn kept(&self, state: &TypeState, handle: Handle, record: &Record) -> Result<Slot, Broken> {
        if record.bytes as u64 != state.slots.shape.size {
            return Err(Broken::LogSize);
        }
        state.slots.slot(handle.index()).ok_or(Broken::LogSlot)
    }

    /// Restores the old bytes of an object.
    fn restore(&self, state: &TypeState, handle: Handle, record: &Record) -> Result<(), Broken> {
        let shape = &state.slots.shape;
        let slot = self.kept(state, handle, record)?;
        if slot.header().load() != handle.to_bits() {
            return Ok(());
        }
        edge();
        // SAFETY: `records` found the payload below the capacity.
        let from = unsafe { self.log.add(record.payload) };
        // SAFETY: the object follows the head inside its slot.
        let to = unsafe { slot.start.add(shape.head) };
        // SAFETY: `size` bytes in the log and in the slot, see the top of this file.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to.as_ptr(), record.bytes) };
        edge();
        state.slots.lists.note(handle.index());
        Ok(())
    }

    /// Returns the records of the transaction, in the memory of earlier ones.
    fn take_records(&mut self) -> Result<Vec<Record>, Broken> {
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        self.records(self.used, &mut found).map(|()| found)
    }

    /// Appends the records in the first `used` bytes, from the first to the last.
    ///
    /// # Errors
    ///
    /// Fails if the records are inconsistent.
    fn records(&self, used: usize, found: &mut Vec<Record>) -> Result<(), Broken> {
        let mut at = 0;
        while at < used {
            let record = self.record(at, used)?;
            at = record.end();
            found.push(record);
        }
        if at == used { Ok(()) } else { Err(Broken::LogInvalid) }
    }

    /// Returns the record at `at`, a multiple of 8 below `used`.
    #[inline(always)]
    fn record(&self, at: usize, used: usize) -> Result<Record, Broken> {
        if used > self.capacity || used - at < RECORD_HEAD {
            return Err(Broken::LogInvalid);
        }
        // SAFETY: inside the log, at a multiple of 8.
        let head = unsafe { self.log.add(at) }.cast::<[u64; 2]>();
        // SAFETY: as above; any bytes are a valid value.
        let [word, operand] = unsafe { head.read() };
        let (kind, bytes) = UndoKind::parse(word).ok_or(Broken::LogInvalid)?;
        let payload = at + RECORD_HEAD;
        if bytes > (used - payload) as u64 {
            return Err(Broken::LogInvalid);
        }
        Ok(Record { kind, operand, payload, bytes: bytes as usize })
    }
}

impl<'a, T: PoolObject> TypedMut<'a, T> {
    /// Returns an object for writing, after its bytes are in the undo log.
    ///
    /// Returns `None` if the object does not exist, and an error if the log is full.
    #[inline(always)]
    pub(crate) fn into_kept(self, id: Id<T>, undo: &mut Undo) -> Option<Result<&'a mut T, LogFull>> {
        let mut object = self.object_of(id)?;
        // SAFETY: the object is that of the slot that the handle names.
        let kept = unsafe { undo.keep(id.handle(), object) };
        // SAFETY: mapped, aligned, a valid value; `self` is the only access while `'a` lasts.
        Some(kept.map(|()| unsafe { object.as_mut() }))
    }
}
