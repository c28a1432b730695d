//! The segment of a lock or queue: find or create it, judge it, take a seat.
//!
//! Everything that decides where the memory of a lock or queue comes from is in this file.

use super::error::OpenError;
use super::head::{Head, Kind, MAKING, MemberRec, READY, VERSION};
use super::part::Part;
use super::parts::segment_of;
use super::seats::{MAKER, Seat, Seats, of_member};
use super::slips::{Slip, planted};
use super::value::{ForAll, Kept};
use super::watch::{LEFT, PANICKED};
use crate::layout::{Broken, fill_text, text};
use crate::limits;
use crate::object::{Field, SchemaText, diff};
use crate::region::{At, OutOfBounds, Region, Table};
use crate::share::{Access, Home, Segment, SegmentFacts};
use crate::sys::{self, sysv};
use crate::units::{Bytes, Key, round_up};
use crate::word::padded;
use std::io;
use std::time::{Duration, Instant};

const HEAD_BYTES: u64 = size_of::<Head>() as u64;
const MEMBER_BYTES: u64 = size_of::<MemberRec>() as u64;
/// The mode of a segment that only its user may open.
pub(crate) const MODE: u32 = 0o600;

/// The role of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Role {
    Both = 0,
    Writer = 1,
    Reader = 2,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Role::Both => "members",
            Role::Writer => "writers",
            Role::Reader => "readers",
        }
    }
}

/// The requested properties of a lock or queue.
pub(crate) struct Spec<'a> {
    pub(crate) key: Key,
    pub(crate) mode: u32,
    pub(crate) wait: Duration,
    pub(crate) kind: Kind,
    pub(crate) members: Vec<(&'a str, Role)>,
    pub(crate) fingerprint: u64,
    pub(crate) fields: &'static [Field],
    pub(crate) schema: String,
    pub(crate) value_bytes: u64,
    pub(crate) capacity: u64,
    pub(crate) policy: u64,
    /// Bytes of the payload area of each writer of a queue.
    pub(crate) payload_bytes: u64,
    /// Bytes of the records of the kind, which begin at a multiple of `LINE`.
    pub(crate) body_bytes: u64,
}

/// An open lock or queue of any kind.
pub(crate) struct Site {
    pub(crate) key: Key,
    /// Identity of the segment.
    pub(crate) id: [u64; 2],
    pub(crate) seats: Seats,
    /// Number of this member.
    pub(crate) me: usize,
    pub(crate) members: ForAll<Table<MemberRec>>,
    pub(crate) region: ForAll<Region>,
    /// Offset of the first record of the kind.
    pub(crate) body: u64,
    /// Given back before the memory is unmapped. This process has done all its stores by then.
    seat: Seat,
    _kept: Kept,
}

impl Spec<'_> {
    fn body(&self) -> u64 {
        let schema = self.schema.len() as u64;
        let table = HEAD_BYTES + self.members.len() as u64 * MEMBER_BYTES;
        // Limits bound both, so they are small.
        round_up(table + schema, limits::LINE).unwrap_or(u64::MAX)
    }

    /// Returns the size of the segment.
    pub(crate) fn bytes(&self) -> u64 {
        let end = self.body().saturating_add(self.body_bytes);
        round_up(end, limits::PAGE).unwrap_or(u64::MAX)
    }

    fn check(&self) -> Result<(), OpenError> {
        let key = self.key;
        let range = |what, found: u64, min: u64, max: u64| match (min..=max).contains(&found) {
            true => Ok(()),
            false => Err(OpenError::OutOfRange { key, what, found, min, max }),
        };
        range("the number of members", self.members.len() as u64, 1, limits::MAX_MEMBERS as u64)?;
        range("the size", self.bytes(), 1, limits::MAX_BLOCK_BYTES)?;
        for (n, member) in self.members.iter().enumerate() {
            let (twice, name) = (self.members.iter().take(n).any(|other| other == member), member.0);
            if twice || name.is_empty() || name.len() > limits::MAX_PROCESS_NAME || name.contains('\0') {
                return Err(OpenError::BadName { key, name: name.into() });
            }
        }
        Ok(())
    }
}

impl Site {
    /// Opens what `spec` describes as the member `me`. `fill` writes the records of the kind into a
    /// new segment, which is all zeros; no other process uses it yet.
    pub(crate) fn open(
        spec: &Spec<'_>,
        me: &str,
        role: Role,
        fill: &dyn Fn(&Region, u64) -> Result<(), OutOfBounds>,
    ) -> Result<Site, OpenError> {
        for _ in 1..limits::OWNER_ROUNDS {
            match Self::open_once(spec, me, role, fill) {
                // It was removed during the call.
                Err(error) if error.is_gone() => {}
                answer => return answer,
            }
        }
        Self::open_once(spec, me, role, fill)
    }

