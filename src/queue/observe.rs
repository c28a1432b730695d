//! Reading the state of a queue without an effect on its members: no seat, no store, a read-only
//! mapping.

use super::area::Extent;
use super::record::{ChunkHead, ClaimState, Control, EVICTED, NONE, Packed, ReaderRec, Shape, WriterRec};
use crate::layout::text;
use crate::limits;
use crate::region::{At, OutOfBounds, Region, Table};
use crate::share::{Access, Home, Process};
use crate::sync::{Head, Kind, MemberRec, READY, Role, Seats};
use crate::units::{Bytes, Key};
use crate::word::Shared;
use std::io;

/// The state of a queue, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueFacts {
    /// Key of the queue.
    pub key: Key,
    /// `broadcast`, `channel`, `latest` or `work`.
    pub kind: &'static str,
    /// Size of the segment.
    pub bytes: Bytes,
    /// Number of messages that the queue has room for.
    pub capacity: u64,
    /// Size of the largest message that takes no bytes of `payload_bytes`.
    pub message_bytes: Bytes,
    /// Bytes of each writer for larger messages; 0 if the queue has none.
    pub payload_bytes: Bytes,
    /// Number of messages that were ever sent.
    pub sent: u64,
    /// Number of messages of a work queue that no consumer has finished; `None` for the other kinds.
    pub unfinished: Option<u64>,
    /// When the queue was created, in nanoseconds of the wall clock.
    pub created: u64,
    /// When the last message was sent, in nanoseconds of the wall clock; `None` if the queue has
    /// none.
    pub last_sent: Option<u64>,
    /// The writers.
    pub writers: Vec<WriterFacts>,
    /// The readers.
    pub readers: Vec<ReaderFacts>,
    /// Broken rules of the bytes, one line each.
    pub damage: Vec<String>,
}

/// The state of a writer of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriterFacts {
    /// Name of the writer.
    pub name: String,
    /// The process that has the name; `None` if no process has it.
    pub process: Option<Process>,
    /// Number of messages sent under the name.
    pub sent: u64,
    /// Bytes of its payload area that messages have which readers may need.
    pub payload_used: Bytes,
}

/// The state of a reader of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReaderFacts {
    /// Name of the reader.
    pub name: String,
    /// The process that has the name; `None` if no process has it.
    pub process: Option<Process>,
    /// Number of sent messages that the reader has not finished yet; of a consumer of a work queue,
    /// those that it has taken.
    pub lag: u64,
    /// The reader is evicted: writers do not wait for it.
    pub evicted: bool,
}

/// Returns the state of the queue under a key; `None` if no queue is there. Attaches for reading
/// only, and takes no seat.
///
/// # Errors
///
/// A system call failed.
pub fn observe(key: Key) -> io::Result<Option<QueueFacts>> {
    let backend = Home::sysv().open();
    let Some(found) = backend.stat(key)?.filter(|facts| !facts.removed) else { return Ok(None) };
    let segment = backend.attach(key, &found, Access::Read)?;
    let region = segment.region();
    let Ok(head) = region.at::<Head>(0) else { return Ok(None) };
    if head.magic.load() != READY {
        return Ok(None);
    }
    let kinds = [Kind::Broadcast, Kind::Channel, Kind::Latest, Kind::Work];
    let kind = kinds.into_iter().find(|kind| *kind as u32 == head.kind.load());
    let Some(kind) = kind else { return Ok(None) };
    let seats = Seats::find(key)?;
    let look = || look(key, kind, &head, &region, seats);
    Ok(Some(look().unwrap_or_else(|OutOfBounds| QueueFacts {
        damage: vec!["its head does not fit its size".into()],
        ..blank(key, kind, &head)
    })))
}

