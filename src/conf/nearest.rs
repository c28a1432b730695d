//! The name that was probably meant.

/// The known name nearest to `typed`, if it is near enough to be a slip of the hand:
/// one edit for every three letters, capitals aside.
pub(super) fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    // Long lines are noise, and the distance is quadratic.
    if typed.chars().count() > 64 {
        return None;
    }
    let typed: Vec<char> = typed.to_lowercase().chars().collect();
    let distances = known.into_iter().map(|name| {
        let letters: Vec<char> = name.to_lowercase().chars().collect();
        (distance(&typed, &letters), letters.len().max(typed.len()), name)
    });
    let (edits, letters, name) = distances.min_by_key(|(edits, _, _)| *edits)?;
    (edits <= (letters / 3).max(1) && edits < letters).then(|| name.to_owned())
}

/// Letters to insert, remove, replace, or swap with their neighbour; three rows of the table at a time.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before_last = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let replaced = last[j] + usize::from(a[i] != b[j]);
            let mut least = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                least = least.min(before_last[j - 1] + 1);
            }
            row.push(least);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
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
