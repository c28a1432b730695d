//! Locks and queues with damaged bytes, and every operation on them. Shared by
//! `tests/damaged_messages.rs` and the fuzz target `messages`.
//!
//! An input chooses a lock or queue, changes words of its segment, and then names operations. Some
//! of the operations change more words. Nothing here waits: the deadline of every wait has passed.
//!
//! The bytes are changed through a separate mapping, as another process would change them. No
//! reference into the segment is alive then.
#![allow(dead_code, unreachable_pub, reason = "each user needs only a part")]

use hotpool::conf::{OnDead, OnSlow, QueueConf, QueueKind};
use hotpool::queue::{Latest, Receiver, Sender, WorkQueue, observe, verify_idle};
use hotpool::sync::{Barrier, Event, LockConf, LockError, Mutex, RwLock};
use hotpool::units::{Bytes as Size, Key};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// A lock or queue to damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Channel,
    Broadcast,
    /// A channel for one message whose writers never wait.
    Lossy,
    Latest,
    Work,
    /// A channel, a broadcast and a work queue with payload areas.
    LargeChannel,
    LargeBroadcast,
    LargeWork,
    Mutex,
    RwLock,
    Event,
    Barrier,
}

pub const ALL: [Kind; 12] = [
    Kind::Channel,
    Kind::Broadcast,
    Kind::Lossy,
    Kind::Mutex,
    Kind::RwLock,
    Kind::Event,
    Kind::Barrier,
    Kind::Latest,
    Kind::Work,
    Kind::LargeChannel,
    Kind::LargeBroadcast,
    Kind::LargeWork,
];

/// Number of messages that most queues have room for.
pub const CAPACITY: u32 = 3;
/// Size of the largest message in bytes.
pub const MESSAGE: u64 = 40;
/// Size of the largest message without payload bytes, in a queue that has them.
const SMALL: u64 = 8;
/// Payload bytes of each writer: for three messages.
const PAYLOAD: u64 = 192;
const MEMBERS: [&str; 2] = ["a", "b"];
/// The words of a head that its checksum covers.
const SUMMED: std::ops::Range<usize> = 1..12;
const CHECK: usize = 12;
/// The word after it, which it covers, too.
const PAYLOAD_BYTES: usize = 13;

/// A mapping of a segment.
pub struct Raw {
    words: *mut AtomicU64,
    count: usize,
}

impl Raw {
    /// Maps the segment under a key; returns `None` if the key has none.
    pub fn of(key: Key) -> Option<Raw> {
        // SAFETY: integers only.
        let id = unsafe { libc::shmget(key.raw(), 0, 0) };
        if id == -1 {
            return None;
        }
        // SAFETY: a struct of zeros is a valid value.
        let mut facts: libc::shmid_ds = unsafe { std::mem::zeroed() };
        // SAFETY: the struct has room for the answer.
        if unsafe { libc::shmctl(id, libc::IPC_STAT, &raw mut facts) } == -1 {
            return None;
        }
        // SAFETY: the kernel chooses a free address.
        let base = unsafe { libc::shmat(id, std::ptr::null(), 0) };
        (base.addr() != usize::MAX).then(|| Raw { words: base.cast(), count: facts.shm_segsz / 8 })
    }

    pub fn len(&self) -> usize {
        self.count
    }

    /// Returns the word `index`, which is below the length.
    pub fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index < self.count);
        // SAFETY: inside the mapping, which this value keeps.
        let word = unsafe { self.words.add(index) };
        // SAFETY: as above; it is only used as an atomic.
        unsafe { &*word }
    }

    /// Changes a word.
    pub fn change(&self, index: usize, change: impl FnOnce(u64) -> u64) {
        let word = self.word(index);
        word.store(change(word.load(SeqCst)), SeqCst);
    }

    /// Corrects the checksum of the head.
    pub fn seal(&self) {
        let words = SUMMED.chain([PAYLOAD_BYTES]).map(|index| self.word(index).load(SeqCst));
        let sum = words.fold(0, |sum, word| crc32c::crc32c_append(sum, &word.to_le_bytes()));
        self.change(CHECK, |word| word & !0xffff_ffff | u64::from(sum));
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: mapped by `of`, and not used any more.
        unsafe { libc::shmdt(self.words.cast()) };
    }
}

