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

/// Letters to insert, remove or replace (Levenshtein), one row of the table at a time.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
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
        assert_eq!(guess("Colour"), None);
        assert_eq!(guess(""), None);
        assert_eq!(guess(&"B".repeat(1000)), None);
        assert_eq!(nearest("x", []), None);
    }
}
