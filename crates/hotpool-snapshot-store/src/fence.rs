//! The fence: at most one host owns the pool of a process.

use crate::error::StoreError;
use crate::renew::{Lease, now};
use crate::store::{Core, Store};
use crate::swap::Seen;
use crate::token::{LONGEST, Token};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Shortest lease.
const SHORTEST: Duration = Duration::from_millis(200);
/// How often taking is tried again after another host changed the token in between.
const TRIES: usize = 10;

/// How a token is taken.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Taking {
    lease: Duration,
    waits: bool,
    forced: bool,
}

impl Default for Taking {
    /// Returns a lease of 15 s. A token that is held is watched for the lease of its owner, unless the
    /// owner was a process of this machine that has ended.
    fn default() -> Self {
        Taking { lease: Duration::from_secs(15), waits: true, forced: false }
    }
}

impl Taking {
    /// Sets the lease, from 200 ms to a day. It is renewed three times as often.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease.clamp(SHORTEST, LONGEST);
        self
    }

    /// Refuses at once if the token is held, and does not watch whether its owner is dead.
    #[must_use]
    pub fn at_once(mut self) -> Self {
        self.waits = false;
        self
    }

    /// Takes the token also from a living owner.
    #[must_use]
    pub fn by_force(mut self) -> Self {
        self.forced = true;
        self
    }
}

/// Whether this process owns the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FenceState {
    /// It does.
    Held,
    /// It cannot tell: the store did not answer for a whole lease. Another host may take the token.
    Unsure,
    /// It does not: another host took the token, or it was removed from the store.
    Lost {
        /// The new owner; `None` if there is no token.
        to: Option<Token>,
    },
}

/// The token of a process, which this process holds and renews in a thread.
///
/// Dropped, it gives the token back. After a kill, a process of the same machine can take it at once,
/// and another host one lease later.
#[derive(Debug)]
pub struct Fence {
    core: Arc<Core>,
    lease: Arc<Lease>,
    thread: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Fence {
    /// Takes the token of a process.
    ///
    /// If another owner holds it, this watches the token. If the owner renews it, taking is refused.
    /// If the token does not change for a whole lease, its owner is taken for dead, and this returns
    /// with a higher epoch. No clocks of two hosts are compared. An owner on this machine that has
    /// ended is followed at once.
    ///
    /// # Errors
    ///
    /// Fails with [`StoreError::Owned`] if another owner holds the token, and if the store cannot be
    /// reached, refuses, or has no conditional writes.
    pub fn take(store: &Store, process: &str, taking: Taking) -> Result<Fence, StoreError> {
        let core = Arc::clone(&store.core);
        check_name(process)?;
        let mut last = None;
        for _ in 0..TRIES {
            let mut seen = core.block_on(Seen::read(&core.place, process))?;
            if let Some(owner) = seen.token.clone().filter(|token| token.held && !taking.forced) {
                last = Some(owner.clone());
                if owner.is_of_the_dead() {
                    log::info!("{process}: takes the token of pid {}, which has ended", owner.pid);
                } else if !taking.waits {
                    break;
                } else {
                    match watch(&core, &seen, &owner)? {
                        Some(free) => seen = free,
                        None => break,
                    }
                }
            }
            let epoch = seen.token.as_ref().map_or(0, |token| token.epoch) + 1;
            let token = Token::new(process, epoch, taking.lease);
            let began = now();
            if let Some(seen) = write(&core, &seen, &token)? {
                return Ok(Self::start(core, Lease::new(token, seen, began)));
            }
        }
        let owner = last.map_or_else(|| "another host".into(), |token| token.owner());
        Err(StoreError::Owned { url: core.place.url().into(), process: process.into(), owner })
    }

    fn start(core: Arc<Core>, lease: Lease) -> Fence {
        let lease = Arc::new(lease);
        let (stop, stopped) = channel();
        let (its_core, its_lease) = (Arc::clone(&core), Arc::clone(&lease));
        let pause = lease.length() / 3;
        let renew = move || {
            while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                its_lease.renew(&its_core);
            }
        };
        let thread = std::thread::Builder::new().name("hotpool-fence".into()).spawn(renew);
        if let Err(error) = &thread {
            log::error!("the token of {} will not be renewed: {error}", lease.process());
        }
        Fence { core, lease, thread: thread.ok().map(|thread| (stop, thread)) }
    }

