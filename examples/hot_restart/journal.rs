//! Records the operations of a process in a file that survives its death.
//!
//! A process writes one record before each operation. The record holds the outcome of the previous
//! operation and announces the next one. Once `write` has returned, the record is in the page
//! cache, whatever happens to the process. So at the moment of a kill every operation except the
//! last announced one is acknowledged. The last one may or may not have happened.

use crate::letters::Got;
use bytemuck::{Pod, Zeroable};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// An operation, either acknowledged or announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// Creates an object of a type. If the type is keyed, `key` is its user key.
    Make { type_id: u16, key: Option<u64>, serial: u64 },
    /// Writes all fields of an object.
    Write { handle: u64, serial: u64 },
    /// Frees an object.
    Free { handle: u64 },
    /// Sends a letter, if the queue has room.
    Send { queue: u8, clock: u64 },
    /// Has received a letter.
    Receive(Got),
}

#[repr(C)]
#[derive(Clone, Copy, Default, Pod, Zeroable)]
struct Record {
    /// What the previous operation returned.
    outcome: u64,
    kind: u64,
    /// A handle, a type number, or a queue.
    what: u64,
    key: u64,
    serial: u64,
}

const NONE: u64 = 0;
const MAKE: u64 = 1;
const MAKE_KEYED: u64 = 2;
const WRITE: u64 = 3;
const FREE: u64 = 4;
const SEND: u64 = 5;
const RECEIVE: u64 = 6;
/// Bits of `what` beside the queue.
const WRITER_SHIFT: u32 = 8;
const AGAIN: u64 = 1 << 16;
const WHOLE: u64 = 1 << 17;

impl Record {
    fn new(outcome: u64, op: Option<Op>) -> Self {
        let record = Record { outcome, ..Record::default() };
        match op {
            None => Record { kind: NONE, ..record },
            Some(Op::Make { type_id, key: None, serial }) => {
                Record { kind: MAKE, what: type_id.into(), serial, ..record }
            }
            Some(Op::Make { type_id, key: Some(key), serial }) => {
                Record { kind: MAKE_KEYED, what: type_id.into(), key, serial, ..record }
            }
            Some(Op::Write { handle, serial }) => Record { kind: WRITE, what: handle, serial, ..record },
            Some(Op::Free { handle }) => Record { kind: FREE, what: handle, ..record },
            Some(Op::Send { queue, clock }) => {
                Record { kind: SEND, what: queue.into(), serial: clock, ..record }
            }
            Some(Op::Receive(Got { queue, writer, id, clock, again, whole })) => {
                let flag = |is: bool, bit: u64| if is { bit } else { 0 };
                let what = u64::from(queue) | u64::from(writer) << WRITER_SHIFT;
                let what = what | flag(again, AGAIN) | flag(whole, WHOLE);
                Record { kind: RECEIVE, what, key: id, serial: clock, ..record }
            }
        }
    }

    fn op(&self) -> Option<Op> {
        let Record { kind, what, key, serial, .. } = *self;
        match kind {
            MAKE => Some(Op::Make { type_id: what as u16, key: None, serial }),
            MAKE_KEYED => Some(Op::Make { type_id: what as u16, key: Some(key), serial }),
            WRITE => Some(Op::Write { handle: what, serial }),
            FREE => Some(Op::Free { handle: what }),
            SEND => Some(Op::Send { queue: what as u8, clock: serial }),
            RECEIVE => Some(Op::Receive(Got {
                queue: what as u8,
                writer: (what >> WRITER_SHIFT) as u8,
                id: key,
                clock: serial,
                again: what & AGAIN != 0,
                whole: what & WHOLE != 0,
            })),
            _ => None,
        }
    }
}

/// The writing end of a journal.
pub(crate) struct Journal {
    file: File,
    outcome: u64,
}

impl Journal {
    pub(crate) fn append(path: &Path) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Journal { file, outcome: 0 })
    }

    /// Acknowledges the previous operation and announces the next one.
    pub(crate) fn announce(&mut self, op: Op) -> io::Result<()> {
        self.file.write_all(bytemuck::bytes_of(&Record::new(self.outcome, Some(op))))
    }

    /// Notes that the announced operation is done. The next record acknowledges it.
    pub(crate) fn done(&mut self, outcome: u64) {
        self.outcome = outcome;
    }

    /// Acknowledges the last operation.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.file.write_all(bytemuck::bytes_of(&Record::new(self.outcome, None)))
    }
}

/// The content of a journal: the acknowledged operations with their outcomes, and the operation
/// that was only announced.
pub(crate) struct Said {
    pub(crate) acknowledged: Vec<(Op, u64)>,
    pub(crate) in_flight: Option<Op>,
}

/// Reads the journal of a dead process. An incomplete record at the end does not count as written.
pub(crate) fn read(path: &Path) -> io::Result<Said> {
    let bytes = match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        bytes => bytes?,
    };
    let mut said = Said { acknowledged: Vec::new(), in_flight: None };
    for bytes in bytes.chunks_exact(size_of::<Record>()) {
        let record: Record = bytemuck::pod_read_unaligned(bytes);
        said.acknowledged.extend(said.in_flight.take().map(|op| (op, record.outcome)));
        said.in_flight = record.op();
    }
    Ok(said)
}