/// A lock or queue, and its bytes at a moment when it was whole.
pub struct Image {
    pub kind: Kind,
    key: Key,
    words: Vec<u64>,
}

impl Image {
    /// Creates a lock or queue and uses it. Its key belongs to the caller.
    pub fn make(kind: Kind, key: Key) -> Image {
        let mut image = Image { kind, key, words: Vec::new() };
        image.fill();
        let raw = Raw::of(key).expect("it was just made");
        image.words = (0..raw.len()).map(|index| raw.word(index).load(SeqCst)).collect();
        image
    }

    fn queue(&self) -> QueueConf {
        let kind = match self.kind {
            Kind::Broadcast | Kind::LargeBroadcast => QueueKind::Broadcast,
            Kind::Latest => QueueKind::Latest,
            Kind::Work | Kind::LargeWork => QueueKind::Work,
            _ => QueueKind::Channel,
        };
        let capacity = if self.kind == Kind::Lossy { 1 } else { CAPACITY };
        let is_large = matches!(self.kind, Kind::LargeChannel | Kind::LargeBroadcast | Kind::LargeWork);
        let message = if is_large { SMALL } else { MESSAGE };
        let mut conf = QueueConf::new("damaged", self.key, kind, capacity, Size(message));
        conf.payload_bytes = Size(if is_large { PAYLOAD } else { 0 });
        (conf.writers, conf.readers) = (MEMBERS.map(Into::into).into(), vec!["x".into(), "y".into()]);
        if self.kind == Kind::Lossy {
            (conf.on_dead, conf.on_slow) = (OnDead::HoldFor(Duration::ZERO), OnSlow::Evict);
        }
        conf.wait_ms = 0;
        conf
    }

    fn lock(&self) -> LockConf {
        let mut conf = LockConf::new(self.key, MEMBERS);
        conf.wait_ms = 0;
        conf
    }

    /// Does operations on a whole lock or queue.
    fn fill(&self) {
        match self.kind {
            Kind::Channel | Kind::Broadcast | Kind::Lossy | Kind::LargeChannel | Kind::LargeBroadcast => {
                let mut tx: Sender<[u8]> = Sender::open(&self.queue(), "a").unwrap();
                let mut rx: Receiver<[u8]> = Receiver::open(&self.queue(), "x").unwrap();
                let mut other: Receiver<[u8]> = Receiver::open(&self.queue(), "y").unwrap();
                for length in 0..5 {
                    tx.try_send(&[7; MESSAGE as usize][..8 * length]).unwrap();
                    assert_eq!(rx.try_recv().unwrap().value.len(), 8 * length);
                    if length < 4 {
                        other.try_recv().unwrap();
                        other.ack();
                    }
                }
            }
            Kind::Latest => {
                let mut tx: Sender<[u8]> = Sender::open(&self.queue(), "a").unwrap();
                let mut rx: Latest<[u8]> = Latest::open(&self.queue(), "x").unwrap();
                for length in 0..5 {
                    tx.try_send(&[7; MESSAGE as usize][..8 * length]).unwrap();
                    assert_eq!(rx.try_recv().unwrap().value.len(), 8 * length);
                }
            }
            Kind::Work | Kind::LargeWork => {
                let mut tx: Sender<[u8]> = Sender::open(&self.queue(), "a").unwrap();
                let mut readers =
                    ["x", "y"].map(|name| WorkQueue::<[u8]>::open(&self.queue(), name).unwrap());
                for length in 0..6 {
                    tx.try_send(&[7; MESSAGE as usize][..8 * (length % 5)]).unwrap();
                    if length < 5 {
                        assert_eq!(readers[length % 2].try_recv().unwrap().value.len(), 8 * length);
                    }
                }
            }
            Kind::Mutex => *Mutex::<[u64; 2]>::open(&self.lock(), "a").unwrap().lock().unwrap() = [1, 2],
            Kind::RwLock => *RwLock::<[u64; 2]>::open(&self.lock(), "a").unwrap().write().unwrap() = [1, 2],
            Kind::Event => Event::open(&self.lock(), "a").unwrap().set(),
            Kind::Barrier => {
                let [a, b] = MEMBERS.map(|name| Barrier::open(&self.lock(), name).unwrap());
                assert!(a.wait_timeout(Duration::ZERO).is_err() && b.wait_timeout(Duration::ZERO).is_ok());
            }
        }
    }