fn blank(key: Key, kind: Kind, head: &Head) -> QueueFacts {
    QueueFacts {
        key,
        kind: kind.name(),
        bytes: Bytes(head.bytes.load()),
        capacity: head.capacity.load(),
        message_bytes: Bytes(head.value_bytes.load()),
        payload_bytes: Bytes(head.payload_bytes.load()),
        sent: 0,
        unfinished: None,
        created: head.created.load(),
        last_sent: None,
        writers: Vec::new(),
        readers: Vec::new(),
        damage: Vec::new(),
    }
}

/// A message that is larger than a chunk.
struct Large {
    writer: usize,
    number: u64,
    extent: Extent,
}

/// The records of a queue that another process has created.
struct Records {
    shape: Shape,
    members: Table<MemberRec>,
    control: At<Control>,
    writers: Table<WriterRec>,
    readers: Table<ReaderRec>,
    places: Table<Shared>,
    claims: Table<Shared>,
    /// Offset of the first chunk.
    chunks_at: u64,
}

impl Records {
    fn find(head: &Head, region: &Region) -> Result<Records, OutOfBounds> {
        let members: Table<MemberRec> = region.table(size_of::<Head>() as u64, head.members.load().into())?;
        let count = |role: Role| {
            let members = (0..members.len()).filter_map(|n| members.get(n));
            members.filter(|member| member.role.load() == role as u32).count() as u64
        };
        let shape = Shape {
            capacity: head.capacity.load(),
            writers: count(Role::Writer),
            readers: count(Role::Reader),
            message_bytes: head.value_bytes.load(),
            has_claims: head.kind.load() == Kind::Work as u32,
            payload_bytes: head.payload_bytes.load(),
        };
        let schema = head.schema_bytes.load();
        let fits = (1..=limits::MAX_CHUNKS).contains(&shape.capacity)
            && shape.message_bytes <= limits::MAX_MESSAGE_BYTES
            && shape.payload_bytes <= limits::MAX_BLOCK_BYTES
            && schema <= limits::MAX_SCHEMA_BYTES
            && members.len() <= 2 * limits::MAX_MEMBERS
            && head.check.load() == head.sum();
        if !fits {
            return Err(OutOfBounds);
        }
        let table = (members.len() * size_of::<MemberRec>()) as u64;
        let body = (size_of::<Head>() as u64 + table + schema).next_multiple_of(limits::LINE);
        let chunks_at = body + shape.chunks_at();
        region.span(body, shape.bytes())?;
        Ok(Records {
            shape,
            members,
            control: region.at(body)?,
            writers: region.table(body + shape.writers_at(), shape.writers)?,
            readers: region.table(body + shape.readers_at(), shape.readers)?,
            places: region.table(body + shape.places_at(), shape.capacity)?,
            claims: region.table(body + shape.claims_at(), shape.claims())?,
            chunks_at,
        })
    }

    fn chunk(&self, region: &Region, chunk: u64) -> Result<At<ChunkHead>, OutOfBounds> {
        region.at(self.chunks_at + chunk * self.shape.stride())
    }

    /// Returns whether a consumer has finished the message in an entry, or the entry has none.
    fn is_finished(&self, place: usize) -> bool {
        let words = self.places.get(place).zip(self.claims.get(place));
        words.is_none_or(|(word, claim)| {
            let lap = Packed(word.load()).number();
            lap == 0 || Packed(claim.load()) == ClaimState::DONE.in_lap(lap)
        })
    }

    /// Returns the number of messages that a reader has not finished.
    fn lag(&self, reader: usize, sent: u64) -> u64 {
        let Some(at) = self.readers.get(reader).map(|rec| rec.at.load()) else { return 0 };
        if !self.shape.has_claims {
            return sent.saturating_sub(at);
        }
        let Some(number) = at.checked_sub(1) else { return 0 };
        let (place, lap) = self.shape.place(number);
        let claim = self.claims.get(place).map(|claim| Packed(claim.load()));
        (claim == Some(ClaimState::of(reader).in_lap(lap))).into()
    }

