//! The records of an open queue, which senders and receivers share.

use super::area::Extent;
use super::payload::{Payload, Span, fetch_to_read, fetch_to_write};
use super::record::{ChunkHead, Control, NONE, Packed, Places, ReaderRec, Shape, WriterRec};
use crate::conf::{OnDead, OnSlow, QueueConf, QueueKind};
use crate::layout::Broken;
use crate::limits;
use crate::region::{At, OutOfBounds, Region, Table};
use crate::sync::{self, ForAll, Kind, OpenError, Role, Site, Spec};
use crate::units::Bytes;
use crate::word::{Shared, read_before};
use std::io;
use std::time::Duration;

/// The records of a queue.
pub(super) struct Ring {
    pub(super) control: ForAll<At<Control>>,
    pub(super) writers: ForAll<Table<WriterRec>>,
    pub(super) readers: ForAll<Table<ReaderRec>>,
    places: ForAll<Table<Shared>>,
    claims: ForAll<Table<Shared>>,
    /// Offset of the first chunk in the segment.
    chunks_at: u64,
    /// Offset of the first payload area in the segment.
    payload_at: u64,
    /// Number of chunks, and the bytes of each.
    chunks: u64,
    stride: u64,
    /// Where messages lie among the entries.
    pub(super) order: Places,
    pub(super) shape: Shape,
    pub(super) policy: Policy,
    /// Dropped last: it keeps the memory mapped.
    pub(super) site: Site,
}

/// The treatment of readers that do not keep up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policy {
    pub(super) gates: bool,
    /// Each message goes to one reader, and writers wait until that one has finished it.
    pub(super) is_work: bool,
    /// No writer ever overwrites a message that a reader may still read, not even a reader that was
    /// dead for a while.
    pub(super) is_lossless: bool,
    pub(super) on_dead: OnDead,
    pub(super) on_slow: OnSlow,
}

impl Policy {
    fn of(conf: &QueueConf) -> Self {
        let (gates, is_work) = (conf.kind == QueueKind::Channel, conf.kind == QueueKind::Work);
        let waits = gates && conf.on_slow == OnSlow::Block && conf.on_dead == OnDead::Hold;
        let (on_dead, on_slow) = (conf.on_dead, conf.on_slow);
        Policy { gates, is_work, is_lossless: waits || is_work, on_dead, on_slow }
    }

    /// Returns the policy in the form of the segment head.
    fn number(&self) -> u64 {
        let dead = match self.on_dead {
            OnDead::Hold => 0,
            OnDead::Evict => 1,
            OnDead::HoldFor(time) => 2 | (time.as_millis() as u64) << 8,
        };
        let slow = OnSlow::ALL.iter().position(|policy| *policy == self.on_slow).unwrap_or(0) as u64;
        if self.gates { dead | slow << 4 } else { 0 }
    }
}

fn shape(conf: &QueueConf) -> Shape {
    Shape {
        capacity: conf.capacity.into(),
        writers: conf.writers.len() as u64,
        readers: conf.readers.len() as u64,
        message_bytes: conf.message_bytes.0,
        has_claims: conf.kind == QueueKind::Work,
        payload_bytes: conf.payload_bytes.0,
    }
}

fn check<T: Payload + ?Sized>(conf: &QueueConf) -> Result<Shape, OpenError> {
    let key = conf.key;
    let range = |what, found: u64, min: u64, max: u64| match (min..=max).contains(&found) {
        true => Ok(()),
        false => Err(OpenError::OutOfRange { key, what, found, min, max }),
    };
    let (writers, readers) = (conf.writers.len() as u64, conf.readers.len() as u64);
    range("the number of writers", writers, 1, limits::MAX_MEMBERS as u64)?;
    range("the number of readers", readers, 1, limits::MAX_MEMBERS as u64)?;
    range("Capacity", conf.capacity.into(), 1, limits::MAX_CHUNKS - writers)?;
    let (message, payload) = (conf.message_bytes.0, conf.payload_bytes.0);
    let (least, most) = (T::most_bytes().unwrap_or(1).max(1), limits::MAX_BLOCK_BYTES);
    match payload {
        0 => range("MessageSize", message, least, limits::MAX_MESSAGE_BYTES)?,
        _ if conf.kind == QueueKind::Latest => range("PayloadBytes of Kind = latest", payload, 0, 0)?,
        _ => {
            range("MessageSize", message, 1, limits::MAX_MESSAGE_BYTES)?;
            range("PayloadBytes", payload, least.max(message.saturating_add(1)), most)?;
        }
    }
    Ok(shape(conf))
}