    /// Makes the segment whole again. An earlier damage may have led to a new segment.
    pub fn restore(&self) -> Raw {
        let raw = Raw::of(self.key).filter(|raw| raw.len() == self.words.len());
        let raw = raw.unwrap_or_else(|| {
            self.remove();
            self.fill();
            Raw::of(self.key).expect("it was just made")
        });
        for (index, word) in self.words.iter().enumerate() {
            raw.word(index).store(*word, SeqCst);
        }
        raw
    }

    /// Removes the segment and the semaphores.
    pub fn remove(&self) {
        // SAFETY: integers only.
        let shmid = unsafe { libc::shmget(self.key.raw(), 0, 0) };
        if shmid != -1 {
            // SAFETY: IPC_RMID takes no buffer.
            unsafe { libc::shmctl(shmid, libc::IPC_RMID, std::ptr::null_mut()) };
        }
        // SAFETY: integers only.
        let semid = unsafe { libc::semget(self.key.raw(), 0, 0) };
        if semid != -1 {
            // SAFETY: IPC_RMID takes no argument.
            unsafe { libc::semctl(semid, 0, libc::IPC_RMID) };
        }
    }
}

/// An input, read from its beginning; it yields zeros after its end.
pub struct Input<'a>(pub &'a [u8]);

impl Input<'_> {
    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }
}

/// Changes one word.
pub fn damage(raw: &Raw, input: &mut Input<'_>) {
    let index = (usize::from(input.byte()) | usize::from(input.byte()) << 8) % raw.len();
    let (how, value) = (input.byte(), u64::from(input.byte()));
    raw.change(index, |word| match how % 8 {
        0 => value,
        1 => u64::MAX - value,
        2 => word ^ 1 << (value % 64),
        3 => word.wrapping_add(value),
        4 => word.wrapping_sub(value),
        5 => word.wrapping_add(value << 16),
        6 => word.wrapping_sub(value << 16),
        _ => value << 56 | word >> 8,
    });
}

/// Damages one of the images, and uses it.
pub fn run(images: &[&Image], input: &[u8]) {
    let mut input = Input(input);
    let choice = input.byte();
    let image = images[usize::from(choice & 0x1f) % images.len()];
    let raw = image.restore();
    for _ in 0..choice >> 6 {
        damage(&raw, &mut input);
    }
    if choice & 0x20 != 0 {
        raw.seal();
    }
    work(image, &raw, &mut input);
}

/// Opens the damaged lock or queue, and does the operations of the input.
pub fn work(image: &Image, raw: &Raw, input: &mut Input<'_>) {
    match image.kind {
        Kind::Channel | Kind::Broadcast | Kind::Lossy | Kind::LargeChannel | Kind::LargeBroadcast => {
            queue(image, raw, input)
        }
        Kind::Latest => latest(image, raw, input),
        Kind::Work | Kind::LargeWork => consumers(image, raw, input),
        Kind::Mutex => mutex(image, raw, input),
        Kind::RwLock => rwlock(image, raw, input),
        Kind::Event => event(image, raw, input),
        Kind::Barrier => barrier(image, raw, input),
    }
}

