//! Endless laps over a list.

/// The position at which the next lap over a list begins. Laps continue, so that a short one does
/// not find in the cache what the previous one read.
#[derive(Default)]
pub struct Cycle {
    at: usize,
}

impl Cycle {
    /// Returns the next `count` positions of a list of `len`, as ranges.
    pub fn take(&mut self, len: usize, count: usize) -> impl Iterator<Item = std::ops::Range<usize>> + use<> {
        let (mut at, mut left) = (self.at % len.max(1), count);
        self.at = (at + count) % len.max(1);
        std::iter::from_fn(move || {
            if left == 0 || len == 0 {
                return None;
            }
            let part = at..len.min(at + left);
            left -= part.len();
            at = part.end % len;
            Some(part)
        })
    }
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "the parts of a cycle are ranges")]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::single_range_in_vec_init, reason = "one range is what is expected")]
    fn laps_continue_where_the_last_one_ended() {
        let mut cycle = Cycle::default();
        let parts = |cycle: &mut Cycle, count| cycle.take(10, count).collect::<Vec<_>>();
        assert_eq!(parts(&mut cycle, 4), [0..4]);
        assert_eq!(parts(&mut cycle, 18), [4..10, 0..10, 0..2]);
        assert_eq!(parts(&mut cycle, 8), [2..10]);
        assert_eq!(parts(&mut cycle, 1), [0..1]);
    }
}
