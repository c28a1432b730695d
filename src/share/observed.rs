//! A pool as an observer sees it: attached for reading, with or without an owner.

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

/// Returns the refusal of an unfinished pool, whose creation is running or was interrupted.
fn unfinished(facts: Facts) -> ShareError {
    match facts.verdict() {
        Verdict::Busy { holder } => {
            let making = Verdict::Making { by: holder };
            refused(making, facts)
        }
        verdict => refused(verdict, facts),
    }
}

/// The segments of a pool, attached for reading, and the registration as an observer.
///
/// The registration tells a start that this is no rival. The fields are in the order in which they
/// are dropped.
#[derive(Debug)]
pub(crate) struct Observed {
    blocks: Vec<Segment>,
    base: Segment,
    backend: Box<dyn Backend>,
    facts: Facts,
    _registered: Option<Observer>,
}

impl Observed {
    /// Attaches the base under `key`. A segment that is not a complete base is refused.
    pub(crate) fn attach(key: Key, home: &Home) -> Result<Self, ShareError> {
        let facts = observe(key, home).map_err(system(key, 0, "inspect"))?;
        if facts.head().is_some_and(Head::is_incomplete) {
            return Err(unfinished(facts));
        }
        if let Some(head) = facts.head().filter(|head| is_complete_block(head)) {
            return Err(not_a_base(home, key, head));
        }
        let is_hotpool = facts.head().is_some_and(Head::is_hotpool);
        // An owner takes its lock before it creates its pool.
        let verdict = match facts.verdict() {
            Verdict::Busy { .. } if facts.segment.is_none() => Verdict::Absent,
            verdict => verdict,
        };
        let (true, Some(segment)) = (is_hotpool, &facts.segment) else {
            return Err(refused(verdict, facts));
        };
        let backend = home.open();
        let registered = match home.backend {
            BackendKind::Heap => None,
            _ => Observer::register(key),
        };
        let base =
            backend.attach(key, segment, Access::Read).map_err(system(key, segment.bytes.0, "attach"))?;
        // The pool may have begun again meanwhile.
        if Head::read(&base.region()).is_some_and(|head| head.is_incomplete()) {
            return Err(unfinished(observe(key, home).map_err(system(key, 0, "inspect"))?));
        }
        Ok(Observed { blocks: Vec::new(), base, backend, facts, _registered: registered })
    }

    /// Reads a pool by `read`, repeatedly until pool and owner were the same before and after.
    ///
    /// Bytes of two pools, or of one that is being removed, would otherwise be reported as damage.
    ///
    /// # Errors
    ///
    /// Fails if there is no pool under the key, if it may not be read, or if its owner changed
    /// during every reading.
    pub(crate) fn steadily<T, E: From<ShareError>>(
        key: Key,
        home: &Home,
        mut read: impl FnMut(&mut Observed) -> Result<T, E>,
    ) -> Result<T, E> {
        const READINGS: u32 = 200;
        let look = || look::sight(key, home).map_err(system(key, 0, "inspect"));
        let here = |error: ShareError| error.at(&*home.open());
        for _ in 0..READINGS {
            let before = look().map_err(here)?;
            if before.is_being_removed() {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            }
            let found = match Self::attach(key, home) {
                // The segment was removed or replaced after it was found.
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
        Err(system(key, 0, "inspect")(look::unsteady()).into())
    }

    /// Returns the facts about the base from before the attach.
    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Returns the size of a page of the base in bytes.
    pub(crate) fn page(&self) -> u64 {
        self.base.page()
    }

    /// Returns the memory of the base.
    pub(crate) fn base(&self) -> Region {
        self.base.region()
    }

    /// Returns the pages of the base; of transparent ones, those that this process has read.
    pub(crate) fn base_pages(&self) -> io::Result<SegmentPages> {
        Ok(SegmentPages::of(self.facts.key, &self.base, &sys::pages::mappings()?))
    }

    /// Attaches the segment under the key of a block.
    pub(crate) fn block(&mut self, key: Key) -> io::Result<Region> {
        let absent = || io::Error::new(io::ErrorKind::NotFound, format!("there is no segment under {key}"));
        let facts = self.backend.stat(key)?.filter(|facts| !facts.removed).ok_or_else(absent)?;
        let segment = self.backend.attach(key, &facts, Access::Read)?;
        let region = segment.region();
        self.blocks.push(segment);
        Ok(region)
    }
}