    /// Returns the process whose token this is.
    pub fn process(&self) -> &str {
        self.lease.process()
    }

    /// Returns the epoch of this ownership.
    pub fn epoch(&self) -> u64 {
        self.lease.epoch()
    }

    /// Returns whether this process owns the pool. Asks no store, and takes no time.
    pub fn state(&self) -> FenceState {
        self.lease.state()
    }

    /// Returns a question for [`MemoryPoolMgr::also_watch`](hotpool::MemoryPoolMgr::also_watch): it
    /// makes the pool's health say if the token was lost.
    pub fn watch(&self) -> impl Fn() -> Option<String> + Send + Sync + 'static {
        let (lease, url) = (Arc::clone(&self.lease), self.core.place.url().to_string());
        move || lease.problem(&url)
    }

    /// Renews the token now.
    ///
    /// # Errors
    ///
    /// Fails with [`StoreError::Lost`] if another host has it, or if the store does not answer.
    pub fn confirm(&self) -> Result<(), StoreError> {
        self.lease.renew(&self.core);
        match self.lease.confirmed() {
            true => Ok(()),
            false => {
                let why = self.lease.problem(self.core.place.url());
                let why = why.unwrap_or_else(|| format!("{} did not answer", self.core.place.url()));
                Err(StoreError::Lost { process: self.process().into(), why })
            }
        }
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.thread.take() {
            drop(stop);
            let _ = thread.join();
        }
        self.lease.release(&self.core);
    }
}

/// Reads who owns the pool of a process; `None` if the store has no token of it.
///
/// # Errors
///
/// Fails if the token is damaged, or if the store cannot be reached or refuses.
pub fn owner(store: &Store, process: &str) -> Result<Option<Token>, StoreError> {
    check_name(process)?;
    Ok(store.core.block_on(Seen::read(&store.core.place, process))?.token)
}

/// Watches a token of another owner until it changes or a whole lease is over. Returns it if it may be
/// taken, and `None` if the owner lives.
fn watch(core: &Core, seen: &Seen, owner: &Token) -> Result<Option<Seen>, StoreError> {
    let began = now();
    // The owner counts its lease from before its write, this from after its read.
    let lease = owner.lease() + owner.lease() / 10;
    let pause = (owner.lease() / 10).clamp(Duration::from_millis(20), Duration::from_secs(1));
    while now().saturating_sub(began) <= lease {
        std::thread::sleep(pause);
        let next = core.block_on(Seen::read(&core.place, &owner.process))?;
        match &next.token {
            Some(token) if token == owner => {}
            Some(token) if token.held => return Ok(None),
            _ => return Ok(Some(next)),
        }
    }
    Ok(Some(seen.clone()))
}

/// Writes a new token. After an error it finds out whether the token was written.
fn write(core: &Core, seen: &Seen, token: &Token) -> Result<Option<Seen>, StoreError> {
    let result = core.block_on(seen.replace(&core.place, token));
    if matches!(result, Ok(Some(_)) | Err(StoreError::Unconditional { .. })) {
        return result;
    }
    let found = core.block_on(Seen::read(&core.place, &token.process));
    match found {
        Ok(found) if found.token.as_ref() == Some(token) => Ok(Some(found)),
        _ => result,
    }
}

/// Refuses a process whose name the names of objects cannot keep.
fn check_name(process: &str) -> Result<(), StoreError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !process.is_empty() && !process.starts_with('.') && process.chars().all(is_plain) {
        return Ok(());
    }
    Err(StoreError::Name { process: process.into() })
}
