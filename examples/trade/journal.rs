//! The messages, in a file, beginning with message 1. The parent appends and the child reads.

use bytemuck::{Pod, Zeroable};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// The player who has the item sells it to the other player for this price.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub(crate) struct Message {
    pub(crate) number: u32,
    pub(crate) price: u32,
}

/// Returns the messages after message `last`.
pub(crate) fn read_behind(path: &Path, last: u64) -> io::Result<impl Iterator<Item = Message>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(last * size_of::<Message>() as u64))?;
    let mut file = BufReader::new(file);
    Ok(std::iter::from_fn(move || {
        let mut message = Message::zeroed();
        file.read_exact(bytemuck::bytes_of_mut(&mut message)).ok()?;
        Some(message)
    }))
}

/// The writing end, which keeps the messages that may not have been carried out.
pub(crate) struct Journal {
    file: File,
    written: u32,
    pending: VecDeque<Message>,
}

impl Journal {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        Ok(Journal { file: File::create_new(path)?, written: 0, pending: VecDeque::new() })
    }

    /// Appends messages until this many are pending.
    pub(crate) fn fill(&mut self, pending: usize, dice: &mut fastrand::Rng) -> io::Result<()> {
        let mut bytes = Vec::new();
        while self.pending.len() < pending {
            self.written += 1;
            let message = Message { number: self.written, price: dice.u32(1..=100) };
            bytes.extend_from_slice(bytemuck::bytes_of(&message));
            self.pending.push_back(message);
        }
        self.file.write_all(&bytes)
    }

    /// Removes the oldest pending message.
    pub(crate) fn next(&mut self) -> io::Result<Message> {
        self.pending
            .pop_front()
            .ok_or_else(|| io::Error::new(ErrorKind::UnexpectedEof, "no message is pending"))
    }
}
