//! A pool as an observer has it: attached for reading, whoever owns it.

use super::backend::{Access, Backend};
use super::error::{ShareError, refused, system};
use super::facts::Facts;
use super::head::Head;
use super::home::Home;
use super::host_list::{is_complete_block, not_a_base};
use super::look::{self, observe};
use super::memory::pages::SegmentPages;
use super::observer::Observer;
use super::segment::Segment;
use super::verdict::Verdict;
use crate::conf::BackendKind;
use crate::region::Region;
use crate::sys;
use crate::units::Key;
use std::io;
use std::time::Duration;

/// The refusal of a pool that is not complete: it is being made, or its making was cut.
fn unfinished(facts: Facts) -> ShareError {
    match facts.verdict() {
        Verdict::Busy { holder } => {
            let making = Verdict::Making { by: holder };
            refused(making, facts)
        }
        verdict => refused(verdict, facts),
    }
}

/// The segments of a pool, attached for reading, and the registration that tells a start that they
/// are no rival's. The fields are in the order in which they are dropped.
#[derive(Debug)]
pub(crate) struct Observed {
    blocks: Vec<Segment>,
    base: Segment,
    backend: Box<dyn Backend>,
    facts: Facts,
    _registered: Option<Observer>,
}

impl Observed {
    /// Attaches the base under `key`. What is no pool, or the beginning of one, is refused.
    pub(crate) fn attach(key: Key, home: &Home) -> Result<Self, ShareError> {
        let facts = observe(key, home).map_err(system(key, 0, "look at"))?;
        if facts.head().is_some_and(Head::is_incomplete) {
            return Err(unfinished(facts));
        }
        if let Some(head) = facts.head().filter(|head| is_complete_block(head)) {
            return Err(not_a_base(home, key, head));
        }
        let ours = facts.head().is_some_and(Head::is_hotpool);
        // An owner is there before its pool is.
        let verdict = match facts.verdict() {
            Verdict::Busy { .. } if facts.segment.is_none() => Verdict::Absent,
            verdict => verdict,
        };
        let (true, Some(segment)) = (ours, &facts.segment) else {
            return Err(refused(verdict, facts));
        };
        let backend = home.open();
        let registered = match home.backend {
            BackendKind::Heap => None,
            _ => Observer::register(key),
        };
        let base =
            backend.attach(key, segment, Access::Read).map_err(system(key, segment.bytes.0, "attach"))?;
        // It may have begun again meanwhile.
        if Head::read(&base.region()).is_some_and(|head| head.is_incomplete()) {
            return Err(unfinished(observe(key, home).map_err(system(key, 0, "look at"))?));
        }
        Ok(Observed { blocks: Vec::new(), base, backend, facts, _registered: registered })
    }

    /// Reads a pool by `read`, and again until it was the same pool with the same owner from before the first byte was
    /// read until after the last one: an answer about bytes of two pools, or of one that is just being removed, would
    /// speak of damage where there is none.
    ///
    /// # Errors
    ///
    /// There is no pool under the key, it may not be read, or its owner changed during every look.
    pub(crate) fn steadily<T, E: From<ShareError>>(
        key: Key,
        home: &Home,
        mut read: impl FnMut(&mut Observed) -> Result<T, E>,
    ) -> Result<T, E> {
        const LOOKS: u32 = 200;
        let look = || look::sight(key, home).map_err(system(key, 0, "look at"));
        let here = |error: ShareError| error.at(&*home.open());
        for _ in 0..LOOKS {
            let before = look().map_err(here)?;
            if before.is_being_removed() {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            }
            let found = match Self::attach(key, home) {
                // It was removed or replaced after it was found.
                Err(ShareError::System { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                    continue;
                }
                Err(error) => return Err(here(error).into()),
                Ok(mut observed) => read(&mut observed),
            };
            if before.is_same_pool(&look().map_err(here)?) {
                return found;
            }
        }
        Err(system(key, 0, "look at")(look::unsteady()).into())
    }

    /// What was known of the base before it was attached.
    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Bytes of a page of the base.
    pub(crate) fn page(&self) -> u64 {
        self.base.page()
    }

    /// Memory of the base.
    pub(crate) fn base(&self) -> Region {
        self.base.region()
    }

    /// The pages that the base is made of; of transparent ones it tells as far as they have been looked at.
    pub(crate) fn base_pages(&self) -> io::Result<SegmentPages> {
        Ok(SegmentPages::of(self.facts.key, &self.base, &sys::pages::mappings()?))
    }

    /// Attaches what is under the key of a block.
    pub(crate) fn block(&mut self, key: Key) -> io::Result<Region> {
        let absent = || io::Error::new(io::ErrorKind::NotFound, format!("there is no segment under {key}"));
        let facts = self.backend.stat(key)?.filter(|facts| !facts.removed).ok_or_else(absent)?;
        let segment = self.backend.attach(key, &facts, Access::Read)?;
        let region = segment.region();
        self.blocks.push(segment);
        Ok(region)
    }
}
