//! When the last owner of a pool ended, by what the kernel noted of its segments.

use super::backend::SegmentFacts;

/// Time when the last owner of a pool ended, in seconds of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Exactly at this time.
    At(u64),
    /// At this time or before: another process has attached the pool since.
    Before(u64),
}

/// Returns when the process `pid` detached the segments of its pool; `None` if no backend notes it.
///
/// The kernel notes the last process of each segment, and when it detached. A tool that attaches the
/// base overwrites that for the base, but not for the blocks.
pub(crate) fn detached<'a>(
    pid: u64,
    segments: impl Iterator<Item = &'a SegmentFacts> + Clone,
) -> Option<Ended> {
    let by_owner = |segment: &&SegmentFacts| {
        segment.last_pid.is_some_and(|last| last != 0 && u64::try_from(last) == Ok(pid))
    };
    let last = segments.clone().filter(by_owner).filter_map(|segment| segment.last_detach).max();
    let first = || segments.filter_map(|segment| segment.last_detach).min();
    last.map(Ended::At).or_else(|| first().map(Ended::Before))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Bytes;

    fn segment(last_pid: i32, last_detach: u64) -> SegmentFacts {
        SegmentFacts {
            bytes: Bytes(1),
            uid: 0,
            gid: 0,
            mode: 0o600,
            id: 1,
            creator_pid: None,
            last_pid: Some(last_pid),
            attached: Some(0),
            removed: false,
            changed: 0,
            last_attach: None,
            last_detach: Some(last_detach),
        }
    }

    #[test]
    fn a_tool_that_attached_the_base_does_not_hide_the_end_of_the_owner() {
        let (base, block) = (segment(99, 20), segment(7, 10));
        assert_eq!(detached(7, [&base, &block].into_iter()), Some(Ended::At(10)));
        assert_eq!(detached(7, [&base].into_iter()), Some(Ended::Before(20)));
        assert_eq!(detached(0, [&segment(0, 20)].into_iter()), Some(Ended::Before(20)));
    }
}