    fn open_once(
        spec: &Spec<'_>,
        me: &str,
        role: Role,
        fill: &dyn Fn(&Region, u64) -> Result<(), OutOfBounds>,
    ) -> Result<Site, OpenError> {
        spec.check()?;
        let key = spec.key;
        let number = spec.members.iter().position(|member| *member == (me, role)).ok_or_else(|| {
            let names = spec.members.iter().filter(|(_, its)| *its == role);
            let names = names.map(|(name, _)| (*name).to_owned()).collect();
            OpenError::NoSuchMember { key, name: me.into(), role: role.name(), names }
        })?;
        let began = Instant::now();
        let seats = Seats::open(key, spec.members.len(), spec.mode)?;
        let segment = find_or_make(spec, seats, fill)?;
        let region = segment.region();
        let outside = |OutOfBounds| OpenError::damaged(key, Broken::SegmentLength);
        let head: At<Head> = region.at(0).map_err(outside)?;
        judge(spec, &head, &region)?;
        let members: Table<MemberRec> =
            region.table(HEAD_BYTES, spec.members.len() as u64).map_err(outside)?;
        judge_members(spec, &members)?;
        let semaphore = of_member(number);
        let left = spec.wait.saturating_sub(began.elapsed());
        let seat = seats.take_in(semaphore, left).map_err(OpenError::system(key, "semop"))?;
        let seat = seat.ok_or_else(|| OpenError::Taken {
            key,
            name: me.into(),
            holder: seats.holder(semaphore),
            waited_ms: began.elapsed().as_millis() as u64,
        })?;
        // With another set under the key, two processes could have the same seat.
        if !seats.is_named(key).map_err(OpenError::system(key, "semget"))? {
            let removed = std::io::Error::from_raw_os_error(libc::EIDRM);
            return Err(OpenError::system(key, "semget")(removed));
        }
        if let Some(member) = members.get(number) {
            member.since.store(sys::wall_nanos());
            member.epoch.store(member.epoch.load().wrapping_add(1));
            member.last.store(0);
            // Stored last: a watcher takes it as the end of the claim.
            member.pid.store(sys::pid());
        }
        Ok(Site {
            key,
            id: [head.id[0].load(), head.id[1].load()],
            seats,
            me: number,
            members: ForAll::new(members),
            region: ForAll::new(region),
            body: spec.body(),
            seat,
            _kept: Kept::new(segment),
        })
    }

    /// Returns the name of a member.
    pub(crate) fn name(&self, member: usize) -> String {
        self.members.get(member).map(|member| text(&member.name)).unwrap_or_default()
    }

    /// Returns the error for bytes that break a rule.
    pub(crate) fn damaged(&self, broken: Broken) -> OpenError {
        OpenError::damaged(self.key, broken)
    }

    /// Returns the table of records at `offset` of the body.
    pub(crate) fn table<T: crate::layout::Record>(
        &self,
        offset: u64,
        count: u64,
    ) -> Result<ForAll<Table<T>>, OpenError> {
        let at = self.body.saturating_add(offset);
        self.region
            .table(at, count)
            .map(ForAll::new)
            .map_err(|OutOfBounds| self.damaged(Broken::SegmentLength))
    }

    /// Returns the record at `offset` of the body.
    pub(crate) fn at<T: crate::layout::Record>(&self, offset: u64) -> Result<ForAll<At<T>>, OpenError> {
        let at = self.body.saturating_add(offset);
        self.region.at(at).map(ForAll::new).map_err(|OutOfBounds| self.damaged(Broken::SegmentLength))
    }
}

impl Drop for Site {
    /// Records that the seat is given back. A forked child has neither the seat nor the memory.
    fn drop(&mut self) {
        let Some(member) = self.members.get(self.me).filter(|_| self.seat.is_mine()) else { return };
        member.last.store(if std::thread::panicking() { PANICKED } else { LEFT });
        // A later claim of the same process records its pid again.
        member.pid.store(0);
    }
}

/// Returns the complete segment.
fn find_or_make(
    spec: &Spec<'_>,
    seats: Seats,
    fill: &dyn Fn(&Region, u64) -> Result<(), OutOfBounds>,
) -> Result<Segment, OpenError> {
    let key = spec.key;
    if let Some((_, segment)) = attach(key)?
        && let Some(head) = complete(&segment)
        && head.seats.load() == seats.record()
    {
        return Ok(segment);
    }
    // While this process has the semaphore, no other process is filling a segment.
    let maker = seats.take_in(MAKER, spec.wait).map_err(OpenError::system(key, "semop"))?;
    let _maker = maker.ok_or_else(|| OpenError::Taken {
        key,
        name: "maker".into(),
        holder: seats.holder(MAKER),
        waited_ms: spec.wait.as_millis() as u64,
    })?;
    if let Some(segment) = take_over(spec, seats)? {
        return Ok(segment);
    }
    let backend = Home::sysv().open();
    let segment = backend.create(key, spec.bytes(), spec.mode).map_err(OpenError::system(key, "shmget"))?;
    let outside = |OutOfBounds| OpenError::damaged(key, Broken::SegmentLength);
    fill_head(spec, &segment.region())?;
    let head = segment.region().at::<Head>(0).map_err(outside)?;
    if planted(Slip::CompleteBeforeRecords) {
        head.magic.store(READY);
    }
    fill(&segment.region(), spec.body()).map_err(outside)?;
    head.seats.store(seats.record());
    head.magic.store(READY);
    Ok(segment)
}

