//! A quoted piece of an ini, for messages.

use std::fmt;

/// A quoted piece of an ini, as it is shown: at most 40 characters, control characters escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found(String);

impl Found {
    const SHOWN: usize = 40;

    pub(super) fn new(text: &str) -> Self {
        // One more character than is shown, to detect that the text is longer.
        Found(text.chars().take(Self::SHOWN + 1).collect())
    }

    /// Returns the text that `value` displays.
    pub(super) fn of(value: &dyn fmt::Display) -> Self {
        Self::new(&value.to_string())
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(Self::SHOWN) {
            Some((end, _)) => write!(f, "{:?}…", &self.0[..end]),
            None => write!(f, "{:?}", self.0),
        }
    }
}
