//! Guesses which known name a mistyped name stands for.

/// Returns the known name nearest to `typed`, if a slip of the hand explains the difference.
///
/// It allows one edit for every three letters and ignores case.
pub(super) fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let typed = Letters::of(typed)?;
    let near = known.into_iter().filter_map(|name| {
        let letters = Letters::of(name)?;
        let length = letters.len.max(typed.len);
        let allowed = (length / 3).max(1).min(length.saturating_sub(1));
        // The edits are at least the difference in length.
        if letters.len.abs_diff(typed.len) > allowed {
            return None;
        }
        let edits = distance(typed.get(), letters.get());
        (edits <= allowed).then_some((edits, name))
    });
    near.min_by_key(|(edits, _)| *edits).map(|(_, name)| name.to_owned())
}

/// Longest name in letters. Longer names are noise, and the distance is quadratic.
const MOST: usize = 64;

/// The letters of a name in lower case.
struct Letters {
    letters: [char; MOST],
    len: usize,
}

impl Letters {
    fn of(name: &str) -> Option<Self> {
        let (mut letters, mut len) = ([' '; MOST], 0);
        for letter in name.chars().flat_map(char::to_lowercase) {
            *letters.get_mut(len)? = letter;
            len += 1;
        }
        Some(Letters { letters, len })
    }

    fn get(&self) -> &[char] {
        self.letters.get(..self.len).unwrap_or_default()
    }
}

/// Returns the number of letters to insert, remove, replace, or swap with their neighbour.
#[expect(clippy::indexing_slicing, reason = "neither name has more than MOST letters")]
fn distance(a: &[char], b: &[char]) -> usize {
    // No distance exceeds 64.
    let mut before_last = [0; MOST + 1];
    let mut last: [u8; MOST + 1] = std::array::from_fn(|letters| letters as u8);
    for i in 0..a.len() {
        let mut row = [i as u8 + 1; MOST + 1];
        for j in 0..b.len() {
            let replaced = last[j] + u8::from(a[i] != b[j]);
            let mut least = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                least = least.min(before_last[j - 1] + 1);
            }
            row[j + 1] = least;
        }
        (before_last, last) = (last, row);
    }
    last[b.len()].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let known = ["BaseKey", "BlockSize", "ShmKeys"];
        let guess = |typed| nearest(typed, known);
        assert_eq!(guess("blocksize").as_deref(), Some("BlockSize"));
        assert_eq!(guess("ShmKey").as_deref(), Some("ShmKeys"));
        assert_eq!(guess("BsaeKey").as_deref(), Some("BaseKey"));
        assert_eq!(guess("BlokcSzie").as_deref(), Some("BlockSize"));
        assert_eq!(nearest("zoen", ["world", "zone"]).as_deref(), Some("zone"));
        assert_eq!(guess("Colour"), None);
        assert_eq!(guess(""), None);
        assert_eq!(guess(&"B".repeat(1000)), None);
        assert_eq!(nearest("x", []), None);
    }
}