fn spec<'a, T: Payload + ?Sized>(conf: &'a QueueConf, shape: &Shape) -> Spec<'a> {
    let writers = conf.writers.iter().map(|name| (name.as_str(), Role::Writer));
    let readers = conf.readers.iter().map(|name| (name.as_str(), Role::Reader));
    Spec {
        key: conf.key,
        mode: conf.mode,
        wait: Duration::from_millis(conf.wait_ms.min(limits::MAX_OWNER_WAIT_MS)),
        kind: match conf.kind {
            QueueKind::Broadcast => Kind::Broadcast,
            QueueKind::Channel => Kind::Channel,
            QueueKind::Latest => Kind::Latest,
            QueueKind::Work => Kind::Work,
        },
        members: writers.chain(readers).collect(),
        fingerprint: T::FINGERPRINT,
        fields: T::FIELDS,
        schema: T::schema(),
        value_bytes: conf.message_bytes.0,
        capacity: conf.capacity.into(),
        policy: Policy::of(conf).number(),
        payload_bytes: conf.payload_bytes.0,
        body_bytes: shape.bytes(),
    }
}

/// Returns the size of the segment of a queue whose messages are bytes. The schema of a type adds its
/// length.
#[doc(hidden)]
pub fn segment_bytes(conf: &QueueConf) -> Bytes {
    Bytes(spec::<[u8]>(conf, &shape(conf)).bytes())
}

/// Returns why a process with this configuration could not open the queue, apart from the type of its
/// messages; `None` if it could, or if there is no queue.
///
/// # Errors
///
/// A system call failed.
#[doc(hidden)]
pub fn disagreement(conf: &QueueConf) -> io::Result<Option<OpenError>> {
    sync::disagreement(spec::<[u8]>(conf, &shape(conf)))
}

impl Ring {
    /// Opens a queue as a writer or a reader, and creates it if it does not exist.
    pub(super) fn open<T: Payload + ?Sized>(
        conf: &QueueConf,
        me: &str,
        role: Role,
    ) -> Result<Ring, OpenError> {
        let shape = check::<T>(conf)?;
        let fill = |region: &Region, body: u64| fill(region, body, &shape);
        let site = Site::open(&spec::<T>(conf, &shape), me, role, &fill)?;
        Ok(Ring {
            control: site.at(0)?,
            writers: site.table(shape.writers_at(), shape.writers)?,
            readers: site.table(shape.readers_at(), shape.readers)?,
            places: site.table(shape.places_at(), shape.capacity)?,
            claims: site.table(shape.claims_at(), shape.claims())?,
            chunks_at: site.body + shape.chunks_at(),
            payload_at: site.body + shape.payload_at(),
            chunks: shape.chunks(),
            stride: shape.stride(),
            order: Places::of(shape.capacity),
            shape,
            policy: Policy::of(conf),
            site,
        })
    }

    /// Returns whether the queue has a single writer.
    #[inline(always)]
    pub(super) fn has_one_writer(&self) -> bool {
        self.shape.writers == 1
    }

    /// Opens a queue of one of these kinds as a reader, and creates it if it does not exist.
    pub(super) fn open_reader<T: Payload + ?Sized>(
        conf: &QueueConf,
        me: &str,
        kinds: &[QueueKind],
    ) -> Result<Ring, OpenError> {
        if !kinds.contains(&conf.kind) {
            let reader = match conf.kind {
                QueueKind::Broadcast | QueueKind::Channel => "queue::Receiver",
                QueueKind::Latest => "queue::Latest",
                QueueKind::Work => "queue::WorkQueue",
            };
            return Err(OpenError::Reader { key: conf.key, kind: conf.kind.name(), reader });
        }
        Self::open::<T>(conf, me, Role::Reader)
    }

    /// Returns the number of this process among the readers.
    pub(super) fn reader(&self) -> usize {
        self.site.me.saturating_sub(self.shape.writers as usize)
    }

    /// Returns the words of all entries.
    pub(super) fn places(&self) -> ForAll<Table<Shared>> {
        self.places
    }

    /// Returns the claim of an entry of a work queue.
    #[inline(always)]
    pub(super) fn claim(&self, place: usize) -> Option<&Shared> {
        self.claims.get(place)
    }

    /// Returns the word of an entry.
    #[inline(always)]
    pub(super) fn place(&self, place: usize) -> Option<&Shared> {
        self.places.get(place)
    }

    /// Returns the head of a chunk.
    #[inline(always)]
    pub(super) fn head(&self, chunk: u64) -> Result<At<ChunkHead>, OutOfBounds> {
        self.region().at(self.chunk_at(chunk)?)
    }

