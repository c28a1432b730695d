//! The messages from a process to its parent, sent through standard output.

use anyhow::{Result, bail};
use bytemuck::{Pod, Zeroable};
use std::io::{ErrorKind, Read, Write};

/// One object, as the process finds it after its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) handle: u64,
    /// The user key, if the type is keyed.
    pub(crate) key: Option<u64>,
    pub(crate) serial: u64,
    /// Whether the checksum matches the fields.
    pub(crate) whole: bool,
    /// Whether the handle and the user key lead to the object.
    pub(crate) reached: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// The pool is open. `cut` is true if the kill interrupted a transaction.
    Open { hot: bool, nanos: u64, cut: bool },
    /// The resume report names this object as being written.
    Named(u64),
    /// The process serves since this time of the wall clock.
    Ready { wall_nanos: u64 },
    /// One object.
    Row(Row),
    /// The last object was sent; traffic begins.
    Listed,
}

#[repr(C)]
#[derive(Clone, Copy, Default, Pod, Zeroable)]
struct Packet {
    kind: u64,
    words: [u64; 4],
}

const KEYED: u64 = 1;
const WHOLE: u64 = 2;
const REACHED: u64 = 4;

impl Message {
    pub(crate) fn send(self, to: &mut impl Write) -> std::io::Result<()> {
        let (kind, words) = match self {
            Message::Open { hot, nanos, cut } => (1, [hot.into(), nanos, cut.into(), 0]),
            Message::Named(handle) => (2, [handle, 0, 0, 0]),
            Message::Ready { wall_nanos } => (3, [wall_nanos, 0, 0, 0]),
            Message::Row(row) => {
                let flag = |is: bool, bit: u64| if is { bit } else { 0 };
                let flags =
                    flag(row.key.is_some(), KEYED) | flag(row.whole, WHOLE) | flag(row.reached, REACHED);
                (4, [row.handle, row.key.unwrap_or(0), row.serial, flags])
            }
            Message::Listed => (5, [0; 4]),
        };
        to.write_all(bytemuck::bytes_of(&Packet { kind, words }))
    }

    /// Returns the next message, or `None` once the process is gone.
    pub(crate) fn receive(from: &mut impl Read) -> Result<Option<Self>> {
        let mut packet = Packet::default();
        match from.read_exact(bytemuck::bytes_of_mut(&mut packet)) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            done => done?,
        }
        let [a, b, c, d] = packet.words;
        Ok(Some(match packet.kind {
            1 => Message::Open { hot: a != 0, nanos: b, cut: c != 0 },
            2 => Message::Named(a),
            3 => Message::Ready { wall_nanos: a },
            4 => Message::Row(Row {
                handle: a,
                key: (d & KEYED != 0).then_some(b),
                serial: c,
                whole: d & WHOLE != 0,
                reached: d & REACHED != 0,
            }),
            5 => Message::Listed,
            kind => bail!("a process sent a message of kind {kind}"),
        }))
    }
}
