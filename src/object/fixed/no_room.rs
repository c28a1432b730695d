//! `NoRoom`: the error that gives a value back.

/// A value that a collection of fixed capacity has no room for.
///
/// ```
/// use hotpool::object::FixedVec;
///
/// let mut bag = FixedVec::<u32, 2>::new();
/// bag.push(1)?;
/// bag.push(2)?;
/// let error = bag.push(3).unwrap_err();
/// assert_eq!(error.to_string(), "no room: the capacity is 2");
/// assert_eq!(error.value, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom<T> {
    /// The value that was not taken.
    pub value: T,
    /// The capacity of the collection.
    pub capacity: usize,
}

impl<T> std::fmt::Display for NoRoom<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no room: the capacity is {}", self.capacity)
    }
}

impl<T: std::fmt::Debug> std::error::Error for NoRoom<T> {}
