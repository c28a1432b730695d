//! What a process says of its operations, in a place that its death does not touch.
//!
//! One record an operation, written before it: how the operation before has ended, and what the
//! next one is to be. A `write` that has returned is in the page cache, whatever becomes of the
//! process; so at any moment of a kill all operations but the last one announced are
//! acknowledged, and that one may have happened or not.

use bytemuck::{Pod, Zeroable};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// An operation, acknowledged or about to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// Makes an object of a type, found by `key` if the type has keys.
    Make { type_id: u16, key: Option<u64>, serial: u64 },
    /// Writes all fields of an object.
    Write { handle: u64, serial: u64 },
    /// Frees an object.
    Free { handle: u64 },
}

#[repr(C)]
#[derive(Clone, Copy, Default, Pod, Zeroable)]
struct Record {
    /// What the operation before gave back.
    outcome: u64,
    kind: u64,
    /// A handle, or the number of a type.
    what: u64,
    key: u64,
    serial: u64,
}

const NONE: u64 = 0;
const MAKE: u64 = 1;
const MAKE_KEYED: u64 = 2;
const WRITE: u64 = 3;
const FREE: u64 = 4;

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
        }
    }

    fn op(&self) -> Option<Op> {
        let Record { kind, what, key, serial, .. } = *self;
        match kind {
            MAKE => Some(Op::Make { type_id: what as u16, key: None, serial }),
            MAKE_KEYED => Some(Op::Make { type_id: what as u16, key: Some(key), serial }),
            WRITE => Some(Op::Write { handle: what, serial }),
            FREE => Some(Op::Free { handle: what }),
            _ => None,
        }
    }
}

/// The writing end.
pub(crate) struct Journal {
    file: File,
    outcome: u64,
}

impl Journal {
    pub(crate) fn append(path: &Path) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Journal { file, outcome: 0 })
    }

    /// Acknowledges the operation before and announces this one, which is to be done next.
    pub(crate) fn announce(&mut self, op: Op) -> io::Result<()> {
        self.file.write_all(bytemuck::bytes_of(&Record::new(self.outcome, Some(op))))
    }

    /// The operation that was announced is done. The next record says so.
    pub(crate) fn done(&mut self, outcome: u64) {
        self.outcome = outcome;
    }

    /// Acknowledges the last operation.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.file.write_all(bytemuck::bytes_of(&Record::new(self.outcome, None)))
    }
}

/// What a journal says: the operations acknowledged with their outcomes, and the one that is not.
pub(crate) struct Said {
    pub(crate) acknowledged: Vec<(Op, u64)>,
    pub(crate) in_flight: Option<Op>,
}

/// Reads the journal of a process that is dead. A record cut short was never written.
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
