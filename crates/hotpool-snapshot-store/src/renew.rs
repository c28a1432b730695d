//! Renewing a token, and what is known of it meanwhile.

use crate::fence::FenceState;
use crate::store::Core;
use crate::swap::Seen;
use crate::token::Token;
use rustix::time::{ClockId, clock_gettime};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Returns the time since the boot of this host, with its sleep: a host that slept has lost its lease.
pub(crate) fn now() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}

/// A token that this process took.
#[derive(Debug)]
pub(crate) struct Lease {
    process: String,
    epoch: u64,
    nonce: String,
    length: Duration,
    /// Locked for a renewal.
    last: Mutex<Seen>,
    /// Locked for moments.
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    /// When the last renewal that succeeded began.
    good: Duration,
    /// Whether the last renewal succeeded.
    confirmed: bool,
    /// The new owner, or that there is no token.
    lost: Option<Option<Token>>,
    /// Whether it was given back.
    is_over: bool,
}

impl Lease {
    /// Returns the lease of a token that was written after `began`.
    pub(crate) fn new(token: Token, seen: Seen, began: Duration) -> Lease {
        let (length, epoch) = (token.lease(), token.epoch);
        let known = Known { good: began, confirmed: true, lost: None, is_over: false };
        let (last, known) = (Mutex::new(seen), Mutex::new(known));
        Lease { process: token.process, epoch, nonce: token.nonce, length, last, known }
    }

    pub(crate) fn process(&self) -> &str {
        &self.process
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) fn length(&self) -> Duration {
        self.length
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn state(&self) -> FenceState {
        let known = self.known();
        match &known.lost {
            Some(to) => FenceState::Lost { to: to.clone() },
            None if now().saturating_sub(known.good) > self.length => FenceState::Unsure,
            None => FenceState::Held,
        }
    }

    /// Returns whether the last renewal succeeded, and its lease runs.
    pub(crate) fn confirmed(&self) -> bool {
        self.state() == FenceState::Held && self.known().confirmed
    }

    /// Returns what is wrong, and what to do.
    pub(crate) fn problem(&self, url: &str) -> Option<String> {
        let process = &self.process;
        match self.state() {
            FenceState::Held => None,
            FenceState::Unsure if self.known().is_over => None,
            FenceState::Unsure => Some(format!(
                "the store {url} did not answer for {:?}: another host may take over the pool of {process}, and no \
                 snapshot is sent; check the network, or see with `hotpool fence show {url} {process}` who owns it",
                self.length
            )),
            FenceState::Lost { to: Some(to) } => Some(format!(
                "the pool of {process} now belongs to {}; stop this process: the world goes on there",
                to.owner()
            )),
            FenceState::Lost { to: None } => Some(format!(
                "the token of {process} was removed from {url}, so another host may take over; stop this process, or \
                 restart it to take the token again"
            )),
        }
    }

    /// Renews the token, and notes what came of it.
    pub(crate) fn renew(&self, core: &Core) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(token) = last.token.clone().filter(|_| self.known().lost.is_none()) else { return };
        let (began, next) = (now(), token.renewed());
        // Two answers fit into what a renewal has until the next one.
        let patience = self.length / 6;
        let written = core.within(patience, last.replace(&core.place, &next));
        if let Some(Ok(Some(seen))) = written {
            *last = seen;
            self.note(Some(began));
            return;
        }
        if let Some(Err(error)) = &written {
            log::warn!("cannot renew the token of {}: {error}", self.process);
        }
        // Not written, or written without an answer: the token says which.
        match core.within(patience, Seen::read(&core.place, &self.process)) {
            Some(Ok(seen)) if seen.token.as_ref().is_some_and(|found| self.is_ours(found)) => {
                let is_renewed = seen.token.as_ref().is_some_and(|found| found.renewal == next.renewal);
                *last = seen;
                self.note(is_renewed.then_some(began));
            }
            Some(Ok(seen)) => {
                let mut known = self.known();
                known.confirmed = false;
                known.lost = Some(seen.token);
                drop(known);
                log::error!("{}", self.problem(core.place.url()).unwrap_or_default());
            }
            Some(Err(_)) | None => self.note(None),
        }
    }

    fn is_ours(&self, token: &Token) -> bool {
        token.held && token.epoch == self.epoch && token.nonce == self.nonce
    }

    /// Notes a renewal that succeeded and began at `good`, or one that failed.
    fn note(&self, good: Option<Duration>) {
        let mut known = self.known();
        known.confirmed = good.is_some();
        known.good = good.unwrap_or(known.good);
    }

    /// Gives the token back, if it is still this one.
    pub(crate) fn release(&self, core: &Core) {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(token) = last.token.clone().filter(|_| self.known().lost.is_none()) else { return };
        self.known().is_over = true;
        let patience = self.length.min(Duration::from_secs(5));
        match core.within(patience, last.replace(&core.place, &token.released())) {
            Some(Ok(Some(_))) => {}
            Some(Err(error)) => log::warn!("cannot give back the token of {}: {error}", self.process),
            _ => log::warn!("cannot give back the token of {}: it ends with its lease", self.process),
        }
    }
}
