//! The types of a pool by type number, in which the state of a Rust type is found with one
//! comparison.
//!
//! A type number without an added type leads to a state without slots, whose token no type has. So
//! a lookup reads the token at once, and need not check first whether a state exists.
//!
//! # What the unsafe code here relies on
//!
//! Every pointer of the table leads to a `TypeState` on the heap, which the table owns and frees
//! when it is dropped. Many type numbers lead to `nothing`, which is never lent exclusively and
//! never bound to a type. One type number leads to every other state: only `insert` stores
//! pointers, each to a state that it has just taken over.
#![allow(unsafe_code)]

use crate::limits;
use crate::object::PoolObject;
use crate::pool::store::type_state::TypeState;
use crate::pool::store::wanted::Token;
use std::ptr::NonNull;

/// The states of all types that this process has added.
pub(crate) struct TypeTable {
    states: Box<[NonNull<TypeState>; limits::TYPE_TABLE as usize]>,
    nothing: NonNull<TypeState>,
}

// SAFETY: the states belong to the table and move with it; a `TypeState` can be sent.
unsafe impl Send for TypeTable {}

const _: () = {
    const fn can_be_sent<T: Send>() {}
    can_be_sent::<TypeState>();
};

impl TypeTable {
    /// Creates a table without types; `nothing` is a state without slots.
    pub(crate) fn new(nothing: TypeState) -> Self {
        let nothing = NonNull::from(Box::leak(Box::new(nothing)));
        TypeTable { states: Box::new([nothing; limits::TYPE_TABLE as usize]), nothing }
    }

    /// Returns the state of type `T`; `None` if it was not added.
    #[inline(always)]
    pub(crate) fn of<T: PoolObject>(&self) -> Option<&TypeState> {
        let state = self.states.get(usize::from(T::TYPE_ID))?;
        // SAFETY: the table owns it, and is borrowed shared.
        let state = unsafe { state.as_ref() };
        (state.slots.token() == Token::of::<T>()).then_some(state)
    }

    /// Returns the state of type `T` for changes; `None` if it was not added.
    #[inline(always)]
    pub(crate) fn of_mut<T: PoolObject>(&mut self) -> Option<&mut TypeState> {
        let mut state = *self.states.get(usize::from(T::TYPE_ID))?;
        // SAFETY: the table owns it, and nothing else borrows the table.
        if unsafe { state.as_ref() }.slots.token() != Token::of::<T>() {
            return None;
        }
        // SAFETY: it is bound to `T`, so it is not `nothing`; nothing else borrows the table.
        Some(unsafe { state.as_mut() })
    }

    /// Returns the state of the type with this type number.
    pub(crate) fn get(&self, number: u16) -> Option<&TypeState> {
        let state = self.states.get(usize::from(number)).filter(|state| **state != self.nothing)?;
        // SAFETY: the table owns it, and is borrowed shared.
        Some(unsafe { state.as_ref() })
    }

    /// Returns the state of the type with this type number for changes.
    pub(crate) fn get_mut(&mut self, number: u16) -> Option<&mut TypeState> {
        let mut state = *self.states.get(usize::from(number)).filter(|state| **state != self.nothing)?;
        // SAFETY: it is not `nothing`, and nothing else borrows the table.
        Some(unsafe { state.as_mut() })
    }

    /// Returns the states of several types for changes; `None` if a number occurs twice or is too
    /// large.
    pub(crate) fn several_mut<const N: usize>(
        &mut self,
        numbers: [u16; N],
    ) -> Option<[Option<&mut TypeState>; N]> {
        let nothing = self.nothing;
        let places = self.states.get_disjoint_mut(numbers.map(usize::from)).ok()?;
        Some(places.map(|place| {
            if *place == nothing {
                return None;
            }
            // SAFETY: the numbers differ, so the states that are not `nothing` do; nothing else borrows the table.
            Some(unsafe { place.as_mut() })
        }))
    }

    /// Adds the state of a type under its type number, which has none yet, and returns it.
    pub(crate) fn insert(&mut self, number: u16, state: TypeState) -> Option<&mut TypeState> {
        let nothing = self.nothing;
        let place = self.states.get_mut(usize::from(number)).filter(|place| **place == nothing)?;
        *place = NonNull::from(Box::leak(Box::new(state)));
        self.get_mut(number)
    }

    /// Returns all states.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &TypeState> {
        (0..limits::TYPE_TABLE as u16).filter_map(|number| self.get(number))
    }

    /// Calls `f` with every state, for changes.
    pub(crate) fn for_each_mut(&mut self, mut f: impl FnMut(&mut TypeState)) {
        for number in 0..limits::TYPE_TABLE as u16 {
            self.get_mut(number).map(&mut f);
        }
    }
}

impl Drop for TypeTable {
    fn drop(&mut self) {
        let nothing = self.nothing;
        for state in self.states.iter().filter(|state| **state != nothing) {
            // SAFETY: `insert` took it out of a box, and one number leads to it.
            drop(unsafe { Box::from_raw(state.as_ptr()) });
        }
        // SAFETY: `new` took it out of a box.
        drop(unsafe { Box::from_raw(nothing.as_ptr()) });
    }
}