fn queue(image: &Image, raw: &Raw, input: &mut Input<'_>) {
    let conf = image.queue();
    let _ = observe(conf.key);
    let _ = verify_idle(conf.key);
    let mut senders = MEMBERS.map(|name| Sender::<[u8]>::open(&conf, name).ok());
    let mut readers = ["x", "y"].map(|name| Receiver::<[u8]>::open(&conf, name).ok());
    while !input.is_over() {
        let what = input.byte();
        let which = usize::from(what >> 7);
        let (tx, rx) = (&mut senders[which], &mut readers[which]);
        match (what & 0x7f) % 15 {
            0 => drop(tx.as_mut().map(|tx| tx.try_send(&[1; 8]))),
            1 => drop(tx.as_mut().map(|tx| tx.send_timeout(&[2; MESSAGE as usize], Duration::ZERO))),
            2 => drop(tx.as_mut().map(|tx| tx.send_batch([&[3; 8][..], &[4; 41]]))),
            3 => {
                if let Some(Ok(mut loan)) = tx.as_mut().map(|tx| tx.try_loan(24)) {
                    loan.bytes().fill(5);
                    let _ = loan.try_commit();
                }
            }
            4 => drop(rx.as_mut().map(Receiver::try_recv)),
            5 => drop(rx.as_mut().map(|rx| rx.recv_timeout(Duration::ZERO))),
            6 => drop(rx.as_mut().map(|rx| rx.try_recv_ref().map(|view| view.iter().max().copied()))),
            7 => drop(rx.as_mut().map(Receiver::ack)),
            8 => drop(rx.as_ref().map(|rx| (rx.lag(), rx.next_id(), format!("{rx:?}")))),
            9 => drop(tx.as_ref().map(|tx| (tx.sent(), format!("{tx:?}")))),
            10 => {
                *tx = None;
                *tx = Sender::open(&conf, MEMBERS[which]).ok();
            }
            11 => {
                *rx = None;
                *rx = Receiver::open(&conf, ["x", "y"][which]).ok();
            }
            12 => drop((observe(conf.key), verify_idle(conf.key))),
            _ => damage(raw, input),
        }
    }
    drop((senders, readers));
    let _ = verify_idle(conf.key);
}

fn latest(image: &Image, raw: &Raw, input: &mut Input<'_>) {
    let conf = image.queue();
    let _ = verify_idle(conf.key);
    let mut senders = MEMBERS.map(|name| Sender::<[u8]>::open(&conf, name).ok());
    let mut readers = ["x", "y"].map(|name| Latest::<[u8]>::open(&conf, name).ok());
    while !input.is_over() {
        let what = input.byte();
        let which = usize::from(what >> 7);
        let (tx, rx) = (&mut senders[which], &mut readers[which]);
        match (what & 0x7f) % 8 {
            0 => drop(tx.as_mut().map(|tx| tx.try_send(&[1; 8]))),
            1 => drop(rx.as_mut().map(Latest::get)),
            2 => drop(rx.as_mut().map(Latest::try_recv)),
            3 => drop(rx.as_mut().map(|rx| rx.recv_timeout(Duration::ZERO))),
            4 => {
                *rx = None;
                *rx = Latest::open(&conf, ["x", "y"][which]).ok();
            }
            5 => drop((observe(conf.key), verify_idle(conf.key))),
            _ => damage(raw, input),
        }
    }
}

fn consumers(image: &Image, raw: &Raw, input: &mut Input<'_>) {
    let conf = image.queue();
    let _ = verify_idle(conf.key);
    let mut senders = MEMBERS.map(|name| Sender::<[u8]>::open(&conf, name).ok());
    let mut readers = ["x", "y"].map(|name| WorkQueue::<[u8]>::open(&conf, name).ok());
    while !input.is_over() {
        let what = input.byte();
        let which = usize::from(what >> 7);
        let (tx, rx) = (&mut senders[which], &mut readers[which]);
        match (what & 0x7f) % 10 {
            0 => drop(tx.as_mut().map(|tx| tx.try_send(&[1; 8]))),
            1 => drop(tx.as_mut().map(|tx| tx.send_timeout(&[2; MESSAGE as usize], Duration::ZERO))),
            2 => drop(rx.as_mut().map(WorkQueue::try_recv)),
            3 => drop(rx.as_mut().map(|rx| rx.recv_timeout(Duration::ZERO))),
            4 => drop(rx.as_mut().map(|rx| rx.try_recv_ref().map(|view| view.iter().max().copied()))),
            5 => drop(rx.as_mut().map(WorkQueue::ack)),
            6 => drop(rx.as_ref().map(|rx| (rx.waiting(), format!("{rx:?}")))),
            7 => {
                *rx = None;
                *rx = WorkQueue::open(&conf, ["x", "y"][which]).ok();
            }
            8 => drop((observe(conf.key), verify_idle(conf.key))),
            _ => damage(raw, input),
        }
    }
}

