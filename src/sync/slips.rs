//! Bugs in locks and queues that a test build plants on purpose. `tests/message_kills.rs` shows
//! that it detects each.
//!
//! They exist only with the feature `__internal_mutants`, like those of the pool in `src/mutants.rs`.

macro_rules! slips {
    ($($name:ident: $says:literal, $by:literal;)+) => {
        /// A bug in the order of stores.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[cfg_attr(not(feature = "__internal_mutants"), allow(dead_code, reason = "named where they are planted"))]
        #[repr(u32)]
        pub enum Slip {
            $(#[doc = $says] $name,)+
        }

        /// Lists every bug: its name, its effect, and the scenario that detects it.
        #[cfg(feature = "__internal_mutants")]
        pub const ALL: &[(Slip, &str, &str)] = &[$((Slip::$name, $says, $by)),+];
    };
}

slips! {
    PublishFirst: "send publishes a message before its head is filled", "channel: send, later lap";
    NameNoWork: "send publishes a message before its work names it", "channel: send, later lap";
    ClockLast: "send counts a message after its work is done", "channel: send, first lap";
    ForgetOther: "send overwrites a message whose writer has not finished", "writer died at its commit";
    TakeUnasked: "a writer that returns does not look whether its work is published", "a writer returns that died";
    GiveFirst: "recv takes note of a message before it is given", "broadcast: recv";
    LoseBroken: "the lock of a dead holder is taken as if it had been given back", "and repair";
    GiveNothing: "recv does not note that a message was given", "broadcast: recv";
    PositionFirst: "recv_in stores the position before the commit", "recv_in";
    PositionLast: "recv_in stores the position after the commit", "recv_in";
    TrustCopy: "a reader of the last value does not check its copy", "latest: recv beside a writer";
    ClaimUnnamed: "a consumer claims a message before its record names it", "work: recv";
    AdoptLiving: "a consumer takes the message of one that lives", "work: recv beside";
    VoidLast: "a writer reuses bytes of its payload area before it says so", "payload broadcast: send over";
    ReuseUnasked: "a writer reuses bytes that a reader has not passed", "payload channel: send into a full area";
    ForgetHeld: "a writer that returns does not look which bytes its messages have", "payload channel: a writer returns";
    TrustBytes: "a reader does not check whether bytes were reused", "payload broadcast: recv beside a writer";
    CompleteBeforeHead: "a new segment is marked as complete before its head is filled", "leftovers: stores of a creation";
    CompleteBeforeRecords: "a new segment is marked as complete before its records are filled", "leftovers: stores of a creation";
    GiveBackFirst: "a writer gives its lock back before it writes", "rwlock: write";
}

#[cfg(feature = "__internal_mutants")]
mod active {
    use super::Slip;
    use std::sync::atomic::{AtomicU32, Ordering};

    static ACTIVE: AtomicU32 = AtomicU32::new(u32::MAX);

    /// Plants this bug instead of the previous one.
    pub fn plant(slip: Option<Slip>) {
        ACTIVE.store(slip.map_or(u32::MAX, |slip| slip as u32), Ordering::SeqCst);
    }

    #[inline(always)]
    pub(crate) fn planted(slip: Slip) -> bool {
        ACTIVE.load(Ordering::SeqCst) == slip as u32
    }
}

#[cfg(feature = "__internal_mutants")]
pub use active::plant;
#[cfg(feature = "__internal_mutants")]
pub(crate) use active::planted;

/// Returns whether a bug is planted: never without the feature `__internal_mutants`.
#[cfg(not(feature = "__internal_mutants"))]
#[inline(always)]
pub(crate) const fn planted(_: Slip) -> bool {
    false
}
