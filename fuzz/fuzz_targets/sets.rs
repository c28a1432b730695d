//! Lists and reads sets whose files are damaged.
#![no_main]

#[path = "../../tests/damage/mod.rs"]
mod damage;

use damage::sets::{Shelf, sets};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static SHELF: LazyLock<Shelf> = LazyLock::new(Shelf::make);

fuzz_target!(|input: &[u8]| sets(&SHELF, input));