fn mutex(image: &Image, raw: &Raw, input: &mut Input<'_>) {
    let conf = image.lock();
    let mut locks = MEMBERS.map(|name| Mutex::<[u64; 2]>::open(&conf, name).ok());
    while !input.is_over() {
        let what = input.byte();
        let which = usize::from(what >> 7);
        let lock = &mut locks[which];
        match (lock.as_ref(), what & 7) {
            (Some(lock), 0) => drop(lock.try_lock()),
            (Some(lock), 1 | 2) => match lock.lock_timeout(Duration::ZERO) {
                Ok(mut guard) => guard[0] = guard[0].wrapping_add(1),
                Err(LockError::OwnerDied(died)) => drop(died.repair(|value| *value = [0; 2])),
                Err(_) => {}
            },
            (Some(lock), 3) => {
                let guard = lock.try_lock();
                damage(raw, input);
                drop((format!("{lock:?}"), guard));
            }
            (_, 4) => {
                *lock = None;
                *lock = Mutex::open(&conf, MEMBERS[which]).ok();
            }
            _ => damage(raw, input),
        }
    }
}

fn rwlock(image: &Image, raw: &Raw, input: &mut Input<'_>) {
    let conf = image.lock();
    let mut locks = MEMBERS.map(|name| RwLock::<[u64; 2]>::open(&conf, name).ok());
    while !input.is_over() {
        let what = input.byte();
        let which = usize::from(what >> 7);
        let lock = &mut locks[which];
        match (lock.as_ref(), what & 7) {
            (Some(lock), 0) => drop(lock.read_timeout(Duration::ZERO)),
            (Some(lock), 1) => match lock.write_timeout(Duration::ZERO) {
                Ok(mut guard) => guard[0] = guard[0].wrapping_add(1),
                Err(LockError::OwnerDied(died)) => drop(died.repair(|value| *value = [0; 2])),
                Err(_) => {}
            },
            (Some(lock), 2) => {
                let guards = (lock.read_timeout(Duration::ZERO), lock.read_timeout(Duration::ZERO));
                damage(raw, input);
                drop((format!("{lock:?}"), guards));
            }
            (Some(lock), 3) => {
                let guard = lock.write_timeout(Duration::ZERO);
                damage(raw, input);
                drop(guard);
            }
            (_, 4) => {
                *lock = None;
                *lock = RwLock::open(&conf, MEMBERS[which]).ok();
            }
            _ => damage(raw, input),
        }
    }
}

fn event(image: &Image, raw: &Raw, input: &mut Input<'_>) {
    let conf = image.lock();
    let events = MEMBERS.map(|name| Event::open(&conf, name).ok());
    while !input.is_over() {
        let what = input.byte();
        match (&events[usize::from(what >> 7)], what & 3) {
            (Some(event), 0) => event.set(),
            (Some(event), 1) => drop((event.take(), format!("{event:?}"))),
            (Some(event), 2) => _ = event.wait_timeout(Duration::ZERO),
            _ => damage(raw, input),
        }
    }
}

fn barrier(image: &Image, raw: &Raw, input: &mut Input<'_>) {
    let conf = image.lock();
    let barriers = MEMBERS.map(|name| Barrier::open(&conf, name).ok());
    while !input.is_over() {
        let what = input.byte();
        match (&barriers[usize::from(what >> 7)], what & 3) {
            (Some(barrier), 0 | 1) => drop(barrier.wait_timeout(Duration::ZERO)),
            (Some(barrier), 2) => drop((barrier.round(), format!("{barrier:?}"))),
            _ => damage(raw, input),
        }
    }
}