    /// Returns the bytes from an offset of the segment on, where a message lies.
    #[inline(always)]
    pub(super) fn span(&self, at: u64) -> Span {
        Span::new(self.region(), at, self.policy.is_lossless)
    }

    /// Returns the offset of the bytes of a chunk.
    #[inline(always)]
    pub(super) fn bytes_at(&self, chunk: u64) -> Result<u64, OutOfBounds> {
        Ok(self.chunk_at(chunk)? + size_of::<ChunkHead>() as u64)
    }

    /// Returns the offset of bytes in the payload area of a writer.
    pub(super) fn payload_at(&self, writer: u64, extent: &Extent) -> Result<u64, Broken> {
        let fits = extent.end().is_some_and(|end| end <= self.shape.area_bytes());
        if !fits || writer >= self.shape.writers || !extent.at.is_multiple_of(limits::LINE) {
            return Err(Broken::PayloadOutside);
        }
        Ok(self.payload_at + writer * self.shape.area_bytes() + extent.at)
    }

    /// Fetches a private chunk and its head into the cache, for a message of `length` bytes.
    #[inline(always)]
    pub(super) fn fetch_to_write(&self, chunk: u64, length: u64) {
        if let Ok(at) = self.chunk_at(chunk) {
            let length = length.min(self.shape.message_bytes);
            fetch_to_write(&self.site.region, at, size_of::<ChunkHead>() as u64 + length);
        }
    }

    /// Fetches the first lines of a chunk into the cache of a reader that waits for its message.
    #[inline(always)]
    pub(super) fn fetch_to_read(&self, chunk: u64) {
        if let Ok(at) = self.chunk_at(chunk) {
            fetch_to_read(&self.site.region, at);
        }
    }

    #[inline(always)]
    fn chunk_at(&self, chunk: u64) -> Result<u64, OutOfBounds> {
        if chunk >= self.chunks {
            return Err(OutOfBounds);
        }
        Ok(self.chunks_at + chunk * self.stride)
    }

    fn region(&self) -> Region {
        *self.site.region
    }

    /// Finishes message `number` for its writer, if the writer has not finished it after it was
    /// published. `found` is the word of the message's entry. If the entry has another word now,
    /// another process has finished the message.
    #[inline]
    pub(super) fn finish(&self, number: u64, found: Packed, me: usize) -> Result<(), Broken> {
        let head = self.head(found.chunk()).map_err(|OutOfBounds| Broken::PlaceChunk)?;
        let (writer, clock, replaces) = (head.writer.load(), head.clock.load(), head.replaces.load());
        if writer as usize == me {
            return Ok(());
        }
        read_before();
        let (place, _) = self.order.place(number);
        if self.place(place).is_none_or(|word| word.load() != found.0) {
            return Ok(());
        }
        self.finish_as(writer as usize, Packed::new(number, found.chunk()), clock, replaces)
    }

    /// Finishes the published message that the word `work` names.
    pub(super) fn finish_as(
        &self,
        writer: usize,
        work: Packed,
        clock: u64,
        replaces: u64,
    ) -> Result<(), Broken> {
        let Some(rec) = self.writers.get(writer) else {
            return Err(Broken::MessageWriter);
        };
        if replaces >= self.shape.chunks() {
            return Err(Broken::MessageChunk);
        }
        if rec.work.load() != work.0 {
            return Ok(());
        }
        let mut before = rec.clock.load();
        while before < clock {
            match rec.clock.replace(before, clock) {
                Ok(()) => break,
                Err(now) => before = now,
            }
        }
        // It fails if another process was faster, and that one did the same.
        let _ = rec.work.replace(work.0, Packed::new(NONE, replaces).0);
        Ok(())
    }
}

/// Fills a new queue: one chunk for each entry, in a lap without messages, and one for each writer.
fn fill(region: &Region, body: u64, shape: &Shape) -> Result<(), OutOfBounds> {
    let places: Table<Shared> = region.table(body + shape.places_at(), shape.capacity)?;
    for place in 0..places.len() {
        if let Some(word) = places.get(place) {
            word.store(Packed::new(0, place as u64).0);
        }
    }
    let writers: Table<WriterRec> = region.table(body + shape.writers_at(), shape.writers)?;
    for writer in 0..writers.len() {
        if let Some(rec) = writers.get(writer) {
            rec.work.store(Packed::new(NONE, shape.capacity + writer as u64).0);
        }
    }
    Ok(())
}
