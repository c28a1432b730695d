//! Finding and reading the message with a number.

use super::error::RecvError;
use super::payload::Payload;
use super::record::Packed;
use super::ring::Ring;
use crate::layout::Broken;
use crate::region::OutOfBounds;
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
    pub(super) meta: Meta,
}

/// The state of the message with a number.
pub(super) enum Look {
    /// It has not been sent yet.
    NotYet,
    There(Found),
    /// Its entry has this word now.
    Overwritten(Packed),
}

pub(super) fn no_chunk(_: OutOfBounds) -> RecvError {
    Broken::PlaceChunk.into()
}

impl Ring {
    /// Returns the word of the entry of a message, and the lap in which the message lies there.
    #[inline(always)]
    pub(super) fn word_of(&self, number: u64) -> Result<(Packed, u64), RecvError> {
        let (place, lap) = self.shape.place(number);
        Ok((Packed(self.place(place).ok_or(Broken::NoPlace)?.load()), lap))
    }

    /// Finds a message. `given` is above its number if it was given before.
    #[inline(always)]
    pub(super) fn look(&self, number: u64, given: u64) -> Result<Look, RecvError> {
        let (word, lap) = self.word_of(number)?;
        match word.number() {
            before if before < lap => return Ok(Look::NotYet),
            after if after > lap => return Ok(Look::Overwritten(word)),
            _ => {}
        }
        let head = self.head(word.chunk()).map_err(no_chunk)?;
        let meta = Meta {
            id: head.id.load(),
            clock: head.clock.load(),
            time: head.time.load(),
            writer: head.writer.load(),
            redelivered: number < given,
        };
        let found = Found { word, length: head.length.load().into(), meta };
        // Checked before the numbers of the head are trusted.
        if let Some(now) = self.replaced(number, &found)? {
            return Ok(Look::Overwritten(now));
        }
        if meta.id != number || found.length > self.shape.message_bytes {
            return Err(Broken::MessageNumber.into());
        }
        Ok(Look::There(found))
    }

    /// Returns the word that replaced that of the message, after a part of it was read; `None` if
    /// the message still lies in its entry.
    #[inline(always)]
    pub(super) fn replaced(&self, number: u64, found: &Found) -> Result<Option<Packed>, RecvError> {
        // No writer overtakes a reader there.
        if self.policy.is_lossless() {
            return Ok(None);
        }
        read_before();
        let (now, _) = self.word_of(number)?;
        Ok((now != found.word).then_some(now))
    }

    /// Copies the payload of a message. Only if the message still lies in its entry after that, the
    /// copy is whole; `None` if no value has its length.
    #[inline(always)]
    pub(super) fn copy<T: Payload + ?Sized>(&self, found: &Found) -> Result<Option<T::Owned>, RecvError> {
        let span = self.span(found.word.chunk()).map_err(no_chunk)?;
        let mut copied = Ok(());
        let value = T::received(found.length as usize, |bytes| copied = span.read(bytes));
        copied.map_err(no_chunk)?;
        Ok(value)
    }
}
