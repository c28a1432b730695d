//! Objects of the program that are written straight into their form in shared memory, and read
//! back.
//!
//! The form is a plain struct: of the pointers of the object it has what they point to, in arrays
//! of a fixed size, or handles. There is one copy, from the object into the slot or message.

use bytemuck::Pod;

/// A part of an object is larger than the room that its form has for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part}: {found} do not fit, there is room for {max}{}", if_nul(.has_nul))]
#[non_exhaustive]
pub struct DoesNotFit {
    /// The field, with those that it is in: `bag[3].name`.
    pub part: String,
    /// Number of bytes or elements.
    pub found: usize,
    /// Number of those that have room.
    pub max: usize,
    has_nul: bool,
}

fn if_nul(has_nul: &bool) -> &'static str {
    if *has_nul { ", and for no NUL" } else { "" }
}

/// The bytes of a form are not those of an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part}: {why}")]
#[non_exhaustive]
pub struct NotReadable {
    /// The field, with those that it is in.
    pub part: String,
    /// What is wrong.
    pub why: &'static str,
}

/// An object that has a form `F` in shared memory. [`Place`](derive@crate::object::Place) derives it.
///
/// A plain type is its own form. A `String` has the form `[u8; N]`, filled up with NULs. A `Vec<T>`
/// has the form `[F; N]` and the number of its elements, in two fields.
pub trait Place<F: Pod>: Sized {
    /// Fails if a part has no room in the form.
    ///
    /// # Errors
    ///
    /// Names the first such part.
    fn fits(&self) -> Result<(), DoesNotFit>;

    /// Writes the object into its form, all of which is zero. What does not fit is cut off: ask
    /// [`fits`](Place::fits) before.
    fn write(&self, form: &mut F);

    /// Returns the object that a form has. Fields that are not in the form get their default.
    ///
    /// # Errors
    ///
    /// Names the first part that cannot be read, if the form was not written by `write`.
    fn read(form: &F) -> Result<Self, NotReadable>;

    /// Writes the object into a form with any content.
    ///
    /// # Errors
    ///
    /// A part does not fit. Nothing is written then.
    fn place(&self, form: &mut F) -> Result<(), DoesNotFit> {
        self.fits()?;
        bytemuck::bytes_of_mut(form).fill(0);
        self.write(form);
        Ok(())
    }
}

impl<T: Pod> Place<T> for T {
    fn fits(&self) -> Result<(), DoesNotFit> {
        Ok(())
    }

    fn write(&self, form: &mut T) {
        *form = *self;
    }

    fn read(form: &T) -> Result<T, NotReadable> {
        Ok(*form)
    }
}

impl<const N: usize> Place<[u8; N]> for String {
    fn fits(&self) -> Result<(), DoesNotFit> {
        let has_nul = self.contains('\0');
        match self.len() {
            found if found <= N && !has_nul => Ok(()),
            found => Err(DoesNotFit { part: String::new(), found, max: N, has_nul }),
        }
    }

    fn write(&self, form: &mut [u8; N]) {
        form.iter_mut().zip(self.bytes()).for_each(|(to, byte)| *to = byte);
    }

    fn read(form: &[u8; N]) -> Result<String, NotReadable> {
        let text = form.split(|byte| *byte == 0).next().unwrap_or_default();
        let why = "it is not UTF-8";
        let text = std::str::from_utf8(text).map_err(|_| NotReadable { part: String::new(), why })?;
        Ok(text.into())
    }
}

/// Fails if a field has no room in the field of the form that `_to` finds.
#[doc(hidden)]
pub fn part_fits<S, T: Place<F>, F: Pod>(part: &T, _to: impl FnOnce(&S) -> &F) -> Result<(), DoesNotFit> {
    part.fits()
}

/// Fails if a list has more elements than its form, or one of its elements does not fit.
#[doc(hidden)]
pub fn list_fits<S, T: Place<F>, F: Pod, const N: usize>(
    list: &[T],
    _to: impl FnOnce(&S) -> &[F; N],
) -> Result<(), DoesNotFit> {
    if list.len() > N {
        return Err(DoesNotFit { part: String::new(), found: list.len(), max: N, has_nul: false });
    }
    list.iter().enumerate().try_for_each(|(at, item)| item.fits().map_err(|error| error.at(at)))
}

/// Writes a list; returns the number of its elements.
#[doc(hidden)]
pub fn write_list<T: Place<F>, F: Pod, const N: usize>(list: &[T], form: &mut [F; N]) -> u32 {
    form.iter_mut().zip(list).for_each(|(to, item)| item.write(to));
    u32::try_from(list.len().min(N)).unwrap_or(u32::MAX)
}

/// Reads a list of `count` elements.
#[doc(hidden)]
pub fn read_list<T: Place<F>, F: Pod, const N: usize>(
    form: &[F; N],
    count: u32,
) -> Result<Vec<T>, NotReadable> {
    let why = "it has more elements than there is room for";
    let items = form.get(..count as usize).ok_or_else(|| NotReadable { part: String::new(), why })?;
    items.iter().enumerate().map(|(at, item)| T::read(item).map_err(|error| error.at(at))).collect()
}

/// Puts the name of what a part is in before its own.
fn within(outer: &str, part: &str) -> String {
    if part.is_empty() || part.starts_with('[') {
        format!("{outer}{part}")
    } else {
        format!("{outer}.{part}")
    }
}

impl DoesNotFit {
    #[doc(hidden)]
    pub fn of(self, field: &str) -> Self {
        DoesNotFit { part: within(field, &self.part), ..self }
    }

    fn at(self, number: usize) -> Self {
        self.of(&format!("[{number}]"))
    }
}

impl NotReadable {
    #[doc(hidden)]
    pub fn of(self, field: &str) -> Self {
        NotReadable { part: within(field, &self.part), ..self }
    }

    fn at(self, number: usize) -> Self {
        self.of(&format!("[{number}]"))
    }
}
