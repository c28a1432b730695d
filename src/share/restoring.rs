//! The creation of a pool from a set.
//!
//! All segments are drafts until the last byte is in place. The base comes first. It names the blocks
//! from the beginning, and all have an identity that only this restore has. So the next start finds
//! each segment that a killed restore has made, and removes no other (`remains.rs`).
//!
//! | step | state if killed after this step |
//! |---|---|
//! | the base is created, and marked as the draft of a restore | the beginning of a creation |
//! | its bytes are written | a draft that names blocks which do not exist |
//! | each block is created as such a draft, and filled | a draft that names drafts |
//! | each block becomes complete | a draft that names complete blocks |
//! | the base becomes complete | the pool |

use super::error::{ShareError, system};
use super::ground::{BlockWant, Ground, Judged, Made, Making};
use super::making::{self, Filling, Identity};
use super::prospect::Prospect;
use super::segment::Segment;
use crate::layout::{BASE_KIND, BLOCK_KIND};
use crate::region::Region;
use crate::sys;

/// A pool that is being created from a set. Dropping it removes what it has created.
pub(crate) struct Restoring {
    blocks: Vec<Segment>,
    base: Option<Segment>,
    /// The base first, then the blocks.
    made: Vec<Made>,
    pool_id: [u64; 2],
    ground: Ground,
}

impl Restoring {
    /// Creates the base as a draft; `fill` writes all but its frozen bytes, the table of blocks
    /// included.
    pub(crate) fn begin(prospect: Prospect, fill: &mut dyn FnMut(&Region)) -> Result<Self, ShareError> {
        let (base, ground, bytes) = prospect.into_parts();
        let key = ground.key;
        ground.check_lock(&base.facts)?;
        let pool_id = sys::random_id().map_err(system(key, bytes, "name"))?;
        let identity = Identity { key, pool_id, kind: BASE_KIND, index: 0, bytes };
        let plan = Making { setting: &ground.setting, populated: bytes, filling: Filling::Restore };
        let (base, made) = ground.draft(base, &identity, &plan)?;
        fill(&base.region());
        Ok(Restoring { blocks: Vec::new(), base: Some(base), made: vec![made], pool_id, ground })
    }

    /// Creates a block as a draft, which the base names; the caller writes all but its frozen
    /// bytes.
    pub(crate) fn block(&mut self, judged: Judged, want: &BlockWant) -> Result<Region, ShareError> {
        let (key, index, bytes) = (want.key, want.index, want.bytes);
        let identity = Identity { key, pool_id: self.pool_id, kind: BLOCK_KIND, index, bytes };
        let plan = Making { filling: Filling::Restore, ..Making::block(&self.ground.setting) };
        let (segment, made) = self.ground.draft(judged, &identity, &plan)?;
        let region = segment.region();
        self.made.push(made);
        self.blocks.push(segment);
        Ok(region)
    }

    /// Adds backend and folder to an error of the system.
    pub(crate) fn at_home(&self, error: ShareError) -> ShareError {
        error.at(&*self.ground.backend)
    }

    /// Completes the pool: the blocks, then the base.
    pub(crate) fn commit(mut self) {
        let Some(base) = self.base.take() else { return };
        self.made.clear();
        self.blocks.iter().for_each(|block| making::end(&block.region(), Filling::Restore));
        making::end(&base.region(), Filling::Restore);
        self.ground.is_adopted = true;
    }
}

impl Drop for Restoring {
    fn drop(&mut self) {
        // The base is the first, and names the others: it goes last.
        while let Some(made) = self.made.pop() {
            let segment = if self.made.is_empty() { self.base.take() } else { self.blocks.pop() };
            self.ground.take_back(segment, &made);
        }
    }
}
