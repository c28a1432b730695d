//! Texts of a segment, kept in whole words.

use crate::word::Word;

/// Stores a text in whole words, truncated to fit and padded with zeros.
pub(crate) fn fill_text(words: &[Word], text: &str) {
    let mut bytes = text.as_bytes().iter().copied();
    for word in words {
        let mut eight = [0; 8];
        for (to, from) in eight.iter_mut().zip(&mut bytes) {
            *to = from;
        }
        word.fill(u64::from_le_bytes(eight));
    }
}

/// Returns the text in whole words up to the first zero byte; invalid UTF-8 is replaced.
pub(crate) fn text(words: &[Word]) -> String {
    let bytes: Vec<u8> = words.iter().flat_map(|w| w.load().to_le_bytes()).take_while(|b| *b != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
