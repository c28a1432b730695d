//! `FixedStr`: a string of a fixed capacity.
//!
//! # What the unsafe code here relies on
//!
//! The bytes are UTF-8: only whole strings and characters are appended, texts are cut only between
//! characters, and `add_type` has checked the strings of an object that an earlier owner left.
#![allow(unsafe_code)]

use super::no_room::NoRoom;
use super::vec::FixedVec;
use crate::object::{Field, Fingerprint, Rule, Schema, Stored};
use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::str::FromStr;

/// A string of at most `N` bytes, as a field of an object.
///
/// It has the methods of [`str`]. What does not fit is given back in an error, and never cut off.
///
/// ```
/// use hotpool::object::FixedStr;
///
/// let mut name: FixedStr<8> = "Ysabel".try_into()?;
/// name.push('!')?;
/// assert_eq!(name, "Ysabel!");
/// assert!(name.starts_with('Y'));
/// let error = name.push_str("??").unwrap_err();
/// assert_eq!((error.value, name.as_str()), ("??", "Ysabel!"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[repr(transparent)]
#[derive(Clone, Copy, Default)]
pub struct FixedStr<const N: usize> {
    bytes: FixedVec<u8, N>,
}

// SAFETY: the layout of a list of bytes, and the text in use is UTF-8.
unsafe impl<const N: usize> Stored for FixedStr<N> {
    const RULE: &'static Rule = &Rule::text(size_of::<Self>(), N);
}

impl<const N: usize> Schema for FixedStr<N> {
    const FINGERPRINT: u64 = Fingerprint::new("text").number(N as u64).finish();
    const FIELDS: &'static [Field] = FixedVec::<u8, N>::FIELDS;
}

impl<const N: usize> FixedStr<N> {
    /// Creates an empty string.
    pub const fn new() -> Self {
        FixedStr { bytes: FixedVec::new() }
    }

    /// Returns the number of bytes that there is room for.
    pub const fn capacity(&self) -> usize {
        N
    }

    /// Returns the string.
    #[inline]
    pub const fn as_str(&self) -> &str {
        // SAFETY: the bytes are UTF-8, see the top of this file.
        unsafe { std::str::from_utf8_unchecked(self.bytes.as_slice()) }
    }

    /// Appends a character.
    ///
    /// # Errors
    ///
    /// Returns the character if it does not fit.
    pub fn push(&mut self, char: char) -> Result<(), NoRoom<char>> {
        let mut bytes = [0; 4];
        self.push_str(char.encode_utf8(&mut bytes)).map_err(|_| NoRoom { value: char, capacity: N })
    }

    /// Appends a string.
    ///
    /// # Errors
    ///
    /// Returns the string if not all of it fits. Nothing is appended then.
    pub fn push_str<'a>(&mut self, text: &'a str) -> Result<(), NoRoom<&'a str>> {
        self.bytes.extend_from_slice(text.as_bytes()).map_err(|_| NoRoom { value: text, capacity: N })
    }

    /// Removes the last character and returns it.
    pub fn pop(&mut self) -> Option<char> {
        let last = self.chars().next_back()?;
        self.bytes.truncate(self.len() - last.len_utf8());
        Some(last)
    }

    /// Shortens the string to the characters that lie in its first `len` bytes as a whole.
    pub fn truncate(&mut self, len: usize) {
        let whole = (0..=len.min(self.len())).rev().find(|at| self.is_char_boundary(*at));
        self.bytes.truncate(whole.unwrap_or(0));
    }

    /// Removes all characters.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Replaces the string.
    ///
    /// # Errors
    ///
    /// Returns the string if it does not fit. Nothing is changed then.
    pub fn set<'a>(&mut self, text: &'a str) -> Result<(), NoRoom<&'a str>> {
        *self = text.try_into()?;
        Ok(())
    }
}

impl<const N: usize> Deref for FixedStr<N> {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl<const N: usize> AsRef<str> for FixedStr<N> {
    fn as_ref(&self) -> &str {
        self
    }
}

impl<const N: usize> Borrow<str> for FixedStr<N> {
    fn borrow(&self) -> &str {
        self
    }
}

impl<'a, const N: usize> TryFrom<&'a str> for FixedStr<N> {
    type Error = NoRoom<&'a str>;

    fn try_from(text: &'a str) -> Result<Self, Self::Error> {
        let mut new = Self::new();
        new.push_str(text).map(|()| new)
    }
}

impl<const N: usize> FromStr for FixedStr<N> {
    type Err = NoRoom<String>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.try_into().map_err(|_| NoRoom { value: text.into(), capacity: N })
    }
}

/// Writes what fits as a whole; the error of a larger piece is that of `write!`.
impl<const N: usize> fmt::Write for FixedStr<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push_str(text).map_err(|_| fmt::Error)
    }
}

impl<const N: usize, S: AsRef<str> + ?Sized> PartialEq<S> for FixedStr<N> {
    #[inline]
    fn eq(&self, other: &S) -> bool {
        self.as_str() == other.as_ref()
    }
}

impl<const N: usize> Eq for FixedStr<N> {}

impl<const N: usize> PartialOrd for FixedStr<N> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<const N: usize> Ord for FixedStr<N> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other)
    }
}

/// Hashes as a `str` does.
impl<const N: usize> Hash for FixedStr<N> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl<const N: usize> fmt::Display for FixedStr<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl<const N: usize> fmt::Debug for FixedStr<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