    /// Returns the large message in an entry, if readers may still need it. While members are at work,
    /// what this reads may come from different moments.
    fn large(&self, region: &Region, place: usize) -> Option<Large> {
        let word = Packed(self.places.get(place)?.load());
        let head = self.chunk(region, word.chunk()).ok().filter(|_| word.number() != 0)?;
        let length = u64::from(head.length.load());
        let (writer, number) = (head.writer.load() as usize, head.id.load());
        if length <= self.shape.message_bytes || length > self.shape.most_bytes() {
            return None;
        }
        let passed = (0..self.readers.len()).filter_map(|n| self.readers.get(n)).map(|rec| rec.at.load());
        let is_over = match self.shape.has_claims {
            true => self.is_finished(place),
            false => number < passed.min().unwrap_or(0) || number < self.writers.get(writer)?.void.load(),
        };
        (!is_over).then(|| Large { writer, number, extent: Extent::new(head.payload.load(), length) })
    }

    /// Returns the large messages that readers may still need.
    fn all_large(&self, region: &Region) -> Vec<Large> {
        if self.shape.payload_bytes == 0 {
            return Vec::new();
        }
        (0..self.places.len()).filter_map(|place| self.large(region, place)).collect()
    }

    /// Returns how often each chunk is used.
    fn uses(&self, region: &Region) -> Result<Vec<u32>, OutOfBounds> {
        let mut uses = vec![0; self.shape.chunks() as usize];
        let mut used = |chunk: u64| {
            if let Some(uses) = uses.get_mut(chunk as usize) {
                *uses += 1;
            }
        };
        for place in (0..self.places.len()).filter_map(|place| self.places.get(place)) {
            used(Packed(place.load()).chunk());
        }
        for rec in (0..self.writers.len()).filter_map(|n| self.writers.get(n)) {
            let work = Packed(rec.work.load());
            let published = work.number() != NONE && {
                let (place, lap) = self.shape.place(work.number());
                self.places.get(place).is_some_and(|word| word.load() == Packed::new(lap, work.chunk()).0)
            };
            used(match published {
                // The last step of this send is not done: the private chunk is the one that the
                // message replaced.
                true => self.chunk(region, work.chunk())?.replaces.load(),
                false => work.chunk(),
            });
        }
        Ok(uses)
    }
}

fn look(
    key: Key,
    kind: Kind,
    head: &Head,
    region: &Region,
    seats: Option<Seats>,
) -> Result<QueueFacts, OutOfBounds> {
    let records = Records::find(head, region)?;
    let Records { shape, members, control, writers, readers, places, .. } = &records;
    let named = |role: Role| {
        let members = (0..members.len()).filter_map(|n| members.get(n));
        members.filter(move |member| member.role.load() == role as u32).enumerate()
    };
    let process = |member: usize| {
        let seats = seats.filter(|seats| seats.is_taken(member).unwrap_or(false))?;
        Some(seats.holder_of(member))
    };
    let (sent, large) = (control.tail.load(), records.all_large(region));
    let writer = |(n, member): (usize, &MemberRec)| {
        let sent = writers.get(n).map_or(0, |rec| rec.clock.load());
        let its = large.iter().filter(|message| message.writer == n);
        let payload_used = Bytes(its.map(|message| message.extent.bytes).sum());
        WriterFacts { name: text(&member.name), process: process(n), sent, payload_used }
    };
    let reader = |(n, member): (usize, &MemberRec)| {
        let rec = readers.get(n);
        ReaderFacts {
            name: text(&member.name),
            process: process(shape.writers as usize + n),
            lag: records.lag(n, sent),
            evicted: rec.is_some_and(|rec| rec.gate.load() & EVICTED != 0),
        }
    };
    let last_sent = sent.checked_sub(1).and_then(|last| {
        let (place, lap) = shape.place(last);
        let word = Packed(places.get(place)?.load());
        let chunk = records.chunk(region, word.chunk()).ok()?;
        (word.number() == lap).then(|| chunk.time.load())
    });
    let unfinished = || (0..places.len()).filter(|place| !records.is_finished(*place)).count() as u64;
    Ok(QueueFacts {
        sent,
        unfinished: shape.has_claims.then(unfinished),
        last_sent,
        writers: named(Role::Writer).map(writer).collect(),
        readers: named(Role::Reader).map(reader).collect(),
        damage: verify(&records, sent),
        ..blank(key, kind, head)
    })
}

