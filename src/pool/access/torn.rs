//! Operations of a program on torn objects.

use crate::object::Handle;
use crate::pool::manager::MemoryPoolMgr;
use crate::pool::start::suspects::{self, Torn};

impl MemoryPoolMgr {
    /// Returns the torn objects: those that this start found and that are not settled yet, and
    /// those of caught panics.
    ///
    /// A guard or walk that is dropped because its scope unwinds leaves its object here, as a death
    /// would leave it to the next start. The pool stays usable: handles resolve, and later guards
    /// do not cover the evidence. An object stays listed, in this start and later ones, until it is
    /// freed, put into quarantine, or [settled](Self::settle_torn). [`ready`](Self::ready) settles
    /// the objects that the [report](Self::resume_report) of this start has named, but none that
    /// was torn later. A clean [`close`](Self::close) settles nothing: the next start names the
    /// object again, and applies `OnTorn`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use bytemuck::{Pod, Zeroable};
    /// # use hotpool::conf::{BackendKind, ProcessConf};
    /// # use hotpool::pool::Torn;
    /// # use hotpool::units::{Bytes, Key};
    /// # use hotpool::{MemoryPoolMgr, PoolObject};
    /// # use std::panic::{AssertUnwindSafe, catch_unwind};
    /// # #[repr(C)] #[derive(Clone, Copy, Pod, Zeroable, PoolObject)] #[pool(id = 1)]
    /// # struct Player { gold: u64, checksum: u64 }
    /// # let mut conf = ProcessConf::new("zone", Key(0x4850_0140), Bytes(1 << 20), &[Key(0x4850_0141)]);
    /// # conf.backend = BackendKind::Heap;
    /// # let mut pool = MemoryPoolMgr::open(&conf)?;
    /// # pool.add_type::<Player>()?;
    /// # let player = pool.alloc(Player { gold: 100, checksum: 100 })?;
    /// # std::panic::set_hook(Box::new(|_| ()));
    /// let caught = catch_unwind(AssertUnwindSafe(|| {
    ///     let mut player = pool.get_mut(player).unwrap();
    ///     player.gold += 1;
    ///     panic!("before the checksum was changed");
    /// }));
    /// assert!(caught.is_err());
    /// assert_eq!(pool.torn(), [Torn::Object(player.handle())]);
    ///
    /// pool.update(player, |player| player.checksum = player.gold)?;
    /// assert!(pool.settle_torn(Torn::Object(player.handle())));
    /// assert!(pool.torn().is_empty());
    /// # pool.destroy()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn torn(&self) -> Vec<Torn> {
        let lives = |torn: &Torn| match torn {
            Torn::Object(object) => self.may_live(*object),
            Torn::AnyOf(_) => true,
        };
        suspects::listed(&self.base.header).filter(lives).collect()
    }

    /// Settles a torn object: the program has repaired it, or has found it intact.
    ///
    /// Returns false if it was not listed.
    pub fn settle_torn(&mut self, torn: Torn) -> bool {
        suspects::settle(&self.base.header, torn)
    }

    /// Returns whether an object may be live or in quarantine; a type that was not added may have
    /// it.
    fn may_live(&self, object: Handle) -> bool {
        let state = self.types.get(object.type_id());
        state.is_none_or(|state| state.is_parked(object) || state.lives(object))
    }
}
