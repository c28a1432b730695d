//! Collects problems, so that one compilation shows them all.

use proc_macro2::Span;
use quote::ToTokens;

/// A list of compile errors, to be returned after all checks.
#[derive(Default)]
pub(crate) struct Problems(Option<syn::Error>);

impl Problems {
    /// Adds a problem that is marked under all of `tokens`.
    pub(crate) fn under(&mut self, tokens: impl ToTokens, message: impl std::fmt::Display) {
        self.push(syn::Error::new_spanned(tokens, message));
    }

    /// Adds a problem at a span.
    pub(crate) fn at(&mut self, span: Span, message: impl std::fmt::Display) {
        self.push(syn::Error::new(span, message));
    }

    /// Adds an error of the parser.
    pub(crate) fn push(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            none => *none = Some(error),
        }
    }

    /// Returns `found`, or the problems if there are any. `found` may be `None` only if there are.
    pub(crate) fn unless_any<T>(self, found: Option<T>) -> syn::Result<T> {
        match (self.0, found) {
            (None, Some(found)) => Ok(found),
            (Some(error), _) => Err(error),
            (None, None) => unreachable!("a part was refused without a problem"),
        }
    }
}
