//! Reading the last value of a queue that keeps no other.

use super::entry::{Look, Message};
use super::error::RecvError;
use super::payload::Payload;
use super::ring::Ring;
use crate::conf::{QueueConf, QueueKind};
use crate::layout::Broken;
use crate::sync::slips::{Slip, planted};
use crate::sync::{FOR_A_MESSAGE, OpenError, Patience};
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// A reader of the last value.
///
/// The writers open the queue as [`Sender`](super::Sender) and never wait. A reader gets the newest
/// whole value, and skips those that came before it. If a writer dies during a send, the previous
/// value stays. A reader that has just been opened has seen no value, so it gets the newest at once,
/// even if an earlier process under its name has read that one.
///
/// # Examples
///
/// ```
/// use hotpool::conf::{QueueConf, QueueKind};
/// use hotpool::queue::{Latest, Sender};
/// use hotpool::units::{Bytes, Key};
///
/// let mut conf = QueueConf::new("weather", Key(0x4850_0f04), QueueKind::Latest, 4, Bytes(8));
/// conf.writers = vec!["zone".into()];
/// conf.readers = vec!["world".into()];
///
/// let mut tx: Sender<u64> = Sender::open(&conf, "zone")?;
/// let mut weather: Latest<u64> = Latest::open(&conf, "world")?;
/// assert!(weather.get()?.is_none());
/// (1..=9).try_for_each(|n| tx.send(&n).map(drop))?;
/// assert_eq!(weather.recv()?.value, 9);
/// # drop((tx, weather));
/// # hotpool::sync::remove(conf.key)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Latest<T: Payload + ?Sized> {
    /// One more than the number of the last value that this process has received.
    seen: u64,
    /// Values below this number were given to an earlier process under this name.
    given: u64,
    me: usize,
    ring: Ring,
    _payload: PhantomData<fn() -> T::Owned>,
}

impl<T: Payload + ?Sized> Latest<T> {
    /// Opens a queue with `Kind = latest` as the reader `me`, and creates it if it does not exist.
    ///
    /// # Errors
    ///
    /// The configuration is invalid or differs from the segment, a living process has the name, or
    /// a system call failed.
    pub fn open(conf: &QueueConf, me: &str) -> Result<Self, OpenError> {
        let ring = Ring::open_reader::<T>(conf, me, &[QueueKind::Latest])?;
        let me = ring.reader();
        let rec = ring.readers.get(me).ok_or_else(|| ring.site.damaged(Broken::NoReader))?;
        let given = rec.given.load();
        Ok(Latest { seen: 0, given, me, ring, _payload: PhantomData })
    }

    /// Returns the newest value, whether this reader has received it before or not; `None` if no
    /// value was sent yet.
    ///
    /// # Errors
    ///
    /// The queue is damaged.
    pub fn get(&mut self) -> Result<Option<Message<T::Owned>>, RecvError> {
        loop {
            let Some(newest) = self.newest()? else { return Ok(None) };
            match self.ring.look(newest, self.given)? {
                Look::There(found) => {
                    let value = self.ring.copy::<T>(&found)?;
                    if planted(Slip::TrustCopy) || self.ring.replaced(newest, &found)?.is_none() {
                        let value = value.ok_or(Broken::MessageLength)?;
                        self.note(newest);
                        return Ok(Some(Message { meta: found.meta, value }));
                    }
                }
                Look::Overwritten(_) => {}
                Look::NotYet => return Err(Broken::EarlierLap.into()),
            }
            // Overtaken while it was read. The writer that did so has found the tail a lap later.
            if self.ring.control.tail.load() < newest.saturating_add(self.ring.shape.capacity) {
                return Err(Broken::Lap.into());
            }
        }
    }

    /// Receives the newest value if it is newer than the last one that this reader has received.
    ///
    /// # Errors
    ///
    /// `RecvError::Empty` if there is no newer value, or the queue is damaged.
    pub fn try_recv(&mut self) -> Result<Message<T::Owned>, RecvError> {
        match self.newest()? {
            Some(newest) if newest >= self.seen => self.get()?.ok_or(RecvError::Empty),
            _ => Err(RecvError::Empty),
        }
    }

    /// Receives the newest value, and waits for one that is newer than the last received.
    ///
    /// # Errors
    ///
    /// The queue is damaged.
    pub fn recv(&mut self) -> Result<Message<T::Owned>, RecvError> {
        self.wait(None)
    }

    /// Receives the newest value, and waits for a newer one up to a deadline of the monotonic clock.
    ///
    /// # Errors
    ///
    /// `RecvError::TimedOut` if no newer value came before the deadline, or the queue is damaged.
    pub fn recv_timeout(&mut self, most: Duration) -> Result<Message<T::Owned>, RecvError> {
        self.wait(Some(most))
    }

    fn wait(&mut self, most: Option<Duration>) -> Result<Message<T::Owned>, RecvError> {
        let mut patience = Patience::new(most, FOR_A_MESSAGE);
        loop {
            let sleeps = !patience.spin();
            if sleeps {
                self.ring.control.bell.swap(1);
            }
            match self.try_recv() {
                Err(RecvError::Empty) => {}
                answer => return answer,
            }
            if patience.is_over() {
                return Err(RecvError::TimedOut);
            }
            if sleeps {
                patience.sleep(&self.ring.control.bell, 1);
            }
        }
    }

    /// Returns the number of the newest value.
    fn newest(&self) -> Result<Option<u64>, RecvError> {
        let tail = self.ring.control.tail.load();
        // The tail may lag by one message.
        let (word, lap) = self.ring.word_of(tail)?;
        Ok(if word.number() >= lap { Some(tail) } else { tail.checked_sub(1) })
    }

    /// Records for observers which value was given.
    fn note(&mut self, number: u64) {
        let next = number.saturating_add(1);
        self.seen = next;
        if let Some(rec) = self.ring.readers.get(self.me) {
            rec.given.store(next);
            rec.at.store(next);
        }
    }
}

impl<T: Payload + ?Sized> fmt::Debug for Latest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latest").field("key", &self.ring.site.key).field("seen", &self.seen).finish()
    }
}