/// Returns the broken rules that hold at every moment. While members are at work, the words that
/// this reads may come from different moments.
fn verify(records: &Records, tail: u64) -> Vec<String> {
    let Records { shape, writers, places, claims, .. } = records;
    let mut damage = Vec::new();
    for place in 0..places.len() {
        let Some(word) = places.get(place).map(|word| Packed(word.load())) else { continue };
        if word.chunk() >= shape.chunks() {
            damage.push(format!("place {place} names chunk {}, of {}", word.chunk(), shape.chunks()));
        }
    }
    for n in 0..writers.len() {
        let Some(work) = writers.get(n).map(|rec| Packed(rec.work.load())) else { continue };
        if work.chunk() >= shape.chunks() {
            damage.push(format!("writer {n} has chunk {}, of {}", work.chunk(), shape.chunks()));
        }
    }
    for place in 0..claims.len() {
        let Some(claim) = claims.get(place).map(|claim| Packed(claim.load())) else { continue };
        let is_state = claim == ClaimState::DONE.in_lap(claim.number()) || claim.chunk() <= shape.readers;
        // Read after the claim: a word of an entry never goes back to an earlier lap.
        let word = places.get(place).map_or(0, |word| word.load());
        if !is_state || claim.number() > Packed(word).number() {
            damage.push(format!("place {place} has the claim {:#x}", claim.0));
        }
    }
    if tail > limits::MAX_MESSAGES {
        damage.push(format!("its tail is {tail}"));
    }
    damage
}

/// Returns the large messages that lie outside the area of their writer, or on one another.
fn clashes(records: &Records, mut large: Vec<Large>) -> Vec<String> {
    let mut damage = Vec::new();
    large.sort_by_key(|message| (message.writer, message.extent.at));
    let mut before: Option<&Large> = None;
    for message in &large {
        let Large { writer, number, extent } = message;
        if extent.end().is_none_or(|end| end > records.shape.area_bytes()) {
            damage.push(format!("message {number} lies outside the payload area of writer {writer}"));
        }
        let is_on = |before: &&Large| {
            before.writer == *writer && before.extent.end().is_none_or(|end| end > extent.at)
        };
        if let Some(other) = before.filter(is_on) {
            damage.push(format!("messages {} and {number} have the same payload bytes", other.number));
        }
        before = Some(message);
    }
    damage
}

/// Returns the broken rules of a queue without a working member. In it each chunk is in one entry
/// or private to one writer, and no two messages have the same bytes of a payload area.
///
/// # Errors
///
/// A system call failed.
pub fn verify_idle(key: Key) -> io::Result<Vec<String>> {
    let backend = Home::sysv().open();
    let Some(found) = backend.stat(key)?.filter(|facts| !facts.removed) else { return Ok(Vec::new()) };
    let Some(facts) = observe(key)? else { return Ok(Vec::new()) };
    let segment = backend.attach(key, &found, Access::Read)?;
    let region = segment.region();
    let records = region.at::<Head>(0).and_then(|head| Records::find(&head, &region));
    let mut damage = facts.damage;
    match records.and_then(|records| Ok((records.uses(&region)?, records))) {
        Ok((uses, records)) => {
            damage.extend(clashes(&records, records.all_large(&region)));
            let wrong = uses.iter().enumerate().filter(|(_, uses)| **uses != 1);
            damage.extend(wrong.map(|(chunk, uses)| format!("chunk {chunk} is used {uses} times")));
        }
        Err(OutOfBounds) => damage.push("its head does not fit its size".into()),
    }
    Ok(damage)
}
