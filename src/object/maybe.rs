//! `Maybe`: an option whose bytes are the same in every build.

use crate::object::Schema;

/// A field that may have no value: an [`Option`] whose layout never changes.
///
/// The compiler may choose another layout for `Option` in each build, so it cannot lie in a segment.
/// A `Maybe` has a byte that is 0 for `None` and 1 for `Some`, then the value at its alignment.
///
/// ```
/// use hotpool::object::Maybe;
///
/// let mut guild: Maybe<u32> = Maybe::None;
/// assert_eq!(guild.get(), None);
/// guild.set(Some(7));
/// assert_eq!(guild, Maybe::Some(7));
/// if let Some(number) = guild.as_mut() {
///     *number += 1;
/// }
/// assert_eq!(guild.take(), Some(8));
/// assert!(guild.is_none());
/// ```
#[repr(C, u8)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Schema)]
pub enum Maybe<T> {
    /// No value.
    #[default]
    None = 0,
    /// A value.
    Some(T) = 1,
}

impl<T> Maybe<T> {
    /// Returns a reference to the value.
    pub const fn as_ref(&self) -> Option<&T> {
        match self {
            Maybe::Some(value) => Some(value),
            Maybe::None => None,
        }
    }

    /// Returns a reference to the value, to change it.
    pub const fn as_mut(&mut self) -> Option<&mut T> {
        match self {
            Maybe::Some(value) => Some(value),
            Maybe::None => None,
        }
    }

    /// Returns whether there is a value.
    pub const fn is_some(&self) -> bool {
        matches!(self, Maybe::Some(_))
    }

    /// Returns whether there is no value.
    pub const fn is_none(&self) -> bool {
        !self.is_some()
    }

    /// Returns the value as an [`Option`], which has all the other methods.
    pub fn into_option(self) -> Option<T> {
        self.into()
    }

    /// Returns a copy of the value as an [`Option`].
    pub fn get(&self) -> Option<T>
    where
        T: Copy,
    {
        self.as_ref().copied()
    }

    /// Sets or removes the value.
    pub fn set(&mut self, value: impl Into<Maybe<T>>) {
        *self = value.into();
    }

    /// Removes the value and returns it.
    pub fn take(&mut self) -> Option<T> {
        self.replace_with(Maybe::None)
    }

    /// Sets the value and returns the old one.
    pub fn replace(&mut self, value: T) -> Option<T> {
        self.replace_with(Maybe::Some(value))
    }

    /// Returns an iterator over the value, if there is one.
    pub fn iter(&self) -> std::option::IntoIter<&T> {
        self.as_ref().into_iter()
    }

    fn replace_with(&mut self, new: Maybe<T>) -> Option<T> {
        std::mem::replace(self, new).into()
    }
}

impl<T> From<Option<T>> for Maybe<T> {
    fn from(option: Option<T>) -> Self {
        option.map_or(Maybe::None, Maybe::Some)
    }
}

impl<T> From<T> for Maybe<T> {
    fn from(value: T) -> Self {
        Maybe::Some(value)
    }
}

impl<T> From<Maybe<T>> for Option<T> {
    fn from(maybe: Maybe<T>) -> Self {
        match maybe {
            Maybe::Some(value) => Some(value),
            Maybe::None => None,
        }
    }
}
