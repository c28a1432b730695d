//! Finding and reading the message with a number.

use super::area::Extent;
use super::error::RecvError;
use super::payload::Payload;
use super::record::Packed;
use super::ring::Ring;
use crate::layout::Broken;
use crate::region::OutOfBounds;
use crate::sync::slips::{Slip, planted};
use crate::word::read_before;

/// The metadata of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Number of the message in the queue, from 0, without gaps.
    pub id: u64,
    /// Number of messages that its writer had sent, this one included.
    pub clock: u64,
    /// When it was sent, in nanoseconds of the wall clock.
    pub time: u64,
    /// Number of its writer in the configuration.
    pub writer: u32,
    /// The message was given before, to an earlier process under this name or to another consumer of
    /// a work queue, which died before it requested the next one.
    pub redelivered: bool,
}

/// A received message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<V> {
    /// The metadata of the message.
    pub meta: Meta,
    /// The payload.
    pub value: V,
}

/// A message that lies in its entry.
#[derive(Clone, Copy)]
pub(super) struct Found {
    pub(super) word: Packed,
    pub(super) length: u64,
    /// Offset of its bytes in the segment.
    pub(super) at: u64,
    /// The chunk that its writer fills next.
    pub(super) replaces: u64,
    pub(super) meta: Meta,
}

/// The state of the message with a number.
pub(super) enum Look {
    /// It has not been sent yet.
    NotYet,
    There(Found),
    Overwritten(Gone),
}

/// Why a message that was sent is not there any more.
pub(super) enum Gone {
    /// Its entry has this word now.
    Entry(Packed),
    /// Its writer has reused its bytes in the payload area.
    Bytes,
}

pub(super) fn no_chunk(_: OutOfBounds) -> RecvError {
    Broken::PlaceChunk.into()
}

impl Ring {
    /// Returns the word of the entry of a message, and the lap in which the message lies there.
    #[inline(always)]
    pub(super) fn word_of(&self, number: u64) -> Result<(Packed, u64), RecvError> {
        let (place, lap) = self.order.place(number);
        Ok((Packed(self.place(place).ok_or(Broken::NoPlace)?.load()), lap))
    }

    /// Finds a message. `given` is above its number if it was given before.
    #[inline(always)]
    pub(super) fn look(&self, number: u64, given: u64) -> Result<Look, RecvError> {
        let (word, lap) = self.word_of(number)?;
        match word.number() {
            before if before < lap => return Ok(Look::NotYet),
            after if after > lap => return Ok(Look::Overwritten(Gone::Entry(word))),
            _ => {}
        }
        let at = self.bytes_at(word.chunk()).map_err(no_chunk)?;
        let head = self.head(word.chunk()).map_err(no_chunk)?;
        let meta = Meta {
            id: head.id.load(),
            clock: head.clock.load(),
            time: head.time.load(),
            writer: head.writer.load(),
            redelivered: number < given,
        };
        let (length, replaces) = (head.length.load().into(), head.replaces.load());
        let mut found = Found { word, length, at, replaces, meta };
        let payload = head.payload.load();
        // Checked before the numbers of the head are trusted.
        if let Some(gone) = self.replaced(number, &found)? {
            return Ok(Look::Overwritten(gone));
        }
        if meta.id != number {
            return Err(Broken::MessageNumber.into());
        }
        if found.length > self.shape.message_bytes {
            found.at = self.find_large(&found, payload)?;
        }
        Ok(Look::There(found))
    }

    /// Returns why the message is gone, after a part of it was read; `None` if it still lies in its
    /// entry with all its bytes.
    #[inline(always)]
    pub(super) fn replaced(&self, number: u64, found: &Found) -> Result<Option<Gone>, RecvError> {
        // No writer overtakes a reader there.
        if self.policy.is_lossless {
            return Ok(None);
        }
        read_before();
        let (now, _) = self.word_of(number)?;
        if now != found.word {
            return Ok(Some(Gone::Entry(now)));
        }
        if found.length > self.shape.message_bytes && self.is_void(number, found.meta.writer)? {
            return Ok(Some(Gone::Bytes));
        }
        Ok(None)
    }

    /// Returns whether a large message of this writer has lost its bytes.
    #[cold]
    pub(super) fn is_void(&self, number: u64, writer: u32) -> Result<bool, Broken> {
        let rec = self.writers.get(writer as usize).ok_or(Broken::MessageWriter)?;
        Ok(number < rec.void.load() && !planted(Slip::TrustBytes))
    }

    /// Returns the offset of the bytes of a message that is larger than a chunk.
    #[cold]
    fn find_large(&self, found: &Found, payload: u64) -> Result<u64, Broken> {
        if found.length > self.shape.most_bytes() {
            return Err(Broken::MessageNumber);
        }
        self.payload_at(found.meta.writer.into(), &Extent::new(payload, found.length))
    }

    /// Returns whether a message lies in its entry, is larger than a chunk, and has lost its bytes.
    pub(super) fn has_lost_bytes(&self, number: u64) -> bool {
        matches!(self.look(number, 0), Ok(Look::Overwritten(Gone::Bytes)))
    }

    /// Returns whether a message that lies in its entry is larger than a chunk.
    pub(super) fn is_large(&self, number: u64) -> bool {
        let found = self.look(number, 0);
        matches!(found, Ok(Look::There(found)) if found.length > self.shape.message_bytes)
    }

    /// Copies the payload of a message. Only if the message still lies in its entry after that, the
    /// copy is whole; `None` if no value has its length.
    #[inline(always)]
    pub(super) fn copy<T: Payload + ?Sized>(&self, found: &Found) -> Result<Option<T::Owned>, RecvError> {
        let span = self.span(found.at);
        let mut copied = Ok(());
        let value = T::received(found.length as usize, |bytes| copied = span.read(bytes));
        copied.map_err(no_chunk)?;
        Ok(value)
    }
}