/// Returns the complete segment under the key, and records this set in it. Waits until no member of
/// an earlier set has it attached, and removes a segment that is not complete. The caller is the
/// maker.
fn take_over(spec: &Spec<'_>, seats: Seats) -> Result<Option<Segment>, OpenError> {
    let (key, until) = (spec.key, Instant::now() + spec.wait);
    let backend = Home::sysv().open();
    loop {
        let Some((facts, segment)) = attach(key)? else { return Ok(None) };
        let head = complete(&segment);
        if head.as_ref().is_some_and(|head| head.seats.load() == seats.record()) {
            return Ok(Some(segment));
        }
        if head.is_none()
            && segment_of(key, &facts).map_err(OpenError::system(key, "shmat"))? == Part::Foreign
        {
            return Err(OpenError::Foreign { key, why: "it has a segment of another kind".into() });
        }
        let attached = backend.stat(key).map_err(OpenError::system(key, "shmctl"))?;
        // More attaches than this one: a process that opens it lets it go at once, and a member of
        // a removed set keeps it.
        if attached.and_then(|facts| facts.attached).is_none_or(|attached| attached <= 1) {
            let Some(head) = head else {
                drop(segment);
                backend.remove(key, &facts).map_err(OpenError::system(key, "shmctl"))?;
                return Ok(None);
            };
            head.seats.store(seats.record());
            return Ok(Some(segment));
        }
        drop(segment);
        if Instant::now() >= until {
            return Err(OpenError::SeatsRemoved { key });
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Returns why an open with this configuration would be refused, apart from the type of the value;
/// `None` if no complete segment is there.
pub(crate) fn disagreement(mut spec: Spec<'_>) -> io::Result<Option<OpenError>> {
    let (key, backend) = (spec.key, Home::sysv().open());
    let Some(facts) = backend.stat(key)?.filter(|facts| !facts.removed) else { return Ok(None) };
    let segment = backend.attach(key, &facts, Access::Read)?;
    let Some(head) = complete(&segment) else { return Ok(None) };
    // The size depends on the length of the text.
    let schema = head.schema_bytes.load().min(limits::MAX_SCHEMA_BYTES);
    spec.schema = " ".repeat(schema as usize);
    spec.fingerprint = head.fingerprint.load();
    let members = segment.region().table(HEAD_BYTES, spec.members.len() as u64);
    let judged = judge(&spec, &head, &segment.region())
        .and_then(|()| members.map_err(|OutOfBounds| OpenError::damaged(key, Broken::SegmentLength)))
        .and_then(|members| judge_members(&spec, &members));
    Ok(judged.err())
}

/// Attaches the segment under the key, if it exists and belongs to this user.
fn attach(key: Key) -> Result<Option<(SegmentFacts, Segment)>, OpenError> {
    let backend = Home::sysv().open();
    let found = backend.stat(key).map_err(OpenError::system(key, "shmctl"))?;
    let Some(facts) = found.filter(|facts| !facts.removed) else { return Ok(None) };
    if facts.uid != sysv::effective_uid() {
        return Err(OpenError::Foreign { key, why: format!("its segment belongs to uid {}", facts.uid) });
    }
    let segment = backend.attach(key, &facts, Access::Write).map_err(OpenError::system(key, "shmat"))?;
    Ok(Some((facts, segment)))
}

/// Returns the head of a segment that a process has filled.
fn complete(segment: &Segment) -> Option<At<Head>> {
    segment.region().at::<Head>(0).ok().filter(|head| head.magic.load() == READY)
}

fn fill_head(spec: &Spec<'_>, region: &Region) -> Result<(), OpenError> {
    let key = spec.key;
    let outside = |OutOfBounds| OpenError::damaged(key, Broken::SegmentLength);
    let head: At<Head> = region.at(0).map_err(outside)?;
    head.magic.store(if planted(Slip::CompleteBeforeHead) { READY } else { MAKING });
    let id = sys::random_id().map_err(OpenError::system(key, "getrandom"))?;
    head.layout.fill(VERSION);
    head.kind.fill(spec.kind as u32);
    head.id[0].fill(id[0]);
    head.id[1].fill(id[1]);
    head.bytes.fill(spec.bytes());
    head.key.fill(key.0);
    head.members.fill(spec.members.len() as u32);
    head.created.fill(sys::wall_nanos());
    head.fingerprint.fill(spec.fingerprint);
    head.value_bytes.fill(spec.value_bytes);
    head.capacity.fill(spec.capacity);
    head.policy.fill(spec.policy);
    head.schema_bytes.fill(spec.schema.len() as u64);
    head.payload_bytes.fill(spec.payload_bytes);
    head.check.fill(head.sum());
    let members: Table<MemberRec> = region.table(HEAD_BYTES, spec.members.len() as u64).map_err(outside)?;
    for (n, (name, role)) in spec.members.iter().enumerate() {
        let Some(member) = members.get(n) else { continue };
        fill_text(&member.name, name);
        member.role.fill(*role as u32);
    }
    let words = (spec.schema.len() as u64).div_ceil(8);
    let at = HEAD_BYTES + spec.members.len() as u64 * MEMBER_BYTES;
    let text: Table<crate::word::Word> = region.table(at, words).map_err(outside)?;
    for (n, bytes) in spec.schema.as_bytes().chunks(8).enumerate() {
        if let Some(word) = text.get(n) {
            word.fill(padded(bytes));
        }
    }
    Ok(())
}

/// Checks that the segment is the one that the configuration describes.
fn judge(spec: &Spec<'_>, head: &Head, region: &Region) -> Result<(), OpenError> {
    let key = spec.key;
    if head.layout.load() != VERSION {
        let (found, wanted) = (head.layout.load().to_string(), VERSION.to_string());
        return Err(OpenError::Differs { key, what: "the version of the layout", found, wanted });
    }
    if head.check.load() != head.sum() || head.key.load() != key.0 || head.bytes.load() != region.len() {
        return Err(OpenError::damaged(key, Broken::Head));
    }
    let differs = |what, found: String, wanted: String| match found == wanted {
        true => Ok(()),
        false => Err(OpenError::Differs { key, what, found, wanted }),
    };
    differs("the kind", Kind::name_of(head.kind.load()).into(), spec.kind.name().into())?;
    differs("the number of members", head.members.load().to_string(), spec.members.len().to_string())?;
    if head.fingerprint.load() != spec.fingerprint {
        return Err(OpenError::Type { key, differences: differences(spec, head, region) });
    }
    let size = |word: &crate::word::Word| Bytes(word.load()).to_string();
    differs("the size of a value", size(&head.value_bytes), Bytes(spec.value_bytes).to_string())?;
    differs("the capacity", head.capacity.load().to_string(), spec.capacity.to_string())?;
    differs("PayloadBytes", size(&head.payload_bytes), Bytes(spec.payload_bytes).to_string())?;
    differs("the policy", head.policy.load().to_string(), spec.policy.to_string())?;
    let is_whole = head.schema_bytes.load() == spec.schema.len() as u64 && region.len() == spec.bytes();
    if is_whole { Ok(()) } else { Err(OpenError::damaged(key, Broken::SegmentSizes)) }
}

fn judge_members(spec: &Spec<'_>, members: &Table<MemberRec>) -> Result<(), OpenError> {
    for (n, (name, role_wanted)) in spec.members.iter().enumerate() {
        let (found, its_role) =
            members.get(n).map(|member| (text(&member.name), member.role.load())).unwrap_or_default();
        if found != *name || its_role != *role_wanted as u32 {
            let role = |role: u32| ["", " as a writer", " as a reader"].get(role as usize).unwrap_or(&" ?");
            return Err(OpenError::Differs {
                key: spec.key,
                what: "a member",
                found: format!("{found}{}", role(its_role)),
                wanted: format!("{name}{}", role(*role_wanted as u32)),
            });
        }
    }
    Ok(())
}

#[cold]
fn differences(spec: &Spec<'_>, head: &Head, region: &Region) -> String {
    let at = HEAD_BYTES + u64::from(head.members.load()) * MEMBER_BYTES;
    let length = head.schema_bytes.load().min(limits::MAX_SCHEMA_BYTES);
    let Ok(words) = region.table::<crate::word::Word>(at, length.div_ceil(8)) else {
        return "its schema is damaged".into();
    };
    let words = (0..words.len()).filter_map(|n| words.get(n));
    let mut bytes: Vec<u8> = words.flat_map(|word| word.load().to_le_bytes()).collect();
    bytes.truncate(length as usize);
    let old = String::from_utf8_lossy(&bytes).into_owned();
    let Ok(old) = SchemaText::parse(&old) else { return "its schema is damaged".into() };
    let found = diff(&old, head.value_bytes.load(), spec.fields, spec.value_bytes);
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    if found.is_empty() { "it is another type of the same fields".into() } else { found.join("; ") }
}
